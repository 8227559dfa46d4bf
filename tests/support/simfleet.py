"""Very many workers and jobs in one thread and virtual time: everything of the controller is real,
as in `simworld`, whose wiring is used; the platform and the agents are played (`simfleet_parts`).
Second by second, and with faults where they are asked for.

Used by `tests/simulation/test_fleet.py`, and by `tests/bench/bench_fleet.py` for what it costs.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cumulus.api.frames import LogBatch
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.documents import INDEXES, JOBS
from cumulus.controller.store import Store
from cumulus.crd_like_specs.job import Job, JobSpec, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from make import spec
from simfleet_parts import FleetAgent, FleetPlatform
from simparts import output_of
from simworld import Simulation

LOOPS = 8  # as many keys at a time as the controller's own loop
AWAY = 150.0  # seconds until a machine that died is back


@dataclass
class Faults:
    """What goes wrong, by second: workers that die, agents that are cut off, and restarts of the
    controller.
    """

    die: dict[int, int] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)
    restart: frozenset[int] = frozenset()


@dataclass
class Tally:
    """What it cost. plans: passes of the plan; admitted: leases that were made; seconds, played,
    submitting: of one core, in all, for the played parts, and for taking jobs in; virtual: seconds
    that the simulated clock went on.
    """

    plans: int = 0
    admitted: int = 0
    seconds: float = 0.0
    played: float = 0.0
    virtual: float = 0.0
    submitting: float = 0.0

    @property
    def controller(self) -> float:
        """Seconds of one core that the controller alone took."""
        return self.seconds - self.played

    def begin(self) -> None:
        """Count costs from here on, for what comes."""
        self.plans = self.admitted = 0
        self.seconds = self.played = self.virtual = 0.0


def cpu() -> float:
    """Seconds of one core used so far: others on the machine do not count."""
    return time.process_time()


def shapes(chance: random.Random, count: int) -> list[JobSpec]:
    """So many different jobs: shares, counts, times, priorities and CPUs as people ask for them."""
    return [
        spec(
            gpu={
                "memory": chance.choice([0.1, 0.25, 0.25, 0.5, 0.5, 1.0]),
                "count": chance.choice([1, 1, 1, 1, 1, 1, 1, 1, 2, 4]),
            },
            resources={"cpus": chance.choice([1, 2, 4]), "memory": "4Gi"},
            duration=chance.choice([60, 120, 300]),
            priority=chance.choice([0, 0, 0, 5, 10]),
            retry={"limit": 5, "backoff": 1},
        )
        for _ in range(count)
    ]


class Fleet(Simulation):
    """workers, jobs: how many. store: folder of a real store, None for one in memory."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int,
        seed: int = 1,
        kinds: int = 40,
        faults: Faults | None = None,
        store: Path | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.folder = folder
        self.faults = faults or Faults()
        self.names_of_workers = [f"w{n:04d}" for n in range(workers)]
        self.platform = FleetPlatform(self.clock, [f"node-{n}" for n in self.names_of_workers])
        self.agents = {
            name: FleetAgent(name, self.platform, self.clock) for name in self.names_of_workers
        }
        self.kinds = shapes(self.rng, kinds)
        self.store = Store.open(store, indexes=INDEXES)
        self.down, self.cut, self.killed = set(), set(), set()
        self.dirty: set[str] = set(self.names_of_workers)  # workers whose wanted set changed
        self.news: set[str] = set(self.names_of_workers)  # whose agents have news
        self.logged: set[str] = set()
        self.back: list[tuple[float, str]] = []
        self.ends: list[tuple[float, str]] = []
        self.tally = Tally()
        self.names = 0
        self.second = 0
        self.start()

    def start(self) -> None:
        super().start()
        admit, plans = self.records.put_lease, self.reconciler._decide

        async def put_lease(*args: Any, **kwargs: Any) -> Any:
            self.tally.admitted += kwargs.get("expect") == 0
            return await admit(*args, **kwargs)

        async def decide(*args: Any) -> Any:
            self.tally.plans += 1
            return await plans(*args)

        self.records.put_lease = put_lease  # type: ignore[method-assign]
        self.reconciler._decide = decide  # type: ignore[method-assign]
        self.dirty |= set(self.names_of_workers)

    def wanted_changed(self, worker_name: str) -> None:
        self.dirty.add(worker_name)

    # A life

    async def submit(self, count: int) -> None:
        """So many new jobs."""
        begun = cpu()
        for _ in range(count):
            self.names += 1
            job = Job(
                metadata=ObjectMeta(name=f"job-{self.names:06d}"), spec=self.rng.choice(self.kinds)
            )
            await self.desired.submit(job, idempotency_key="")
        self.tally.submitting += cpu() - begun

    async def run(self, *, limit: int = 100_000, check_every: int = 10) -> Tally:
        """Second by second until no job is open."""
        begun = cpu()
        began = self.clock.now()
        while self.store.count(JOBS, "open", "1"):
            assert self.second < limit, f"not over after {limit} s: {self.outline()}"
            await self.one_second()
            if self.second % check_every == 0:
                self._checked()
        self._checked()
        self.tally.seconds += cpu() - begun
        self.tally.virtual = self.clock.now() - began
        return self.tally

    def _checked(self) -> None:
        begun = cpu()
        self.check()
        self.tally.played += cpu() - begun

    async def one_second(self) -> None:
        """Everything hears of everything, and what is due is done."""
        begun = cpu()
        self._break()
        here = [n for n in self.names_of_workers if n not in self.down and n not in self.cut]
        self._play(here)
        self.tally.played += cpu() - begun
        for name in here:
            self.server.heard(name)
        await self._report(here)
        await self.list_services()
        await self.drain()
        self.clock.advance(1)
        self.second += 1

    async def drain(self) -> None:
        """Every key that is due, several at a time."""

        async def one() -> None:
            while (key := self.queue.take(self.clock.now())) is not None:
                await self.loop.once(key)

        while self.queue.next_due() == float("-inf") or self._later():
            await asyncio.gather(*(one() for _ in range(LOOPS)))
            await self.room.settled()

    def _later(self) -> bool:
        due = self.queue.next_due()
        return due is not None and due <= self.clock.now()

    def _play(self, here: list[str]) -> None:
        """What machines and agents do in a second."""
        now = self.clock.now()
        for unit in self.platform.begin_all():
            heapq.heappush(self.ends, (now + self.rng.randint(20, 90), unit))
        while self.ends and self.ends[0][0] <= now:
            _, unit = heapq.heappop(self.ends)
            self.platform.stop(unit, 0 if self.rng.random() < 0.97 else 1)
            self.news.add(self.platform.home[unit].removeprefix("node-"))
        for name in here:
            if name in self.dirty:
                self.agents[name].receive(self.server.wanted(name))
        for name, agent in self.agents.items():
            if name not in self.down and (name in self.dirty or agent.due(now)):
                agent.step()
                self.news.add(name)
        self.dirty -= set(here)

    async def _report(self, here: list[str]) -> None:
        for name in here:
            if name not in self.news:
                continue
            self.news.discard(name)
            agent = self.agents[name]
            await self.server.report(agent.report())
            for unit in list(agent.held):
                service = self.platform.seen(unit)
                if service and service.state.ended and unit not in self.logged:
                    self.logged.add(unit)
                    await self.server.logs(LogBatch(unit, output_of(service.exit_code), 2))

    def _break(self) -> None:
        """Faults of this second, and who comes back."""
        now = self.clock.now()
        while self.back and self.back[0][0] <= now:
            _, name = heapq.heappop(self.back)
            self.bring_back(name)
            self.dirty.add(name)
            self.news.add(name)
        whole = [n for n in self.names_of_workers if n not in self.down and n not in self.cut]
        for name in self.rng.sample(whole, self.faults.die.get(self.second, 0)):
            self.down.add(name)
            self.platform.die(f"node-{name}")
            self.agents[name].restart()
            heapq.heappush(self.back, (now + AWAY, name))
        whole = [n for n in whole if n not in self.down]
        for name in self.rng.sample(whole, self.faults.cut.get(self.second, 0)):
            self.cut.add(name)
            if self.rng.random() < 0.5:  # long enough for the platform to notice
                self.platform.node_down(f"node-{name}")
            heapq.heappush(self.back, (now + self.rng.choice([5, 40, 200]), name))
        if self.second in self.faults.restart:
            self.room.close()
            self.logs.close()
            self.start()

    # What must hold

    def check(self) -> None:
        wanted: Counter[tuple[str, int]] = Counter()
        cpus: Counter[str] = Counter()
        # Of one that is vacated, what it left is being saved, no more.
        for lease in [x for x in self.records.leases.values() if not x.vacated]:
            cpus[lease.spec.worker] += lease.spec.cpus
            for device in lease.spec.devices:
                wanted[lease.spec.worker, device] += lease.spec.memory_milli
        for place, milli in wanted.items():
            assert milli <= 1000, f"{place} is over-committed: {milli}"
        for name, agent in self.agents.items():
            assert cpus[name] <= agent.status.cpus, f"{name} is over-committed: {cpus[name]}"
            for device, milli in agent.used().items():
                assert milli <= 1000, f"{name}'s device {device} holds {milli}"
        for units in self.platform.on_node.values():
            for unit in units:
                there = unit in self.records.leases or not self.platform.seen(unit)
                assert there, f"{unit} runs without a lease"

    def settled(self) -> Counter[str]:
        """How many jobs ended how; nothing of any of them may be left."""
        assert not self.records.leases
        assert not self.platform.units()
        assert not any(self.platform.on_node.values())
        return Counter({p.value: n for p in Phase if (n := self.records.count_in(p))})

    def outline(self) -> str:
        """Where everything stands, in a line."""
        phases = {p.value: n for p in Phase if (n := self.records.count_in(p))}
        return f"second {self.second}: {phases}, {len(self.records.leases)} leases"
