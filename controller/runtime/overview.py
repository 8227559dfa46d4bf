"""The fleet on one page, as one viewer sees it: implements `api.overview.OverviewPort`. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from ...api.overview import Board, PastLease, PlannedLease, Sample, WorkerNow
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.job import Job, Phase
from .clock import Clock
from .discretion import Discretion
from .documents import JOBS
from .history import DAY, History
from .records import Records
from .world import World

BUSY_SHOWN: Final = 300
WAITING_SHOWN: Final = 300
ENDED_SHOWN: Final = 100
WORKERS_SHOWN: Final = 500
PAST_SHOWN: Final = 1_500
_BUSY: Final = (Phase.RUNNING, Phase.STARTING, Phase.LEASING)


class Overview:
    """See the port."""

    def __init__(
        self,
        records: Records,
        world: World,
        history: History,
        clock: Clock,
        viewer: Viewer = EVERYTHING,
    ) -> None:
        self._records = records
        self._world = world
        self._history = history
        self._clock = clock
        self._viewer = viewer

    def seen_by(self, viewer: Viewer) -> Overview:
        """See the port."""
        return Overview(self._records, self._world, self._history, self._clock, viewer)

    def now(self) -> float:
        """See the port."""
        return self._clock.now()

    def board(self) -> Board:
        """See the port."""
        now, records, sees = self._clock.now(), self._records, self._viewer.sees
        busy, (waiting, count) = self._names(*_BUSY), self._in_line()
        jobs = [*self._jobs(islice(busy, BUSY_SHOWN)), *self._jobs(iter(waiting))]
        jobs += islice(self._ended(), ENDED_SHOWN)
        leases = tuple(lease for lease in records.leases.values() if sees(lease.metadata))
        return Board(
            now=now,
            jobs=tuple(jobs),
            running=len(busy),
            waiting=count,
            workers=self._workers(now),
            hidden=max(0, len(records.workers) - WORKERS_SHOWN),
            leases=leases,
            past=tuple(islice(self._past(now), PAST_SHOWN)),
            planned=self._planned(now),
        )

    def samples(self, since: float) -> list[Sample]:
        """See the port."""
        return self._history.samples(since)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See the port."""
        loop = asyncio.get_running_loop()
        return self._records.store.subscribe(lambda _: _wake(loop, wake))

    # How

    def _names(self, *phases: Phase) -> list[str]:
        """Of the jobs in these phases that the viewer sees."""
        store = self._records.store
        names = [name for p in phases for name in sorted(store.ids_by(JOBS, "phase", p.value))]
        return self._own(names)

    def _in_line(self) -> tuple[list[str], int]:
        """Of the first jobs that wait, in the order of the queue; and how many do."""
        if not self._viewer.own_only:
            return self._records.waiting(WAITING_SHOWN), self._records.count_in(Phase.PENDING)
        own = self._own(self._records.waiting())
        return own[:WAITING_SHOWN], len(own)

    def _own(self, names: list[str]) -> list[str]:
        if not self._viewer.own_only:
            return names
        own = set(self._records.store.ids_by(JOBS, "owner", self._viewer.owner))
        return [name for name in names if name in own]

    def _jobs(self, names: Iterator[str]) -> Iterator[Job]:
        for name in names:
            job = self._records.job(name)
            if job is not None and self._viewer.sees(job.metadata):
                yield job

    def _ended(self) -> Iterator[Job]:
        seen = (name for name, owner in self._history.ended() if self._viewer.sees_owner(owner))
        return (job for job in self._jobs(seen) if job.status.phase.terminal)

    def _workers(self, now: float) -> tuple[WorkerNow, ...]:
        uses = self._world.usage.shown(self._records, now, viewer=self._viewer)
        known = {use.worker: use for use in uses}
        found = []
        for seen in islice(self._world.workers(now), WORKERS_SHOWN):
            worker = seen.worker
            name = worker.metadata.name
            heard = {"last_heartbeat": self._world.heard_at(name)}
            status = worker.status.model_copy(update=heard)
            shown = worker.model_copy(update={"status": status})
            found.append(WorkerNow(shown, dict(seen.free.milli), known.get(name)))
        return tuple(found)

    def _past(self, now: float) -> Iterator[PastLease]:
        for lease in self._history.past():
            if lease.end > now - DAY and self._viewer.sees_owner(lease.owner):
                yield lease

    def _planned(self, now: float) -> tuple[PlannedLease, ...]:
        words, found = Discretion(self._records, self._viewer), []
        for claim in self._world.line.planned(now):
            job = self._records.job(claim.room.job)
            told = words.claim(claim)
            if job is None or told is None or not self._viewer.sees(job.metadata):
                continue
            room = claim.room
            found.append(
                PlannedLease(
                    job=room.job,
                    worker=room.worker,
                    devices=room.devices,
                    milli=room.milli,
                    start=max(room.start, now),
                    end=max(room.start, now) + job.lasting.duration,
                    after=told.after,
                )
            )
        return tuple(found)


def _wake(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(wake)
