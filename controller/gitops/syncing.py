"""One source, kept in step: look, plan, carry out, write the status. I/O.

Level-triggered: every look starts from what is there now, so that nothing that was missed, and no
crash, matters longer than until the next one. Called by `sources.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import StoreError, Temporary
from ...crd_like_specs.job import Job
from ...crd_like_specs.meta import Condition, ObjectMeta
from ...crd_like_specs.source import FileState, Source, SourceFile, SourceStatus
from ..runtime.blobs import Blobs
from ..runtime.clock import Clock
from ..runtime.desired import Desired
from ..runtime.documents import SOURCES, at_version, decoded, document
from ..runtime.records import Records
from ..runtime.templates import Templates
from .applying import Applier
from .folder import SETTLE_SECONDS
from .inventory import Inventory
from .looking import Look, Looker
from .plan import SyncPlan, plan
from .rows import Failure, clipped, count, rows
from .settings import SourceConfig
from .settling import Settler
from .template_plan import PREFIX, with_templates

READY: Final = "Ready"
"""Condition: the last look was carried through."""

SYNCED: Final = "Synced"
"""Condition: and every file of it is as it says."""

PULLED: Final = "Pulled"
READ_AT_ONCE: Final = 200
"""Records decoded in one go; others have their turn in between."""

WAITING: Final = "Waiting"
HELD_AGAIN: Final = 0.5
"""Seconds until the next look while nothing can be run."""

SETTLE_AGAIN: Final = SETTLE_SECONDS * 1.05


class Syncing:
    """One source. values: for substitution, see `substitute.py`; hold: why nothing can be run now,
    "" where it can: jobs that would fail for want of workers are not handed in.
    """

    def __init__(
        self,
        config: SourceConfig,
        values: Mapping[str, str | None],
        records: Records,
        desired: Desired,
        blobs: Blobs,
        clock: Clock,
        hold: Callable[[], str] = lambda: "",
    ) -> None:
        self.config = config
        self.last_sync = 0.0
        """When a look was last carried through, POSIX seconds, 0.0 for never."""
        self._rules = config.rules
        self._records = records
        self._clock = clock
        self._hold = hold
        self._looker = Looker(config, values)
        self._inventory = Inventory(records.store, config.name, self._rules.owner)
        owner, who = self._rules.owner, f"source {config.name}"
        self._templates = Templates(records.store, desired, blobs, clock)
        self._applier = Applier(
            desired, blobs, self._inventory, self._looker, owner, who, self._templates
        )
        self._settler = Settler(desired, owner, who)
        self._first = True
        self._record: Source | None = None

    def stop(self) -> None:
        """End what runs in threads and processes, soon."""
        self._looker.stop()

    async def sync(self) -> float:
        """Look once and carry out what follows; seconds until the next look."""
        try:
            return await self._sync()
        except StoreError as error:  # a full disk: the next look tries again
            logger.error("source {}: cannot be kept in step: {}", self.config.name, error)
            return float(self.config.interval)

    async def _sync(self) -> float:
        first, self._first = self._first, False
        if first:
            known = self.known()
            self._looker.was_git = known is not None and bool(known.status.commit)
        if held := self._hold():
            self._first = first
            await self._failed(WAITING, f"waiting: {held}")
            return HELD_AGAIN
        try:
            look = await asyncio.to_thread(self._looker.look, self._clock.now())
            settling = look.tree.settling
            if not (first and settling):  # then nothing was seen twice yet
                await self._carry_through(look)
        except Temporary as error:
            await self._failed(error.reason, error.message)
        except OSError as error:
            await self._failed("Failed", f"{self.config.path}: {error}")
        else:
            if settling:
                return min(SETTLE_AGAIN, self.config.interval)
        return float(self.config.interval)

    async def _carry_through(self, look: Look) -> None:
        made = await self._plan(look)
        failures: dict[str, Failure] = {}
        if not made.idle:
            failures = await self._applier.carry_out(made, look)
            self._tell(made, failures, look)
        now = self._clock.now()
        known = self.known()
        before = known.status.files if known else ()
        acted = not self._rules.suspend
        files = await asyncio.to_thread(rows, made, failures, before, now, acted=acted)
        message = made.message or (
            "suspended: differences are shown only" if self._rules.suspend else ""
        )
        self.last_sync = now
        jobs = {
            verdict.job
            for verdict in made.verdicts
            if verdict.done is not FileState.PRUNED and not verdict.job.startswith(PREFIX)
        }
        conditions = [
            Condition(type=READY, status=True, reason="Looked", since=now),
            _synced(files, now),
        ]
        if self.config.pull:
            failed = look.pull_failed
            reason = "PullFailed" if failed else "Pulled"
            conditions.append(
                Condition(type=PULLED, status=not failed, reason=reason, message=failed, since=now)
            )
        await self._write(
            SourceStatus(
                commit=look.tree.commit,
                jobs=len(jobs),
                message=message,
                files=files,
                **_counts(files),
                conditions=tuple(conditions),
            )
        )

    async def _plan(self, look: Look) -> SyncPlan:
        """Jobs are read before what is known to have finished: one that ends in between, and is
        collected, is not taken for one that never ran.
        """
        inventory = self._inventory.entries()
        readings = await self._settler.settled(look.readings)
        declared = [one for reading in readings for one in reading.jobs]
        live = await self._live({*inventory, *(one.name for one in declared)})
        finished = self._inventory.finished(declared)
        gone = look.tree.gone
        made = await asyncio.to_thread(plan, readings, live, inventory, finished, self._rules, gone)
        templates = {one.metadata.name: one for one in await self._templates.list()}
        return with_templates(made, templates, self._rules, gone)

    async def _live(self, names: Iterable[str]) -> dict[str, Job]:
        live = {}
        for number, name in enumerate(names, 1):
            job = self._records.job(name)
            if job is not None:
                live[name] = job
            if number % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
        return live

    async def forget_finished(self) -> None:
        """Housekeeping, once in a while."""
        await self._inventory.forget_finished(self._inventory.entries(), self._clock.now())

    def _tell(self, made: SyncPlan, failures: Mapping[str, Failure], look: Look) -> None:
        if not (made.applies or made.prunes):
            return
        logger.bind(source=self.config.name, commit=look.tree.commit).info(
            "source {}: {} jobs applied, {} pruned, {} failed{}",
            self.config.name,
            len(made.applies) - len(failures),
            len(made.prunes),
            len(failures),
            f", at commit {look.tree.commit[:12]}" if look.tree.commit else "",
        )

    async def _failed(self, reason: str, text: str) -> None:
        """Nothing can be said of the files: what is known of them stays."""
        message = clipped(text)
        known = self.known()
        status = known.status if known else SourceStatus()
        if status.message != message and reason != WAITING:
            logger.warning("source {}: {}", self.config.name, message)
        condition = Condition(
            type=READY, status=False, reason=reason, message=message, since=self._clock.now()
        )
        others = tuple(one for one in status.conditions if one.type != READY)
        await self._write(
            status.model_copy(update={"message": message, "conditions": (condition, *others)})
        )

    def known(self) -> Source | None:
        """Its record, decoded once for each version: there may be very many files."""
        record = self._records.store.get(SOURCES, self.config.name)
        if record is None:
            self._record = None
        elif self._record is None or self._record.metadata.resource_version != record.rv:
            self._record = decoded(Source, record)
        return self._record

    async def _write(self, status: SourceStatus) -> None:
        """Written where it says something new: when the last look was is told without a record."""
        known = self.known()
        before = known.status if known else SourceStatus()
        conditions = tuple(_aged(one, before.condition(one.type)) for one in status.conditions)
        status = status.model_copy(update={"conditions": conditions, "last_sync": before.last_sync})
        spec = self.config.spec(git=self._looker.was_git)
        if known is not None and known.spec == spec and before == status:
            return
        meta = ObjectMeta(
            name=self.config.name,
            owner=self._rules.owner,
            creation_timestamp=known.metadata.creation_timestamp if known else self._clock.now(),
        )
        status = status.model_copy(update={"last_sync": self.last_sync or before.last_sync})
        source = Source(metadata=meta, spec=spec, status=status)
        doc = await asyncio.to_thread(document, source)
        version = await asyncio.to_thread(self._records.store.put, SOURCES, self.config.name, doc)
        self._record = at_version(source, version)


def _counts(files: tuple[SourceFile, ...]) -> dict[str, int]:
    return {
        "synced": count(files, FileState.SYNCED),
        "out_of_sync": count(files, FileState.OUT_OF_SYNC),
        "invalid": count(files, FileState.INVALID),
        "pruned": count(files, FileState.PRUNED),
    }


def _synced(files: tuple[SourceFile, ...], now: float) -> Condition:
    wrong = count(files, FileState.INVALID) + count(files, FileState.OUT_OF_SYNC)
    return Condition(
        type=SYNCED,
        status=not wrong,
        reason="Differences" if wrong else "Synced",
        message=f"not as they say: {wrong} of {len(files)} files" if wrong else "",
        since=now,
    )


def _aged(now: Condition, before: Condition | None) -> Condition:
    if before is None or (before.status, before.reason) != (now.status, now.reason):
        return now
    return now.model_copy(update={"since": before.since})
