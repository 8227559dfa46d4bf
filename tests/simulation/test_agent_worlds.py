"""A worker through random days: whatever happens, shares and units obey their leases."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState

from ..unit.agent.conftest import World, unit

STEPS = 60
OVERRUN = {False: 3.5, True: 7.0}
"""Seconds after a lease's end, or after a start later than that, by which nothing of it may run:
with faults of the engine, and with events that are missed as well.
"""


class Day:
    """One world, and the controller's side of it as far as the agent can tell."""

    def __init__(self, world: World, chance: random.Random, *, deaf: bool) -> None:
        self.world, self.chance, self.deaf = world, chance, deaf
        self.leases: dict[int, LeaseWanted] = {}
        self.ends: dict[int, float] = {}  # first known end, seconds of the monotonic clock
        self.longer: dict[int, int] = {}  # extensions that no end has shown yet
        self.next = 1

    async def step(self) -> None:
        act = self.chance.choice(
            [
                *(self.want, self.want, self.start, self.start, self.finish, self.revoke),
                *(self.unwant, self.wait, self.wait, self.wait, self.repeat, self.silence),
                *(self.lose_shares, self.engine_fault, self.restart, self.extend),
            ]
        )
        await act()
        self.check()

    async def want(self) -> None:
        if len(self.leases) < 4:
            number, self.next = self.next, self.next + 1
            self.leases[number] = self.world.lease(
                number,
                memory_milli=250,
                duration=self.chance.choice([1, 3, 20, 200]),
                code_digest=self.chance.choice(["", self.world.lease().code_digest]),
            )
        await self.repeat()

    async def repeat(self) -> None:
        """The controller says again what it wants; once held, with the end it was told."""
        for number, lease in self.leases.items():
            status = self.world.status(number)
            if status and status.expires_at:
                ends = max(status.expires_at, status.held_at + lease.spec.duration)
                spec = lease.spec.model_copy(update={"not_after": ends})
                self.leases[number] = LeaseWanted(
                    lease.name, spec, lease.code_digest, args_json="[]", image="img"
                )
        await self.world.tell(*self.leases.values())

    async def start(self) -> None:
        """A service begins only where the lease was seen held, but it may be late."""
        begun = (LeaseState.HELD, LeaseState.ENDING, LeaseState.ENDED)
        for number in self.leases:
            fresh = unit(number) not in self.world.runtime.units
            if fresh and self.world.state(number) in begun:
                self.world.runtime.start(unit(number))
        await self.world.clock.advance(0)

    async def finish(self) -> None:
        running = sorted(self.world.runtime.running())
        if running:
            self.world.runtime.end(self.chance.choice(running))
        await self.world.clock.advance(0)

    async def extend(self) -> None:
        """As the controller does it: the same lease, with a longer duration."""
        if self.leases:
            number = self.chance.choice(sorted(self.leases))
            lease, longer = self.leases[number], self.chance.choice([1, 30])
            spec = lease.spec.model_copy(update={"duration": lease.spec.duration + longer})
            self.leases[number] = LeaseWanted(
                lease.name, spec, lease.code_digest, args_json="[]", image="img"
            )
            self.longer[number] = self.longer.get(number, 0) + longer
        await self.repeat()

    async def revoke(self) -> None:
        for number, lease in list(self.leases.items())[:1]:
            spec = lease.spec.model_copy(update={"revoked": "Cancelled", "grace": 5.0})
            self.leases[number] = LeaseWanted(lease.name, spec, lease.code_digest)
        await self.repeat()

    async def unwant(self) -> None:
        if self.leases:
            del self.leases[self.chance.choice(sorted(self.leases))]
        await self.repeat()

    async def wait(self) -> None:
        self.world.runtime.obeys = self.chance.choice([None, 0.1, 0.5])
        await self.world.clock.advance(self.chance.choice([0.05, 0.7, 3, 30]))

    async def silence(self) -> None:
        await self.world.lose_contact()

    async def lose_shares(self) -> None:
        self.world.partitioner.die()
        await self.world.clock.advance(1.1)

    async def engine_fault(self) -> None:
        verb = self.chance.choice(["signal", "kill", "verify", "list"])
        self.world.runtime.fail_next(verb, self.chance.choice([Temporary, Permanent])("engine"))
        self.world.runtime.mute = self.deaf and self.chance.random() < 0.3

    async def restart(self) -> None:
        await self.world.crash()
        await self.world.clock.advance(self.chance.choice([0, 0.5]))
        await self.world.boot()

    def check(self) -> None:
        now, running = self.world.clock.monotonic(), self.world.runtime.running()
        for report in self.world.keeper.reports():
            number = int(report.name.split("-")[1], 16)
            if report.status.expires_at:
                left = report.status.expires_at - self.world.clock.wall()
                known = self.ends.setdefault(number, now + left)
                moved, longer = now + left - known, self.longer.get(number, 0)
                if moved == pytest.approx(longer, abs=1e-3):
                    self.ends[number] = known + self.longer.pop(number, 0)
                elif moved > 1e-3:  # some of it came too late
                    assert moved < longer + 1e-3, "an end moves by extension only"
                    self.ends[number] = known + moved
                else:
                    assert moved == pytest.approx(0, abs=1e-3), "an end never moves back"
            if report.status.state is LeaseState.ENDED:
                assert not report.status.partition_ids
            if report.status.state is LeaseState.HELD:
                assert now <= self.ends[number]
        for name in running:
            number = int(name.split("-")[1], 16)
            started = self.world.runtime.units[name].started_at - self.world.clock.wall() + now
            last = max(self.ends[number], started) + OVERRUN[self.deaf]
            assert now <= last, "it outlived its lease"
        held = sum(p.memory_milli for p in self.world.partitioner.list())
        reported: list[Any] = [
            p for r in self.world.keeper.reports() for p in r.status.partition_ids
        ]
        assert len(set(reported)) == len(reported)
        assert held <= 1000


@pytest.mark.parametrize("seed", range(24))
async def test_a_random_day_ends_clean(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path)
    await world.boot()
    day = Day(world, random.Random(seed), deaf=seed % 2 == 1)
    for _ in range(STEPS):
        await day.step()
    day.leases.clear()
    await day.repeat()
    await world.clock.advance(60)
    assert world.keeper.reports() == ()
    assert world.runtime.running() == set()
    assert world.partitioner.list() == []
    assert list((tmp_path / "staging").iterdir()) == []
    await world.crash()
