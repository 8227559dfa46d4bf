"""The controller's runtime, wired over a store in memory, a fake platform and a clock moved by hand.

Agents are played by `report`; `settle` does all the work that is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from cumulus.api.frames import LeaseReport, LogStream, NodeReport, UnitRecord
from cumulus.controller.platforms.fake import FakePlatform
from cumulus.controller.reconcile.observed import Unready
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.agents import Agents
from cumulus.controller.runtime.blobs import Blobs
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.desired import Desired
from cumulus.controller.runtime.documents import INDEXES
from cumulus.controller.runtime.events import Events
from cumulus.controller.runtime.executor import Executor
from cumulus.controller.runtime.follow import Streams
from cumulus.controller.runtime.history import History
from cumulus.controller.runtime.logs import Logs
from cumulus.controller.runtime.loop import Loop
from cumulus.controller.runtime.operations import Operations
from cumulus.controller.runtime.overview import Overview
from cumulus.controller.runtime.projects import Projects
from cumulus.controller.runtime.queue import KeyQueue
from cumulus.controller.runtime.reconciler import Reconciler
from cumulus.controller.runtime.records import Records
from cumulus.controller.runtime.room import Room
from cumulus.controller.runtime.telling import Telling
from cumulus.controller.runtime.templates import Templates
from cumulus.controller.runtime.views import Views
from cumulus.controller.runtime.workers import Signals, Workers
from cumulus.controller.runtime.world import World
from cumulus.controller.store import Store
from cumulus.crd_like_specs.job import Job, JobStatus
from cumulus.crd_like_specs.lease import Lease, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import ObjectMeta
from make import DIGEST, T, spec, worker

IMAGE = "sha256:image"
ENVELOPE = b'{"status": "success", "result": 1}\n'


class Kit:
    """Every part, by name. `rooms`, `looked`, `overruns`, `woken`: what was signalled."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.clock = VirtualClock(T)
        self.store = store or Store.open(None, indexes=INDEXES)
        self.records = Records(self.store)
        (folder / "logs").mkdir(exist_ok=True)
        self.logs = Logs(folder / "logs")
        self.blobs = Blobs(folder / "blobs")
        self.keep_blob(folder, DIGEST)
        self.platform = FakePlatform(
            self.clock.now, nodes=("node-n1", "node-n2"), images={"job": IMAGE}
        )
        self.projects = Projects(self.store, self.clock.now)
        self.world = World(
            self.records,
            self.logs,
            self.blobs,
            platform="swarm",
            default_image=IMAGE,
            started=T,
            marked=self.clock.marked,
            limits=self.projects.limits,
        )
        self.projects.used = self.world.quotas.use
        self.world.services.listed([], self.world.services.listing_begins(), T)
        self.events = Events(self.clock)
        self.telling = Telling(self.events, self.records)
        self.rooms = 0
        self.looked: list[str] = []
        self.overruns: list[float] = []
        self.woken: list[str] = []
        self.queue = KeyQueue()
        self.agents = Agents(
            self.records,
            self.world,
            self.logs,
            self.clock,
            look=self.looked.append,
            add=self.queue.add,
            room=self.workers_changed,
            overrun=self.overruns.append,
            told=self.telling.lease,
        )
        self.executor = Executor(
            self.records, self.world, self.platform, self.logs, self.clock, self, self.events.note
        )
        self.transitions: list[tuple[str, str]] = []
        self.reconciler = Reconciler(
            self.records,
            self.world,
            self.executor,
            self.clock,
            self.telling.after(self._transition),
            moved_up=self.room_freed,
        )
        self.room = Room(self.records, self.world, self.clock, self.queue.add)
        self.desired = Desired(
            self.records,
            Admission("swarm", self.blobs),
            self.clock,
            self.queue.add,
            self.workers_changed,
            self.events.note,
        )
        self.templates = Templates(
            self.store, self.desired, self.blobs, self.clock, self.events.note
        )
        self.operations = Operations(
            self.records,
            self.world,
            self.desired,
            self.clock,
            self.events,
            self.queue.add,
            self.templates,
        )
        self.forgotten: list[str] = []
        self.workers = Workers(
            self.records,
            self.world,
            self.agents,
            self.platform,
            self.clock,
            Signals(self.queue.add, self.workers_changed),
        )
        self.streams = Streams(self.records, self.logs)
        self.views = Views(self.records, self.world, self.platform, self.clock, "job")
        self.history = History(self.records, self.world, self.clock)
        self.overview = Overview(self.records, self.world, self.history, self.clock)

    def close(self) -> None:
        """Close every file and the store."""
        self.room.close()
        self.logs.close()
        self.store.close()

    @staticmethod
    def keep_blob(folder: Path, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        path = folder / "blobs" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"zip")
        return path

    def wanted_changed(self, worker_name: str) -> None:
        self.woken.append(worker_name)
        self.agents.wanted_changed(worker_name)

    def room_freed(self) -> None:
        self.room.freed()

    def workers_changed(self) -> None:
        self.rooms += 1
        self.room.workers_changed()

    def _transition(self, old: Job, new: Job, rule: str) -> None:
        self.history.transition(old, new)
        self.transitions.append((new.status.phase.value, rule))

    async def submit(self, name: str = "train", key: str = "", **fields: Any) -> Job:
        wanted = Job(metadata=ObjectMeta(name=name), spec=spec(**fields))
        return await self.desired.submit(wanted, idempotency_key=key)

    async def put(self, job: Job) -> Job:
        """Write a job as it is, over whatever is there."""
        old = self.records.job(job.metadata.name)
        return await self.records.put_job(job, old.metadata.resource_version if old else 0)

    async def status(self, name: str, **changes: Any) -> Job:
        """Write a status as the plan would."""
        job = self.records.find_job(name)
        status = JobStatus.model_validate({**job.status.model_dump(), **changes})
        return await self.records.put_status(job, status)

    async def report(
        self, name: str = "n1", leases: dict[str, LeaseStatus] | None = None, **fields: Any
    ) -> None:
        of = worker(name, **fields)
        seen = tuple(LeaseReport(*item) for item in (leases or {}).items())
        await self.agents.report(NodeReport(name, of.status, of.metadata.labels, seen))

    def held(self, **changes: Any) -> LeaseStatus:
        now = self.clock.now()
        base = {"state": LeaseState.HELD, "held_at": now, "expires_at": now + 60}
        return LeaseStatus.model_validate({**base, **changes})

    async def put_lease(self, lease: Lease) -> None:
        """Write a lease as it is; the world is told, as whoever writes one does."""
        await self.records.put_lease(lease)
        self.world.lease_changed(lease.metadata.name, lease.spec.job)

    def queued(self) -> list[str]:
        """Every key that is due, taken off the queue in its order."""
        found = []
        while (key := self.queue.take(self.clock.now())) is not None:
            found.append(key)
            self.queue.done(key)
        return found

    def unready(self, name: str = "n1") -> Unready | None:
        """Why the worker takes no jobs now."""
        seen = self.world.workers(self.clock.now())
        return next(w.unready for w in seen if w.worker.metadata.name == name)

    async def settle(self) -> None:
        """Do whatever is due until nothing is."""
        loop = Loop(self.queue, self.reconciler.reconcile, self.clock, self.reconciler.who)
        for _ in range(1000):
            key = self.queue.take(self.clock.now())
            if key is None:
                return
            await loop.once(key)
        raise AssertionError("the queue never empties")

    async def list_services(self) -> None:
        """A listing reaches the world, and the jobs it concerns the queue."""
        mark = self.world.services.listing_begins()
        for uid in self.world.services.listed(
            await self.platform.list_owned(), mark, self.clock.now()
        ):
            self.queue.add(self.records.name_of(uid) or f"uid:{uid}")

    async def log(
        self, unit: str, *lines: bytes, start: int = 0, end: bool = False, result: bytes = b""
    ) -> None:
        records = [
            UnitRecord(start + n, LogStream.STDOUT, T + n, line) for n, line in enumerate(lines)
        ]
        if result:
            records.append(UnitRecord(start + len(lines), LogStream.RESULT, T, result))
        total = start + len(records) if end else None
        await self.logs.append(unit, tuple(records), total)


async def take(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The next `count` of an endless iterator."""
    return [await anext(events) for _ in range(count)]


async def until(condition: Callable[[], object]) -> None:
    """Let threads, processes and other tasks go on until something holds; 20 s at most."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a commit's thread or a process sets no event)
            await asyncio.sleep(0.001)
