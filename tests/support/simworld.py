"""A whole Cumulus in one thread, with a virtual clock: real records, world, executor, reconciler,
agents' sessions and spools; a fake platform (the one the contract suite holds to the real ones);
and agents that are played. A seeded schedule decides what happens next, and what goes wrong.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from cumulus.api.frames import LogBatch
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.documents import INDEXES
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import CumulusError, Temporary
from cumulus.crd_like_specs.identity import parse_unit
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import Lease
from simcontroller import Crash
from simparts import HarshPlatform, PlayedAgent, output_of
from simusers import WORKERS, Users


class Simulation(Users):
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
                records = output_of(service.exit_code)
                batch = LogBatch(unit, records, 2)
                if self.rng.random() < 0.5:
                    await self.server.logs(LogBatch(unit, records[:1], None))
                await self.server.logs(batch)

    async def agent_step(self) -> None:
        name = self.rng.choice(WORKERS)
        if name not in self.killed | self.down:
            self.agents[name].step()

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
