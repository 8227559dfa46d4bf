"""The controller of a simulated world, wired as `main.Controller` wires it, but for its sockets; and
its death at any step. Schedules deliver what is signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

from cumulus.controller.reconcile.quota import Limits
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.agents import Agents
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.desired import Desired
from cumulus.controller.runtime.events import Events
from cumulus.controller.runtime.executor import Executor
from cumulus.controller.runtime.extending import Extending
from cumulus.controller.runtime.logs import Logs
from cumulus.controller.runtime.loop import Loop
from cumulus.controller.runtime.observers import PlatformObserver
from cumulus.controller.runtime.queue import KeyQueue
from cumulus.controller.runtime.reconciler import Reconciler
from cumulus.controller.runtime.records import Records
from cumulus.controller.runtime.room import Room
from cumulus.controller.runtime.world import World
from cumulus.controller.store import Store
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.lease import Lease, LeaseStatus
from simparts import HarshPlatform


class Crash(BaseException):
    """The controller died at this very step."""


class NoBlobs:
    """Every code is here."""

    def size(self, digest: str) -> int:
        return len(digest)


class AllHere:
    """What agents say that they brought is here."""

    def confirmed(self, _lease: Lease, seen: LeaseStatus, _job: Job | None) -> LeaseStatus:
        return seen


class SimController:
    """Whoever inherits sets these, then calls `start`."""

    clock: VirtualClock
    folder: Path
    platform: HarshPlatform
    store: Store
    rng: random.Random

    def limits(self, project: str) -> Limits | None:
        """Of a project; nobody has any."""
        del project
        return None

    def start(self) -> None:
        clock = self.clock
        self.records = Records(self.store)
        self.logs = Logs(self.folder)
        self.world = World(
            self.records,
            self.logs,
            NoBlobs(),
            platform="swarm",
            default_image="sha256:" + "0" * 64,
            started=clock.now(),
            marked=clock.marked,
            limits=self.limits,
        )
        self.queue = KeyQueue()
        self.room = Room(self.records, self.world, clock, self.queue.add)
        changed = self.room.workers_changed
        self.server = Agents(
            self.records,
            self.world,
            self.logs,
            clock,
            look=lambda _: None,
            add=self.queue.add,
            room=changed,
            overrun=lambda _: None,
            left=AllHere(),  # type: ignore[arg-type]  # agents ask it one thing
        )
        executor = Executor(self.records, self.world, self.platform, self.logs, clock, self)
        self.reconciler = Reconciler(
            self.records, self.world, executor, clock, moved_up=self.room_freed
        )
        self.loop = Loop(self.queue, self.reconciler.reconcile, clock)
        self.observer = PlatformObserver(
            self.platform, self.world, self.records, clock, self.queue.add, changed
        )
        self.desired = Desired(
            self.records, Admission("swarm", NoBlobs()), clock, self.queue.add, changed
        )
        self.extending = Extending(self.records, self.world, clock, Events(clock), self.queue.add)
        for name in self.records.open_jobs():
            self.queue.add(name)
        for uid in self.world.uids():
            self.queue.add(self.observer.key_of(uid))

    def wanted_changed(self, worker_name: str) -> None:
        """Messages are delivered by the schedule, not by signals."""

    def room_freed(self) -> None:
        self.room.freed()

    # What it does

    async def reconcile_some(self) -> None:
        keys = [k for k in (self.queue.take(self.clock.now()) for _ in range(3)) if k]
        results = await asyncio.gather(*map(self.loop.once, keys), return_exceptions=True)
        if any(isinstance(r, Crash) for r in results):
            raise Crash

    async def list_services(self) -> None:
        await self.observer.list_once()
        self.world.nodes_seen(await self.platform.nodes())
        self.observer.check_readiness()

    async def crash(self) -> None:
        """The controller dies between two steps: before or after its next write or call."""
        verb = self.rng.choice(["create", "remove", "put", "put"])
        after = self.rng.random() < 0.5
        with self._dying(verb, after=after):
            for _ in range(4):
                await self.reconcile_some()
        raise Crash

    @contextlib.contextmanager
    def _dying(self, verb: str, *, after: bool) -> Any:
        target, name = (self.store, "submit") if verb == "put" else (self.platform, verb)
        real = getattr(target, name)
        dead = False

        def sync(*args: Any, **kwargs: Any) -> Any:
            nonlocal dead
            if dead or not after:
                dead = True
                raise Crash
            real(*args, **kwargs)
            dead = True
            raise Crash

        async def later(*args: Any, **kwargs: Any) -> Any:
            nonlocal dead
            if dead or not after:
                dead = True
                raise Crash
            await real(*args, **kwargs)
            dead = True
            raise Crash

        setattr(target, name, sync if verb == "put" else later)
        try:
            yield
        finally:
            delattr(target, name)
