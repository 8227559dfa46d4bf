"""Typed records over the store: the only way the controller reads and writes resources.

Jobs are read through a small cache, since there may be very many; workers and leases are few and
are kept decoded. Everything here runs on the event loop; the store commits on its own thread, and
what is kept decoded changes only after the commit. Called by the reconciler, agents and services.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.errors import ConflictError, NotFoundError
from ...crd_like_specs.job import Job, JobStatus, Phase
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Worker
from ..reconcile.asking import Ask, ask_of
from ..reconcile.queueing import Order
from ..store import Delete, Op, Put, Record, Store
from .documents import (
    INDEXES,
    JOBS,
    LEASES,
    WORKERS,
    at_version,
    decoded,
    document,
)

CACHED_JOBS: Final = 8192
FEED_LIMIT: Final = 1024

AnyResource = TypeVar("AnyResource", Job, Lease, Worker)


def open_records(folder: Path | None) -> Records:
    """Records over the store in `folder`; None keeps everything in memory (tests)."""
    return Records(Store.open(folder, indexes=INDEXES))


@dataclass(frozen=True, slots=True)
class InLine:
    """A job that is Pending. owner: its project; since: when it may start (POSIX seconds), None where it is not to;
    fails: it ends where no worker could ever take it.
    """

    order: Order
    name: str
    uid: str
    ask: Ask
    since: float | None
    fails: bool
    owner: str = ""


def in_line(job: Job) -> InLine:
    """Its place in the queue, by priority, then age."""
    meta, spec, status = job.metadata, job.spec, job.status
    stopped = meta.deletion_timestamp is not None or meta.cancellation_timestamp is not None
    open_ = status.attempt > 0 and not stopped and not spec.suspend
    order = (-spec.priority, status.submitted_at, meta.name)
    since = status.retry_at if open_ else None
    fails = spec.when_unschedulable == "Fail"
    return InLine(order, meta.name, meta.uid, ask_of(job.lasting), since, fails, meta.owner)


def over(job: Job) -> bool:
    """True where its last attempt is over and its spec asks for no further run."""
    meta, status = job.metadata, job.status
    if not status.phase.terminal:
        return False
    stopped = meta.deletion_timestamp is not None or meta.cancellation_timestamp is not None
    # A spec changed after the end is a run that the plan has not begun yet.
    return (
        stopped
        or status.observed_generation == meta.generation
        or job.spec.run_hash() == status.run_hash
    )


class JobFeed:
    """What one follower has not read yet of one job's versions, oldest first.

    news: set with each version; the follower's own event, which may serve other news too.
    """

    def __init__(self, news: asyncio.Event) -> None:
        self.versions: deque[Job] = deque(maxlen=FEED_LIMIT)
        self.news = news
        self.gone = False

    def push(self, job: Job | None) -> None:
        """A new version, or None once the record is deleted."""
        if job is None:
            self.gone = True
        else:
            self.versions.append(job)
        self.news.set()


class Records:
    """See the module docstring. Versions (`expect`) are the store's, 0 meaning must not exist."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._feeds: dict[str, set[JobFeed]] = {}
        self._waiting: dict[str, InLine] = {}
        self._line: list[Order] = []
        self.kinds: dict[Ask, list[Order]] = {}
        """What Pending jobs ask for → who does, in order. To be read only."""
        self.came_to_line: list[Callable[[Order], None]] = []
        self.left_line: list[Callable[[Order], None]] = []
        """Told the place in the queue of each job that comes to it, or leaves it; both where it
        asks for something else.
        """
        self.beside: Callable[[Job], list[Op]] = lambda _: []
        """What is written with a version of a job, in the same transaction."""
        self.leases: dict[str, Lease] = {}
        self.workers: dict[str, Worker] = {}
        self._on_worker: dict[str, dict[str, None]] = {}
        self.worker_listeners: list[Callable[[str], None]] = []
        """Told the name of each worker whose record is another one now."""
        for job in self.jobs_in(Phase.PENDING):
            self._note_waiting(job)
        for record in store.list(LEASES)[0]:
            self._mirror_lease(record.id)
        for record in store.list(WORKERS)[0]:
            self._mirror_worker(record.id)

    # Jobs

    def job(self, name: str) -> Job | None:
        """The job of this name as it is now, or None."""
        record = self.store.get(JOBS, name)
        if record is None:
            self._jobs.pop(name, None)
            return None
        return self._decode(record)

    def job_by_uid(self, uid: str) -> Job | None:
        """The job with this uid, or None."""
        found = self.store.by(JOBS, "uid", uid)
        return self._decode(found[0]) if found else None

    def find_job(self, name_or_uid: str, viewer: Viewer = EVERYTHING) -> Job:
        """By name, else by uid; NotFoundError names what was asked for.

        A job that the viewer does not see is none for it: every verb of the API comes by here.
        """
        for job in (self.job(name_or_uid), self.job_by_uid(name_or_uid)):
            if job is not None and viewer.sees(job.metadata):
                return job
        raise NotFoundError(f"job {name_or_uid!r} not found", job_id=name_or_uid)

    def name_of(self, uid: str) -> str | None:
        """Name of the job with this uid, without decoding it."""
        return next(iter(self.store.ids_by(JOBS, "uid", uid)), None)

    def job_with_key(self, idempotency_key: str, owner: str = "") -> Job | None:
        """The job that this owner submitted with this key, or None."""
        found = map(self._decode, self.store.by(JOBS, "key", idempotency_key))
        return next((job for job in found if job.metadata.owner == owner), None)

    def open_jobs(self) -> list[str]:
        """Names of all jobs of which something is left to be done."""
        return sorted(self.store.ids_by(JOBS, "open", "1"))

    def jobs_in(self, *phases: Phase) -> Iterator[Job]:
        """Jobs in these phases, through the index."""
        for phase in phases:
            for record in self.store.by(JOBS, "phase", phase.value):
                yield self._decode(record)

    def waiting(self, limit: int | None = None) -> list[str]:
        """Names of the first `limit` jobs that are Pending, the most urgent and oldest first."""
        return [order[2] for order in self._line[:limit]]

    def line(self, start: Order | None = None) -> Iterator[InLine]:
        """The same from `start` on, as the queue knows them. Nothing may be awaited meanwhile."""
        first = 0 if start is None else bisect_left(self._line, start)
        return (self._waiting[self._line[n][2]] for n in range(first, len(self._line)))

    def of_kind(self, ask: Ask, start: Order) -> Iterator[InLine]:
        """Pending jobs that ask for this, from `start` on. Nothing may be awaited meanwhile."""
        orders = self.kinds.get(ask, [])
        first = bisect_left(orders, start)
        return (self._waiting[orders[n][2]] for n in range(first, len(orders)))

    def in_line(self, name: str) -> InLine | None:
        """The job's place in the queue, None where it is not Pending."""
        return self._waiting.get(name)

    def ahead_in_line(self, job: Job) -> int:
        """How many Pending jobs are ahead of it."""
        return bisect_left(self._line, in_line(job).order)

    def count_waiting(self, owner: str) -> int:
        """How many Pending jobs are of this project."""
        return sum(one.owner == owner for one in self._waiting.values())

    def count_in(self, phase: Phase) -> int:
        """How many jobs are in the phase."""
        return self.store.count(JOBS, "phase", phase.value)

    async def put_job(self, job: Job, expect: int) -> Job:
        """Write the whole record; ConflictError where it is not at version `expect`."""
        written = await self._put(JOBS, job, expect, self.beside(job))
        self._remember(written)
        self._note_waiting(written)
        for feed in self._feeds.get(written.metadata.uid, ()):
            feed.push(written)
        return written

    async def put_status(self, job: Job, status: JobStatus) -> Job:
        """Write the status over the version that was read; a lower one is refused."""
        old = job.status
        if (status.attempt, status.phase.rank) < (old.attempt, old.phase.rank):
            raise ConflictError(
                f"status of {job.metadata.name} would fall from {old.attempt}/{old.phase.value} "
                f"to {status.attempt}/{status.phase.value}",
                job_id=job.metadata.uid,
            )
        changed = job.model_copy(update={"status": status})
        return await self.put_job(changed, job.metadata.resource_version)

    async def delete_job(self, name: str, uid: str) -> None:
        """Delete the record if it is still the one with this uid."""
        job = self.job(name)
        if job is None or job.metadata.uid != uid:
            return
        await self._commit(Delete(JOBS, name, expect=job.metadata.resource_version))
        self._jobs.pop(name, None)
        self._leave_line(name)
        for feed in self._feeds.get(uid, ()):
            feed.push(None)

    def follow_job(self, uid: str, news: asyncio.Event) -> JobFeed:
        """Every version from now on; give it back with `unfollow_job`."""
        feed = JobFeed(news)
        self._feeds.setdefault(uid, set()).add(feed)
        return feed

    def unfollow_job(self, uid: str, feed: JobFeed) -> None:
        """End of interest."""
        feeds = self._feeds.get(uid, set())
        feeds.discard(feed)
        if not feeds:
            self._feeds.pop(uid, None)

    # Leases and workers

    def leases_on(self, worker: str) -> list[Lease]:
        """Every lease of this worker."""
        return [self.leases[name] for name in self._on_worker.get(worker, ())]

    async def put_lease(self, lease: Lease, expect: int | None = None) -> Lease:
        """Create or replace; `expect` None takes whatever version there is."""
        written = await self._put(LEASES, lease, expect)
        self._mirror_lease(lease.metadata.name, written)
        return written

    async def change_lease(self, name: str, change: Callable[[Lease], Lease]) -> Lease | None:
        """Write `change(lease)` over the version it was made of; None where there is no lease.

        The executor and the agents' reports write different parts of one record at the same
        time: whoever comes second makes its change again, of the newer version.
        """
        while (lease := self.leases.get(name)) is not None:
            changed = change(lease)
            if changed == lease:
                return lease
            try:
                return await self.put_lease(changed, lease.metadata.resource_version)
            except ConflictError:
                self._mirror_lease(name)
        return None

    async def delete_lease(self, name: str, beside: Iterable[Op] = ()) -> None:
        """Delete the record; nothing happens if there is none. beside: written with that, or not."""
        if name in self.leases:
            with contextlib.suppress(NotFoundError):
                await self._commit(*beside, Delete(LEASES, name))
            self._mirror_lease(name)

    async def put_worker(self, worker: Worker, expect: int | None = None) -> Worker:
        """Create or replace; `expect` None takes whatever version there is."""
        written = await self._put(WORKERS, worker, expect)
        self._mirror_worker(worker.metadata.name, written)
        return written

    async def change_worker(self, name: str, change: Callable[[Worker], Worker]) -> Worker | None:
        """Like `change_lease`: operators and agents write different parts of one record."""
        while (worker := self.workers.get(name)) is not None:
            changed = change(worker)
            if changed == worker:
                return worker
            try:
                return await self.put_worker(changed, worker.metadata.resource_version)
            except ConflictError:
                self._mirror_worker(name)
        return None

    async def delete_worker(self, name: str) -> None:
        """Delete the record; nothing happens if there is none."""
        if name in self.workers:
            with contextlib.suppress(NotFoundError):
                await self._commit(Delete(WORKERS, name))
            self._mirror_worker(name)

    # What is kept decoded follows the store, in whatever order writers learn of their commits

    def _mirror_lease(self, name: str, written: Lease | None = None) -> None:
        record = self.store.get(LEASES, name)
        if record is None:
            gone = self.leases.pop(name, None)
            if gone is not None:
                self._on_worker[gone.spec.worker].pop(name, None)
            return
        current = written is not None and written.metadata.resource_version == record.rv
        lease = written if written is not None and current else decoded(Lease, record)
        self.leases[name] = lease
        self._on_worker.setdefault(lease.spec.worker, {})[name] = None

    def _mirror_worker(self, name: str, written: Worker | None = None) -> None:
        record = self.store.get(WORKERS, name)
        if record is None:
            self.workers.pop(name, None)
            self._tell_of_worker(name)
            return
        current = written is not None and written.metadata.resource_version == record.rv
        self.workers[name] = written if written is not None and current else decoded(Worker, record)
        self._tell_of_worker(name)

    def _tell_of_worker(self, name: str) -> None:
        for listener in self.worker_listeners:
            listener(name)

    # How

    async def _put(
        self, table: str, resource: AnyResource, expect: int | None, beside: Iterable[Op] = ()
    ) -> AnyResource:
        op = Put(table, resource.metadata.name, document(resource), expect)
        version = await self._commit(*beside, op)  # the last one has the highest version
        return at_version(resource, version)

    async def _commit(self, *ops: Op) -> int:
        done = self.store.submit(ops)
        return done.result() if done.done() else await asyncio.wrap_future(done)

    def _note_waiting(self, job: Job) -> None:
        name, known = job.metadata.name, self._waiting.get(job.metadata.name)
        now = in_line(job) if job.status.phase is Phase.PENDING else None
        if now == known:
            return
        self._leave_line(name)
        if now is not None:
            self._waiting[name] = now
            insort(self._line, now.order)
            insort(self.kinds.setdefault(now.ask, []), now.order)
            for listener in self.came_to_line:
                listener(now.order)

    def _leave_line(self, name: str) -> None:
        known = self._waiting.pop(name, None)
        if known is None:
            return
        del self._line[bisect_left(self._line, known.order)]
        kind = self.kinds[known.ask]
        del kind[bisect_left(kind, known.order)]
        if not kind:
            del self.kinds[known.ask]
        for listener in self.left_line:
            listener(known.order)

    def _decode(self, record: Record) -> Job:
        known = self._jobs.get(record.id)
        if known is not None and known.metadata.resource_version == record.rv:
            self._jobs.move_to_end(record.id)
            return known
        job = decoded(Job, record)
        self._remember(job)
        return job

    def _remember(self, job: Job) -> None:
        self._jobs[job.metadata.name] = job
        self._jobs.move_to_end(job.metadata.name)
        while len(self._jobs) > CACHED_JOBS:
            self._jobs.popitem(last=False)
