"""What was: ended leases and jobs, and a look at the fleet every few seconds. In memory, bounded.

For the dashboard only; nothing is decided by it. A restart loses the samples; leases are read from
the attempts of the jobs that are still on record.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from ...api.overview import PastLease, Sample
from ...crd_like_specs.errors import ExpiredError
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import Lease
from ..store import EventType, Watcher
from .clock import Clock
from .documents import JOBS, LEASES, decoded, expiry_hour
from .records import Records
from .world import World

SAMPLE_SECONDS: Final = 5.0
SAMPLES_KEPT: Final = 17_280  # of a day
LEASES_KEPT: Final = 4_000
JOBS_KEPT: Final = 2_000
DAY: Final = 86400.0
POLL_PIECE: Final = 500
SEEDED: Final = 2_000
"""Jobs that are looked at when a controller comes up, at most."""

SEED_PIECE: Final = 50
"""Of those, so many in one go."""


class History:
    """See the module docstring."""

    def __init__(self, records: Records, world: World, clock: Clock) -> None:
        self._records = records
        self._world = world
        self._clock = clock
        self._past: deque[PastLease] = deque(maxlen=LEASES_KEPT)
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._samples: deque[array[float]] = deque(maxlen=SAMPLES_KEPT)
        self._overrun = -1.0

    async def run(self) -> None:
        """Until cancelled."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        store = self._records.store
        watcher = store.watch(None, frozenset({LEASES}))
        unsubscribe = store.subscribe(lambda _: _wake(loop, news))
        try:
            await self.seed()
            due = self._clock.now()
            while True:
                news.clear()
                watcher = self._poll(watcher)
                if self._clock.now() >= due:
                    self.sample()
                    due = self._clock.now() + SAMPLE_SECONDS
                try:
                    async with asyncio.timeout(max(0.0, due - self._clock.now())):
                        await news.wait()
                except TimeoutError:
                    continue
        finally:
            unsubscribe()

    # What others tell

    def transition(self, old: Job, new: Job) -> None:
        """A status was written."""
        if new.status.phase.terminal and not old.status.phase.terminal:
            self._note_ended(new)

    def overran(self, seconds: float) -> None:
        """A lease ended so long after its time."""
        self._overrun = max(self._overrun, seconds)

    # What is asked

    def past(self) -> Iterator[PastLease]:
        """Leases that ended, the newest first."""
        return reversed(self._past)

    def ended(self) -> Iterator[tuple[str, str]]:
        """Jobs that ended, name and owner, the newest first; some may be gone meanwhile."""
        return reversed(self._ended.items())

    def samples(self, since: float) -> list[Sample]:
        """Those younger than `since`, oldest first."""
        found: list[Sample] = []
        for row in reversed(self._samples):
            if row[0] <= since:
                break
            found.append(Sample(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4]), row[5]))
        found.reverse()
        return found

    # How

    def sample(self) -> None:
        """Look at the fleet once."""
        now, used, total = self._clock.now(), 0, 0
        for seen in self._world.workers(now):
            milli = seen.free.milli
            if milli and (seen.ready or seen.held):
                total += 1000 * len(milli)
                used += 1000 * len(milli) - sum(milli.values())
        count = self._records.count_in
        running = sum(count(phase) for phase in (Phase.LEASING, Phase.STARTING, Phase.RUNNING))
        waiting = count(Phase.PENDING)
        self._samples.append(array("d", (now, waiting, running, used, total, self._overrun)))
        self._overrun = -1.0

    async def seed(self) -> None:
        """Take over what jobs tell that go on, or ended within a day: those through the index by
        the hour in which they may go, where the youngest come last, whatever else is on record.
        """
        now, found, leases = self._clock.now(), [], []
        names = chain(self._last_to_go(now), islice(self._records.open_jobs(), SEEDED))
        for count, name in enumerate(names, start=1):
            if count % SEED_PIECE == 0:
                await asyncio.sleep(0)
            job = self._records.job(name)
            if job is None:
                continue
            leases += [one for one in of_attempts(job) if one.end > now - DAY]
            if job.status.finished_at > now - DAY:
                found.append(job)
        for job in sorted(found, key=lambda job: job.status.finished_at):
            self._note_ended(job)
        self._past.extend(sorted(leases, key=lambda lease: lease.end))

    def _last_to_go(self, now: float) -> Iterator[str]:
        """Names of finished jobs, those first that stay the longest."""
        hours = range(expiry_hour(now + 31 * DAY), expiry_hour(now), -1)
        by_hour = (self._records.store.ids_by(JOBS, "expires", str(hour)) for hour in hours)
        return islice(chain.from_iterable(by_hour), SEEDED)

    def _note_ended(self, job: Job) -> None:
        self._ended[job.metadata.name] = job.metadata.owner
        self._ended.move_to_end(job.metadata.name)
        while len(self._ended) > JOBS_KEPT:
            self._ended.popitem(last=False)

    def _poll(self, watcher: Watcher) -> Watcher:
        try:
            while events := watcher.poll(POLL_PIECE):
                for event in events:
                    if event.type is EventType.DELETED and event.record is not None:
                        self._note_lease(decoded(Lease, event.record))
        except ExpiredError:  # more happened than is kept: those in between are not shown
            return self._records.store.watch(None, frozenset({LEASES}))
        return watcher

    def _note_lease(self, lease: Lease) -> None:
        if lease.status.held_at:
            job = self._records.job_by_uid(lease.spec.job)
            self._past.append(of_lease(lease, job, self._clock.now()))


def of_lease(lease: Lease, job: Job | None, now: float) -> PastLease:
    """A lease whose record is gone since `now`; job: whose it was, None where that is gone too."""
    spec, status = lease.spec, lease.status
    return PastLease(
        name=lease.metadata.name,
        job=spec.job_name,
        owner=lease.metadata.owner,
        attempt=spec.attempt,
        worker=spec.worker,
        devices=spec.devices,
        milli=spec.memory_milli,
        start=status.held_at,
        end=max(status.held_at, status.ended_at or now),
        due=status.expires_at,
        outcome=_outcome(job, spec.attempt),
    )


def of_attempts(job: Job) -> Iterator[PastLease]:
    """The leases of a job's attempts that ran and are over, as far as the job remembers them."""
    meta, gpu = job.metadata, job.spec.gpu
    for one in job.status.attempts:
        if one.started_at and one.worker:
            yield PastLease(
                name=unit_name(meta.uid, one.number),
                job=meta.name,
                owner=meta.owner,
                attempt=one.number,
                worker=one.worker,
                devices=one.devices,
                milli=gpu.memory if gpu else 0,
                start=one.started_at,
                end=one.finished_at,
                due=one.expires_at or one.finished_at,
                outcome=one.phase.value,
            )


def _outcome(job: Job | None, attempt: int) -> str:
    if job is not None:
        if job.status.attempt == attempt and job.status.phase.terminal:
            return job.status.phase.value
        for one in job.status.attempts:
            if one.number == attempt:
                return one.phase.value
    return "Ended"


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    loop.call_soon_threadsafe(news.set)
