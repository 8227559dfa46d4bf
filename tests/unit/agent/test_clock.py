"""The agent's clock, which goes on while its machine sleeps."""

from __future__ import annotations

import asyncio
import time

import pytest
from cumulus.chronos_bindings.agent.clock import LONGEST_SLEEP, SystemClock


class Machine:
    """Time since boot, and a loop whose timers stand still while the machine sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *asleep: float) -> None:
        self.asleep = list(asleep)
        self.pauses: list[float] = []
        self.boot = 5000.0
        monkeypatch.setattr(time, "clock_gettime", self.read)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    def read(self, clock: int) -> float:
        assert clock == time.CLOCK_BOOTTIME
        return self.boot

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.boot += seconds + (self.asleep.pop(0) if self.asleep else 0.0)


async def test_a_timer_wakes_soon_after_the_machine_has_slept_past_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, 3600.0)
    await SystemClock().sleep_until(5600.0)
    assert machine.pauses == [LONGEST_SLEEP, 0.0]


async def test_it_sleeps_until_the_moment_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    await SystemClock().sleep_until(5002.5)
    assert (machine.pauses, machine.boot) == ([1.0, 1.0, 0.5], 5002.5)
    await SystemClock().sleep_until(4000.0)
    assert machine.pauses[3:] == [0.0]  # the loop has its turn all the same
