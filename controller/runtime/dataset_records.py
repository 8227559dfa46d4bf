"""The records of datasets: names that point at bytes. Reads and writes the store, on the event loop.

Several names, also of several owners, may point at the same bytes. Used by `datasets.py` and by
`dataset_upkeep.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from ...api.viewer import Viewer
from ...crd_like_specs.dataset import Dataset, DatasetSpec, DatasetStatus
from ...crd_like_specs.errors import ConflictError, NotFoundError
from ...crd_like_specs.meta import ObjectMeta
from ..store import Delete, Op, Put, Store
from .documents import DATASETS, JOBS, at_version, decoded, document, owner_of


class DatasetRecords:
    """See the module docstring."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> Dataset | None:
        """Whoever's it is."""
        record = self._store.get(DATASETS, name)
        return None if record is None else decoded(Dataset, record)

    def find(self, name_or_digest: str, viewer: Viewer) -> Dataset:
        """One that the viewer sees. NotFoundError."""
        found = self.get(name_or_digest)
        if found is not None and viewer.sees(found.metadata):
            return found
        for one in self.with_digest(name_or_digest):
            if viewer.sees(one.metadata):
                return one
        raise NotFoundError(f"dataset {name_or_digest!r:.80} not found")

    def with_digest(self, digest: str) -> Iterator[Dataset]:
        """All that point at these bytes."""
        for record in self._store.by(DATASETS, "digest", digest):
            yield decoded(Dataset, record)

    def all(self, viewer: Viewer) -> list[Dataset]:
        """Those that the viewer sees, by name."""
        if viewer.own_only:
            records = self._store.by(DATASETS, "owner", viewer.owner) if viewer.owner else []
        else:
            records = self._store.list(DATASETS)[0]
        return sorted((decoded(Dataset, r) for r in records), key=lambda one: one.metadata.name)

    def bytes_of(self, owner: str) -> int:
        """Bytes that the owner's datasets point at, each once."""
        specs: list[dict[str, Any]] = [
            record.doc["spec"] for record in self._store.by(DATASETS, "owner", owner)
        ]
        return sum({spec["digest"]: spec["size"] for spec in specs}.values())

    def count(self) -> int:
        """How many there are."""
        return len(self._store.ids(DATASETS))

    def needed(self, digest: str) -> bool:
        """Whether anybody may still want these bytes: a name, or a job that is not over."""
        store = self._store
        return store.count(DATASETS, "digest", digest) + store.count(JOBS, "reads", digest) > 0

    def readers(self, dataset: Dataset) -> list[str]:
        """Names of the owner's jobs, and of nobody's, that read it and are not over."""
        names = []
        for name in sorted(self._store.ids_by(JOBS, "reads", dataset.spec.digest)):
            record = self._store.get(JOBS, name)
            if record is not None and owner_of(record.doc) in ("", dataset.metadata.owner):
                names.append(name)
        return names

    async def make(
        self, name: str, owner: str, spec: DatasetSpec, status: DatasetStatus, *, replace: bool
    ) -> Dataset:
        """Create it, or give it other content; the same content changes nothing but the pin.

        ConflictError where the name is taken, or has other content and `replace` is not said.
        """
        old = self.get(name)
        if old is None:
            meta = ObjectMeta(
                name=name,
                uid=uuid.uuid4().hex,
                owner=owner,
                creation_timestamp=status.last_used_at,
            )
            return await self._put(Dataset(metadata=meta, spec=spec, status=status), 0)
        check_name(old, owner, spec.digest, replace=replace)
        if old.spec.digest == spec.digest and old.spec.pinned >= spec.pinned:
            return old
        meta = old.metadata.model_copy(update={"generation": old.metadata.generation + 1})
        changed = Dataset(metadata=meta, spec=spec, status=status)
        return await self._put(changed, old.metadata.resource_version)

    async def change(
        self, name: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None
    ) -> Dataset | None:
        """Set these fields; None where it is gone."""
        while (old := self.get(name)) is not None:
            changed = old.model_copy(
                update={
                    "spec": old.spec.model_copy(update=spec or {}),
                    "status": old.status.model_copy(update=status or {}),
                }
            )
            if changed == old:
                return old
            try:
                return await self._put(changed, old.metadata.resource_version)
            except ConflictError:  # somebody was faster: change what is there now
                continue
        return None

    async def delete(self, dataset: Dataset) -> None:
        """ConflictError where it changed since; nothing happens where it is gone."""
        with contextlib.suppress(NotFoundError):
            meta = dataset.metadata
            await self._commit(Delete(DATASETS, meta.name, expect=meta.resource_version))

    async def _put(self, dataset: Dataset, expect: int) -> Dataset:
        op = Put(DATASETS, dataset.metadata.name, document(dataset), expect)
        return at_version(dataset, await self._commit(op))

    async def _commit(self, op: Op) -> int:
        return await asyncio.wrap_future(self._store.submit([op]))


def check_name(old: Dataset, owner: str, digest: str, *, replace: bool) -> None:
    """ConflictError where this owner may not give the dataset this content."""
    name = old.metadata.name
    if old.metadata.owner != owner:
        raise ConflictError(f"the name {name!r} is taken: expected another one")
    if old.spec.digest != digest and not replace:
        raise ConflictError(
            f"dataset {name!r} is there with other content: delete it first, or ask to replace it"
        )
