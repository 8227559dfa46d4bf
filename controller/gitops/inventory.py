"""What each source made, in the store: an entry for each job, and which of their runs finished.

The entry is written before the job is, so that a controller killed between the two knows the job
for its own. That a run finished is written with the status that says so, in one transaction: not
even a record that is collected or changed a moment later makes it run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.source import LABEL_SOURCE
from ..runtime.documents import FINISHED, INVENTORY
from ..store import Delete, Op, Put, Store
from .declared import Declared, Entry, Run

REMEMBERED_SECONDS: Final = 400 * 86400.0
"""For which a finished run is remembered that no folder declares any more."""


class Inventory:
    """Of one source. owner: whom its jobs belong to."""

    def __init__(self, store: Store, source: str, owner: str) -> None:
        self._store = store
        self._source = source
        self._owner = owner

    def entries(self) -> dict[str, Entry]:
        """Job → entry."""
        found = self._store.by(INVENTORY, "source", self._source)
        return {record.doc["job"]: _entry(record.doc) for record in found}

    def finished(self, declared: Iterable[Declared]) -> set[Run]:
        """Those of these runs that have finished."""
        return {
            (one.name, one.run_hash)
            for one in declared
            if self._store.get(FINISHED, _run_id(self._source, one.name, one.run_hash)) is not None
        }

    async def write(self, notes: Iterable[Entry], forgets: Iterable[str] = ()) -> None:
        """Write and drop entries, all or none."""
        ops: list[Op] = [
            Put(
                INVENTORY,
                _id(self._source, entry.job),
                {
                    "source": self._source,
                    "owner": self._owner,
                    "job": entry.job,
                    "hash": entry.run_hash,
                    "uid": entry.uid,
                    "file": entry.file,
                },
            )
            for entry in notes
        ]
        ids = (_id(self._source, job) for job in forgets)
        ops += [Delete(INVENTORY, id_) for id_ in ids if self._store.get(INVENTORY, id_)]
        await _commit(self._store, ops)

    async def forget_finished(self, kept: Mapping[str, Entry], now: float) -> int:
        """Drop what is remembered of jobs that are gone for long; how many runs that were."""
        old = [
            record.id
            for record in self._store.by(FINISHED, "source", self._source)
            if record.doc["job"] not in kept and now - record.doc["finishedAt"] > REMEMBERED_SECONDS
        ]
        await _commit(self._store, [Delete(FINISHED, id_) for id_ in old])
        return len(old)


def finished_with(store: Store, job: Job) -> list[Op]:
    """What is to be written with this version of a job: that its run finished, if it did and a
    source made it. For `Records.beside`.
    """
    status, meta = job.status, job.metadata
    if not status.phase.terminal or not status.run_hash or _taken_back(job):
        return []
    ops: list[Op] = []
    for id_ in store.ids_by(INVENTORY, "job", meta.name):
        record = store.get(INVENTORY, id_)
        if record is None or not _is_of(job, record.doc):
            continue
        run = _run_id(record.doc["source"], meta.name, status.run_hash)
        if store.get(FINISHED, run) is None:
            doc = {
                "source": record.doc["source"],
                "job": meta.name,
                "hash": status.run_hash,
                "uid": meta.uid,
                "phase": status.phase.value,
                "finishedAt": status.finished_at,
            }
            ops.append(Put(FINISHED, run, doc))
    return ops


def _taken_back(job: Job) -> bool:
    """Ended because it was deleted: it came to no end of its own, nor did anyone cancel it."""
    meta = job.metadata
    deleted = meta.deletion_timestamp is not None and meta.cancellation_timestamp is None
    return job.status.phase is Phase.CANCELLED and deleted


def _is_of(job: Job, doc: Mapping[str, Any]) -> bool:
    meta = job.metadata
    if doc["uid"]:
        return bool(doc["uid"] == meta.uid)
    labelled = meta.labels.get(LABEL_SOURCE) == doc["source"]
    return bool(labelled and meta.owner == doc["owner"])


def _entry(doc: Mapping[str, Any]) -> Entry:
    return Entry(doc["job"], doc["hash"], doc["uid"], doc["file"])


def _id(source: str, job: str) -> str:
    return f"{source}/{job}"


def _run_id(source: str, job: str, run_hash: str) -> str:
    return f"{source}/{job}/{run_hash[:32]}"


async def _commit(store: Store, ops: list[Op]) -> None:
    if ops:
        await asyncio.wrap_future(store.submit(ops))
