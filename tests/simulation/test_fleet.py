"""Many workers and jobs, with workers that die, agents that are cut off and controllers that start
anew in the middle: nothing is over-committed, nothing runs twice, everything ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from simfleet import Faults, Fleet

Make = Callable[..., Fleet]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Fleet] = []

    def one(**fields: object) -> Fleet:
        made.append(Fleet(tmp_path / f"logs-{len(made)}", **fields))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for fleet in made:
        fleet.room.close()
        fleet.logs.close()
        fleet.store.close()


async def play(fleet: Fleet, jobs: int, pieces: int) -> None:
    """Jobs come in pieces, a second apart; all of them end, and nothing of them is left."""
    for _ in range(2):  # the workers come first
        await fleet.one_second()
    for _ in range(pieces):
        await fleet.submit(jobs // pieces)
        await fleet.one_second()
        fleet.check()
    await fleet.run(limit=5000)
    ended = fleet.settled()
    assert ended.total() == jobs
    assert set(ended) <= {"Succeeded", "Failed", "TimedOut"}
    assert ended["Succeeded"] > jobs // 2


async def test_very_many_jobs_on_many_workers(make: Make) -> None:
    await play(make(workers=100), 2000, 4)


@pytest.mark.parametrize("seed", [1, 2])
async def test_faults_at_that_size(make: Make, seed: int) -> None:
    faults = Faults(
        die={8: 5, 40: 10, 90: 5}, cut={5: 10, 30: 20, 70: 10}, restart=frozenset({12, 45, 46, 100})
    )
    fleet = make(workers=100, seed=seed, faults=faults)
    await play(fleet, 1200, 6)
    assert fleet.tally.admitted > 1200, "no fault cost anyone an attempt"


async def test_a_store_on_disk_and_many_at_a_time(make: Make, tmp_path: Path) -> None:
    fleet = make(workers=20, store=tmp_path / "store")
    await play(fleet, 300, 3)


@pytest.mark.soak
async def test_a_thousand_workers_and_fifty_thousand_jobs_with_faults(make: Make) -> None:
    seconds = range(10, 2000, 60)
    faults = Faults(
        die=dict.fromkeys(seconds, 10),
        cut=dict.fromkeys((s + 20 for s in seconds), 20),
        restart=frozenset(s + 40 for s in seconds[::3]),
    )
    await play(make(workers=1000, faults=faults), 50_000, 10)
