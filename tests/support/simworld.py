"""A whole Cumulus in one thread, with a virtual clock: real records, world, executor, reconciler,
agents' sessions and spools; a fake platform (the one the contract suite holds to the real ones);
and an agent that is played here. A seeded schedule decides what happens next, and what goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

from cumulus.api.frames import (
    LogBatch,
    LogStream,
    UnitRecord,
)
from cumulus.api.viewer import EVERYTHING
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.controller.runtime.agents import Agents
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.desired import Admission, Desired
from cumulus.controller.runtime.documents import INDEXES
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
from cumulus.crd_like_specs.errors import CumulusError, Temporary
from cumulus.crd_like_specs.identity import parse_unit
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.lease import Lease
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import WorkerSpec
from make import spec
from simparts import HarshPlatform, PlayedAgent

WORKERS = ("n1", "n2")
ENVELOPE = b'{"status": "success", "result": 1}\n'
ERROR = b'{"status": "error", "error": "no", "error_type": "ValueError"}\n'


class Crash(BaseException):
    """The controller died at this very step."""


class NoBlobs:
    """Every code is here."""

    def size(self, digest: str) -> int:
        return len(digest)


class Simulation:
    """One world and one schedule. `step` does one random thing; `settle` lets all faults end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.folder = folder
        self.platform = HarshPlatform(self.clock.now, [f"node-{name}" for name in WORKERS])
        self.agents = {name: PlayedAgent(name, self.platform, self.clock) for name in WORKERS}
        self.store = Store.open(None, indexes=INDEXES)
        self.down: set[str] = set()
        self.cut: set[str] = set()
        self.killed: set[str] = set()
        self.trace: list[str] = []
        self.names = 0
        self._leased: set[str] = set()
        self.start()

    # The controller, as `main.Controller` wires it

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

    # What may happen

    async def step(self) -> None:
        verbs: list[tuple[int, Any]] = [
            (12, self.reconcile_some),
            (6, self.deliver),
            (6, self.report),
            (6, self.agent_step),
            (5, self.list_services),
            (5, self.platform_step),
            (3, self.advance),
            (2, self.user),
            (1, self.operate),
            (1, self.fault),
            (1, self.crash),
        ]
        verb = self.rng.choices([v for _, v in verbs], [w for w, _ in verbs])[0]
        self.trace.append(verb.__name__)
        try:
            await verb()
        except CumulusError:
            pass  # a user's call was refused, as it may be
        except Crash:
            self.trace.append("CRASH")
            self.room.close()
            self.platform.heal()
            self.start()

    async def reconcile_some(self) -> None:
        keys = [k for k in (self.queue.take(self.clock.now()) for _ in range(3)) if k]
        results = await asyncio.gather(*map(self.loop.once, keys), return_exceptions=True)
        if any(isinstance(r, Crash) for r in results):
            raise Crash

    async def deliver(self) -> None:
        """A wanted set reaches an agent; lost ones just don't come, late ones come again."""
        name = self.rng.choice(WORKERS)
        if name not in self.cut | self.killed | self.down:
            self.agents[name].receive(self.server.wanted(name))

    async def report(self) -> None:
        name = self.rng.choice(WORKERS)
        if name in self.cut | self.killed | self.down:
            return
        agent = self.agents[name]
        await self.server.report(agent.report())
        for unit in list(agent.held):
            service = self.platform.units().get(unit)
            if service and service.state.ended:
                result = ENVELOPE if service.exit_code == 0 else ERROR
                records = (
                    UnitRecord(0, LogStream.STDOUT, 1.0, b"hello\n"),
                    UnitRecord(1, LogStream.RESULT, 1.0, result),
                )
                batch = LogBatch(unit, records, 2)
                if self.rng.random() < 0.5:
                    await self.server.logs(LogBatch(unit, records[:1], None))
                await self.server.logs(batch)

    async def agent_step(self) -> None:
        name = self.rng.choice(WORKERS)
        if name not in self.killed | self.down:
            self.agents[name].step()

    async def list_services(self) -> None:
        await self.observer.list_once()
        self.world.nodes_seen(await self.platform.nodes())
        self.observer.check_readiness()

    async def platform_step(self) -> None:
        """Pending services start; running ones end now and then."""
        for unit, service in self.platform.units().items():
            if service.node_id.removeprefix("node-") in self.down:
                continue
            if service.state is ServiceState.PENDING and self.rng.random() < 0.7:
                self.platform.begin(unit)
            elif service.state is ServiceState.RUNNING and self.rng.random() < 0.3:
                self.platform.stop(unit, self.rng.choice([0, 0, 0, 1]))
        for unit in sorted(self.platform.lingering):
            if self.rng.random() < 0.2:
                self.platform.stop(unit, 143)

    async def advance(self) -> None:
        self.clock.advance(self.rng.choice([0.01, 0.5, 1, 5, 30]))

    async def user(self) -> None:
        existing = self.records.open_jobs()
        name = self.rng.choice(existing) if existing else ""
        what = self.rng.choice(
            ["submit", "submit", "cancel", "delete", "suspend", "change", "extend", "extend"]
        )
        if what == "submit" or not name:
            self.names += 1
            job = Job(
                metadata=ObjectMeta(name=f"job-{self.names}"),
                spec=spec(
                    gpu={"memory": self.rng.choice([0.1, 0.5, 1.0])},
                    duration=self.rng.choice([5, 60]),
                    priority=self.rng.choice([0, 0, 1]),
                    whenUnschedulable=self.rng.choice(["Fail", "Wait"]),
                    retry={"limit": self.rng.choice([0, 2]), "backoff": 1},
                ),
            )
            await self.desired.submit(job, idempotency_key=f"key-{self.names}")
        elif what == "cancel":
            await self.desired.cancel(name)
        elif what == "delete":
            await self.desired.delete(name)
        elif what == "extend":
            await self.extending.extend(name, self.rng.choice([5, 60]), EVERYTHING)
        else:
            job = self.records.find_job(name)
            change: dict[str, Any] = {"suspend": not job.spec.suspend}
            if what == "change":
                change = {"env": {"N": str(self.rng.random())}}
            changed = job.model_copy(update={"spec": job.spec.model_copy(update=change)})
            await self.desired.apply(changed, dry_run=False)

    async def operate(self) -> None:
        """An operator closes a worker, empties it, says until when it is rented, or opens it."""
        name = self.rng.choice(WORKERS)
        what = self.rng.choice(["cordon", "drain", "drain", "rent", "open"])
        if what != "rent":
            closed = what != "open"
            await self.desired.cordon(name, cordoned=closed, drain=what == "drain")
            return
        worker = self.records.workers.get(name)
        if worker is not None:
            until = self.rng.choice([None, self.clock.now() + 90])
            wanted = worker.spec.model_copy(update={"available_until": until})
            await self.desired.apply(worker.model_copy(update={"spec": wanted}), dry_run=False)

    async def open_workers(self) -> None:
        """All, or all but one that stays as it was closed."""
        closed = self.rng.choice([*WORKERS, ""])
        for name in self.records.workers:
            if name != closed:
                wanted = self.records.workers[name].model_copy(update={"spec": WorkerSpec()})
                await self.desired.apply(wanted, dry_run=False)

    async def fault(self) -> None:
        name = self.rng.choice(WORKERS)
        what = self.rng.choice(["api", "node", "cut", "agent", "kill", "back", "back"])
        if what == "api":
            verb = self.rng.choice(["create", "remove", "list_owned", "logs"])
            self.platform.fail_next(verb, Temporary("the engine is busy"), self.rng.randint(1, 3))
        elif what == "node":
            self.down.add(name)
            self.platform.die(f"node-{name}")
            self.agents[name].restart()
        elif what == "cut" and name not in self.down:
            self.cut.add(name)
            if self.rng.random() < 0.5:  # long enough for the platform to notice
                self.platform.node_down(f"node-{name}")
        elif what == "agent" and name not in self.down:
            self.agents[name].restart()
        elif what == "kill" and name not in self.down:
            self.killed.add(name)  # its units run on, and nobody ends them meanwhile
            self.agents[name].restart()
        elif what == "back":
            self.bring_back(name)

    def bring_back(self, name: str) -> None:
        self.killed.discard(name)
        if name in self.down | self.cut:
            self.down.discard(name)
            self.cut.discard(name)
            self.platform.node_up(f"node-{name}")

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

    # The end, and what must hold

    async def settle(self) -> None:
        """No more faults: everything is delivered, time goes on, until nothing is left to do."""
        self.platform.heal()
        for name in WORKERS:
            self.bring_back(name)
        await self.open_workers()
        for round_ in range(400):
            for name in WORKERS:
                self.agents[name].receive(self.server.wanted(name))
                self.agents[name].step()
                await self._report_all(name)
            await self.platform_step()
            await self.list_services()
            await self.room.settled()
            while (key := self.queue.take(self.clock.now())) is not None:
                await self.loop.once(key)
                await self.room.settled()
            if (
                not self.records.open_jobs()
                and not self.platform.units()
                and not self.records.leases
            ):
                return
            self.clock.advance(0.1 if round_ < 50 else 5)
            if self.only_suspended() and round_ > 60:
                return
        raise AssertionError(f"did not settle: {self.describe()}")

    async def _report_all(self, name: str) -> None:
        choice = self.rng.choice
        self.rng.choice = lambda options: name if options is WORKERS else choice(options)  # type: ignore[method-assign]
        try:
            await self.report()
        finally:
            del self.rng.choice

    def only_suspended(self) -> bool:
        jobs = [self.records.find_job(n) for n in self.records.open_jobs()]
        return (
            all(j.spec.suspend and j.status.phase is Phase.PENDING for j in jobs)
            and not self.platform.units()
            and not self.records.leases
        )

    def check(self) -> None:
        """Invariants of every moment."""
        running = self.platform.alive()
        by_job: dict[str, list[str]] = {}
        for unit in running:
            parsed = parse_unit(unit)
            assert parsed
            by_job.setdefault(parsed[0], []).append(unit)
        for uid, units in by_job.items():
            assert len(units) == 1, f"{uid} runs twice: {units}"
        for unit, count in self.platform.starts.items():
            assert count <= 1, f"{unit} was started {count} times"
        wanted: dict[tuple[str, int], int] = {}
        # Of one that is vacated, what it left is being saved, no more.
        for lease in [x for x in self.records.leases.values() if not x.vacated]:
            for device in lease.spec.devices:
                key = (lease.spec.worker, device)
                wanted[key] = wanted.get(key, 0) + lease.spec.memory_milli
        for place, milli in wanted.items():
            assert milli <= 1000, f"{place} is over-committed: {milli}"
        for unit in running - self.platform.lingering:
            assert unit in self.records.leases, f"{unit} runs without a lease"
        for lease in self.records.leases.values():
            if lease.metadata.name not in self._leased:
                self._leased.add(lease.metadata.name)
                self._check_rental(lease)

    def _check_rental(self, lease: Lease) -> None:
        """No new lease goes where no lease may go any more."""
        until = self.records.workers[lease.spec.worker].spec.available_until
        end = lease.spec.not_before + lease.spec.duration
        changed = self.trace[-1] == "operate"  # it was placed before
        assert until is None or end <= until or changed, f"{lease.metadata.name} outlasts a rental"

    def describe(self) -> str:
        jobs = [self.records.find_job(n) for n in self.records.open_jobs()]
        return "\n".join(
            [
                *(f"{j.metadata.name}: {j.status}" for j in jobs),
                *(f"{s}" for s in self.platform.units().values()),
                *(f"{x}" for x in self.records.leases.values()),
                *(f"{a.name}: {a.held}" for a in self.agents.values()),
            ]
        )
