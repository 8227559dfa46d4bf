"""Random schedules of every fault of a fleet: nothing runs twice, no share is given twice, all jobs
end, and nothing is left.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from simfaults import Faults


async def play(folder: Path, seed: int, steps: int) -> Faults:
    folder.mkdir()
    sim = Faults(folder, seed)
    try:
        await sim.begin()
        for _ in range(steps):
            await sim.step()
            sim.check()
        await sim.settle()
    except Exception as error:  # a bug that raises needs its seed as much as a broken invariant
        trail = " ".join(sim.trace[-60:])
        raise AssertionError(f"seed {seed}: {error}\nlast steps: {trail}") from error
    return sim


@pytest.mark.parametrize("batch", range(10))
async def test_the_fleet_survives(tmp_path: Path, batch: int) -> None:
    started = noted = 0
    for seed in range(batch * 20, batch * 20 + 20):
        sim = await play(tmp_path / str(seed), seed, 80)
        started += len(sim.swarm.starts)
        noted += sim.noted
    assert started > 20, "the schedules hardly ran anything"
    assert noted > 2, "hardly anything was left by any"


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(100))
async def test_the_fleet_survives_for_long(tmp_path: Path, batch: int) -> None:
    for seed in range(10**6 + batch * 100, 10**6 + batch * 100 + 100):
        await play(tmp_path / str(seed), seed, 250)
