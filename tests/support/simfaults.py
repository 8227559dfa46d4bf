"""A fleet through every fault it is built for: machines that die and come back, agents and
controllers that are killed, wires cut both ways and one way, clocks that are set, full disks,
operators who vouch for the dead. A seeded schedule decides; see `simworld` for what it stands on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cumulus.controller.reconcile.certainty import over_at
from cumulus.controller.reconcile.cleanup import times_of, worker_of
from cumulus.controller.runtime.documents import INDEXES
from cumulus.controller.runtime.workers import Signals, Workers
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import CumulusError, Temporary
from cumulus.crd_like_specs.identity import parse_unit, unit_name
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.lease import LeaseSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import WorkerSpec
from make import spec
from simagent import SimAgent
from simcontroller import Crash
from simlinks import Link, Talk
from simnet import ControllerClock, Swarm, Time, Wire
from simworld import Simulation

WORKERS = ("n1", "n2", "n3")
TICK = 0.5
STRAY = 2.0
"""Seconds in which a worker ends what its platform starts too late."""

HOUR = 3600.0


class Faults(Talk, Simulation):
    """One fleet and one schedule."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.time = Time()
        self.wall_off, self.boot = 0.0, 1
        self.platform = Swarm(self.time, [f"node-{n}" for n in WORKERS])  # type: ignore[assignment]
        self.swarm: Swarm = self.platform  # type: ignore[assignment]
        self.fleet = {n: SimAgent(n, self.swarm, self.time) for n in WORKERS}
        self.links = {n: Link(Wire(self.time), Wire(self.time)) for n in WORKERS}
        self.restarts: dict[str, float] = {}
        self.off: set[str] = set()  # agents that nobody starts again
        self.store = Store.open(None, indexes=INDEXES)
        self.trace: list[str] = []
        self.names = 0
        self.shares: dict[str, LeaseSpec] = {}
        self.seen: set[str] = set()
        self.brought: dict[str, str] = {}  # lease → uid of its job
        self.noted = 0
        self.start()

    def start(self) -> None:
        """A new controller process; whoever was connected to the one before it is not."""
        self.clock = ControllerClock(self.time, self.wall_off, self.boot)  # type: ignore[assignment]
        super().start()
        self.workers = Workers(
            self.records,
            self.world,
            self.server,
            self.platform,
            self.clock,
            Signals(self.queue.add, self.room.workers_changed),
        )
        for name in WORKERS:
            self.links[name].session = None

    def wanted_changed(self, worker_name: str) -> None:
        self.server.wanted_changed(worker_name)

    # Time

    async def advance(self) -> None:
        await self.pass_time(self.rng.choice([0.5, 0.5, 1, 1, 3, 10, 30]))

    async def pass_time(self, seconds: float) -> None:
        end = self.time.mono + seconds
        while self.time.mono < end:
            self.time.mono += TICK
            self.swarm.tick()
            for name, at in list(self.restarts.items()):
                if self.time.mono >= at and self.swarm.nodes_[f"node-{name}"].up:
                    del self.restarts[name]
                    self.fleet[name].start()
            for name in WORKERS:
                if self.fleet[name].records is not None:
                    self.fleet[name].tick()
                await self._talk(name, self.links[name])
            self.check_enforced()

    # What may happen

    async def begin(self) -> None:
        """A fleet at work."""
        for _ in range(3):
            await self.submit()
        for _ in range(5):
            await self.work()
            await self.platform_step()

    async def step(self) -> None:
        verbs: dict[Callable[[], Any], int] = {
            self.work: 8,
            self.list_services: 3,
            self.platform_step: 3,
            self.advance: 5,
            self.user: 1,
            self.operate: 1,
            self.fault: 4,
        }
        verb = self.rng.choices([*verbs, self.crash], [*verbs.values(), 0.5])[0]
        self.trace.append(verb.__name__)
        try:
            await verb()
        except CumulusError:
            pass  # a user's call was refused, as it may be
        except Crash:
            self.trace.append("CRASH")
            self.room.close()
            self.swarm.heal()
            self.start()
        await self.room.settled()

    async def work(self) -> None:
        """The controller does most of what is due, and sees what came of it."""
        for _ in range(self.rng.choice([1, 3, 6])):
            await self.reconcile_some()
            await self.pass_time(TICK)
        await self.list_services()

    async def platform_step(self) -> None:
        for unit in self.swarm.pending():
            if self.rng.random() < 0.7:
                self.swarm.begin(unit)
        for unit in sorted(self.swarm.alive):
            if self.rng.random() < 0.03:
                self.swarm.end(unit, self.rng.choice([0, 0, 0, 1]))
        self.swarm.tick()

    async def user(self) -> None:
        if self.rng.random() < 0.3:
            await super().user()
            return
        await self.submit()

    async def submit(self) -> None:
        self.names += 1
        job = Job(
            metadata=ObjectMeta(name=f"job-{self.names}"),
            spec=spec(
                gpu={"memory": self.rng.choice([0.3, 0.5, 1.0])},
                duration=self.rng.choice([30, 60, 120]),
                stopAfterDisconnect=self.rng.choice([0, 10, 20]),
                retry={"limit": 3, "backoff": 1},
                whenUnschedulable="Wait",
            ),
        )
        await self.desired.submit(job, idempotency_key=f"key-{self.names}")

    async def operate(self) -> None:
        """An operator closes, empties, opens a worker, or vouches for one that is really dead."""
        name = self.rng.choice(WORKERS)
        what = self.rng.choice(["drain", "open", "fence", "fence", "fence", "unfence"])
        if what == "fence" and not self.swarm.nodes_[f"node-{name}"].up:
            await self.workers.fence(name, fenced=True)
        elif what == "unfence":
            await self.workers.fence(name, fenced=False)
        elif what in ("drain", "open"):
            await self.desired.cordon(name, cordoned=what == "drain", drain=what == "drain")

    async def fault(self) -> None:
        name = self.rng.choice(WORKERS)
        faults: list[Callable[[str], None]] = [
            *(self.f_machine, self.f_agent, self.f_agent, self.f_agent_off, self.f_cut),
            *(self.f_cut_up, self.f_cut_down, self.f_slow, self.f_node_cut, self.f_wall),
            *(self.f_api, self.f_disk, self.f_stubborn),
            *[self.f_island] * 3,
            *[self.f_machine_back] * 3,
            *[self.f_wire_back] * 6,
            *[self.f_node_back] * 3,
        ]
        what = self.rng.choice(faults)
        self.trace.append(f"{what.__name__[2:]}({name})")
        what(name)

    def f_api(self, _: str) -> None:
        verb = self.rng.choice(["create", "remove", "list_owned", "logs"])
        self.swarm.fail_next(verb, Temporary("the engine is busy"), self.rng.randint(1, 3))

    def f_machine(self, name: str) -> None:
        self.swarm.die(f"node-{name}")
        self.fleet[name].kill()
        self.restarts.pop(name, None)
        self.off.discard(name)

    def f_machine_back(self, name: str) -> None:
        node = self.swarm.nodes_[f"node-{name}"]
        if not node.up:
            node.up = True
            if self.rng.random() < 0.5:  # else only its engine and its agent had died
                self.fleet[name].boot += 1
            self.restarts[name] = self.time.mono + self.rng.choice([0.5, 2, 20])

    def f_agent(self, name: str) -> None:
        """Killed; its supervisor starts it again."""
        if self.fleet[name].records is not None:
            self.fleet[name].kill()
            self.restarts[name] = self.time.mono + self.rng.choice([0.5, 1, 3])

    def f_agent_off(self, name: str) -> None:
        """Killed for long, on a node that Swarm reaches: only then may nobody start it again."""
        if self.fleet[name].records is not None and self.swarm.nodes_[f"node-{name}"].reached:
            self.fleet[name].kill()
            self.off.add(name)
            self.restarts[name] = self.time.mono + self.rng.choice([10, 60, 200])

    def f_cut(self, name: str) -> None:
        self.links[name].up.cut = self.links[name].down.cut = True

    def f_cut_up(self, name: str) -> None:
        self.links[name].up.cut = True

    def f_cut_down(self, name: str) -> None:
        self.links[name].down.cut = True

    def f_island(self, name: str) -> None:
        """Nobody reaches the machine; it runs on."""
        self.f_cut(name)
        self.f_node_cut(name)

    def f_slow(self, name: str) -> None:
        wire = self.rng.choice([self.links[name].up, self.links[name].down])
        wire.lag = self.rng.choice([0.05, 0.5, 2, 8])

    def f_wire_back(self, name: str) -> None:
        link = self.links[name]
        link.up.cut = link.down.cut = False

    def f_node_cut(self, name: str) -> None:
        if name not in self.off or name not in self.restarts:
            self.off.discard(name)
            self.swarm.nodes_[f"node-{name}"].wired = False

    def f_node_back(self, name: str) -> None:
        self.swarm.nodes_[f"node-{name}"].wired = True

    def f_wall(self, name: str) -> None:
        step = self.rng.choice([-HOUR, HOUR])
        if self.rng.random() < 0.5:
            self.fleet[name].clock.off += step
        else:
            self.wall_off += step  # what the next controller begins with
            self.boot += self.rng.random() < 0.3

    def f_disk(self, name: str) -> None:
        self.fleet[name].file.full = not self.fleet[name].file.full

    def f_stubborn(self, name: str) -> None:
        self.fleet[name].obeys = not self.fleet[name].obeys

    # The end, and what must hold

    async def settle(self) -> None:
        self.swarm.heal()
        for name in WORKERS:
            self.f_wire_back(name)
            self.f_node_back(name)
            self.f_machine_back(name)
            self.links[name].up.lag = self.links[name].down.lag = 0.05
            self.fleet[name].file.full = False
            if name in self.restarts:
                self.restarts[name] = self.time.mono
            if name in self.records.workers:
                await self.workers.fence(name, fenced=False)
                wanted = self.records.workers[name].model_copy(update={"spec": WorkerSpec()})
                await self.desired.apply(wanted, dry_run=False)
        for _ in range(500):
            await self.pass_time(1)
            await self.platform_step()
            await self.list_services()
            await self.room.settled()
            while (key := self.queue.take(self.clock.now())) is not None:
                await self.loop.once(key)
                await self.room.settled()
            self.check()
            if self._all_over() and not self.left():
                return
        raise AssertionError(f"did not settle: {self.describe()}")

    def _all_over(self) -> bool:
        return not self.records.open_jobs() or self.only_suspended()

    def only_suspended(self) -> bool:
        jobs = [self.records.find_job(n) for n in self.records.open_jobs()]
        return all(j.spec.suspend and j.status.phase.rank == 0 for j in jobs)

    def left(self) -> list[str]:
        """What should be gone in the end."""
        return [
            *self.swarm.services,
            *self.swarm.alive,
            *self.records.leases,
            *(unit for agent in self.fleet.values() for unit in agent.records or {}),
            *(unit for agent in self.fleet.values() for unit in agent.folders),
        ]

    def check(self) -> None:
        jobs: dict[str, str] = {}
        for unit in self.swarm.alive:
            parsed = parse_unit(unit)
            assert parsed
            assert parsed[0] not in jobs, f"{parsed[0]} runs twice: {unit} and {jobs[parsed[0]]}"
            jobs[parsed[0]] = unit
        for unit, count in self.swarm.starts.items():
            assert count <= 1, f"{unit} was started {count} times"
        wanted: dict[tuple[str, int], int] = {}
        for name, lease in self.records.leases.items():
            self.shares[name] = lease.spec
            if not lease.vacated:  # else what it left is being saved, no more
                _add(wanted, lease.spec)
        for place, milli in wanted.items():
            assert milli <= 1000, f"{place} is over-committed: {milli}"
        used: dict[tuple[str, int], int] = {}
        for unit in self.swarm.alive:
            _add(used, self.shares[unit])
        for place, milli in used.items():
            assert milli <= 1000, f"{place} is really used by {milli}: {self.swarm.alive}"

    def check_outputs(self) -> None:
        """What an attempt left is on its job's record before its lease is forgotten."""
        for name, lease in self.records.leases.items():
            if lease.status.outputs is not None:
                self.brought[name] = lease.spec.job
        for name in self.brought.keys() - self.records.leases.keys():
            job = self.records.job_by_uid(self.brought.pop(name))
            if job is not None:
                noted = {unit_name(job.metadata.uid, o.attempt) for o in job.status.outputs}
                assert name in noted, f"{name} left something that nobody knows of: {noted}"
                self.noted += 1

    def check_beliefs(self) -> None:
        """What the controller takes for over is over, whether it acts upon that now or not."""
        now = self.clock.now()
        for unit in self.swarm.alive & self.records.leases.keys():
            lease = self.records.leases[unit]
            if lease.spec.worker in self.off:
                continue  # nobody ends it there but the platform, and that it is asked to
            if self.time.mono - self.swarm.started[unit] <= STRAY:
                continue  # it began after its lease was over, and is being killed
            if lease.status.state.freed and lease.metadata.deletion_timestamp is None:
                continue  # nothing else begins before it is released, and that is waited out
            seen = self.world.seen_orphan(lease.spec.job, now)
            over = over_at(lease, times_of(lease, seen), worker_of(lease, seen.workers))
            assert over is None or now < over, f"{unit} counts as over and runs"

    def check_enforced(self) -> None:
        """A worker's own enforcement, whatever else is broken."""
        self.check()
        self.check_beliefs()
        self.check_outputs()
        now = self.time.mono
        for agent in self.fleet.values():
            for unit in self.swarm.on(agent.node) if agent.records is not None else ():
                record = (agent.records or {}).get(unit)
                if record is not None and record.deadline is not None:
                    assert now <= max(record.deadline, agent.since) + 3, (
                        f"{unit} outlived its lease"
                    )

    def describe(self) -> str:
        jobs = [self.records.find_job(n) for n in self.records.open_jobs()]
        return "\n".join(
            [
                *(f"{j.metadata.name}: {j.status}" for j in jobs),
                *(f"{s}" for s in self.swarm.services.values()),
                *(f"{x}" for x in self.records.leases.values()),
                *(f"{a.name}: {a.records}" for a in self.fleet.values()),
                *(f"{w}" for w in self.world.workers(self.clock.now())),
                f"left: {self.left()}",
            ]
        )


def _add(used: dict[tuple[str, int], int], lease: LeaseSpec) -> None:
    for device in lease.devices:
        key = (lease.worker, device)
        used[key] = used.get(key, 0) + lease.memory_milli
