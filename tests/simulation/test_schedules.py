"""Random schedules with crashes, lost and repeated messages and API errors always settle."""

from __future__ import annotations

from pathlib import Path

import pytest
from simworld import Simulation


async def play(folder: Path, seed: int, steps: int) -> Simulation:
    folder.mkdir()
    sim = Simulation(folder, seed)
    try:
        for _ in range(steps):
            await sim.step()
            sim.check()
        await sim.settle()
        sim.check()
    except Exception as error:  # a bug that raises needs its seed as much as a broken invariant
        trail = " ".join(sim.trace[-40:])
        raise AssertionError(f"seed {seed}: {error}\nlast steps: {trail}") from error
    return sim


@pytest.mark.parametrize("batch", range(20))
async def test_settles(tmp_path: Path, batch: int) -> None:
    ended = 0
    for seed in range(batch * 100, batch * 100 + 100):
        sim = await play(tmp_path / str(seed), seed, 60)
        ended += len(sim.platform.starts)
    assert ended > 50, "the schedules hardly ran anything"


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(50))
async def test_settles_long(tmp_path: Path, batch: int) -> None:
    for seed in range(10**6 + batch * 200, 10**6 + batch * 200 + 200):
        await play(tmp_path / str(seed), seed, 300)
