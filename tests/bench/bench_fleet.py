"""How much a fleet costs one controller: 1,000 workers and 50,000 jobs, and whole lives of some.

Everything of the controller is real but the sockets; workers are played (`support/simfleet.py`).
Its store and its spools lie in memory, so that not this machine's disk is measured but the work.
Seconds are those of one core, without the played parts: others on the machine do not count.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from cumulus.crd_like_specs.job import Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from loguru import logger
from make import spec
from simfleet import Fleet, cpu

WORKERS = 1_000
JOBS = 50_000
LIVES = 5_000
EASY = 5_000
"""So many of the jobs have room on that fleet at once."""
LATENCIES = 20
MEMORY = Path("/dev/shm")

KUEUE = {
    "what": "Kueue, its published baseline: 15,000 workloads in 351 s, at 0.4 of a core",
    "jobs": 15_000,
    "admissions_per_second": 15_000 / 351.1,
    "note": "of real time; 108 per second of core. Average of five runs, from the comment in "
    "test/performance/scheduler/configs/baseline/rangespec.yaml of kubernetes-sigs/kueue. "
    "Another machine, and another task: quotas of 30 queues behind a real API server, no nodes, "
    "workloads created over a minute; here places on devices, leases and the jobs' whole lives",
}


async def _ready(folder: Path, **fields: Any) -> Fleet:
    fleet = Fleet(folder, workers=WORKERS, **fields)
    for _ in range(2):
        await fleet.one_second()
    fleet.tally.begin()
    return fleet


async def _room_for_all(folder: Path) -> dict[str, Any]:
    """Jobs come to an idle fleet."""
    fleet = await _ready(folder)
    await fleet.submit(EASY)
    begun, since = cpu(), time.perf_counter()
    await fleet.drain()
    seconds, real = cpu() - begun, time.perf_counter() - since
    fleet.check()
    return {
        "what": f"{WORKERS:,} idle workers, {EASY:,} jobs: all are given their leases",
        "jobs": fleet.tally.admitted,
        "admissions_per_second": fleet.tally.admitted / seconds,
        "plans_per_second": fleet.tally.plans / seconds,
        "note": f"{fleet.tally.admitted / real:,.0f} per second of real time",
    }


async def _crowd(folder: Path) -> list[dict[str, Any]]:
    """Many more come than there is room for."""
    fleet = await _ready(folder)
    await fleet.submit(JOBS)
    begun = cpu()
    await fleet.drain()
    seconds = cpu() - begun
    first = {
        "what": f"{WORKERS:,} idle workers, {JOBS:,} jobs: each is placed, or told why it waits",
        "jobs": JOBS,
        "admissions_per_second": fleet.tally.admitted / seconds,
        "plans_per_second": fleet.tally.plans / seconds,
        "note": f"{JOBS / seconds:,.0f} jobs a second; {fleet.tally.admitted:,} had room",
    }
    waiting = len(fleet.records.waiting())
    latency = await _latency(fleet)
    new = {
        "what": f"one new job among {waiting:,} that wait: submitted to leased",
        "jobs": LATENCIES,
        "median_ms": statistics.median(latency) * 1e3,
        "note": f"real time; the slowest took {max(latency) * 1e3:.1f} ms",
    }
    return [first, new]


async def _lives(folder: Path) -> dict[str, Any]:
    """All run to their ends; `just soak` does that with all of the crowd."""
    fleet = await _ready(folder)
    await fleet.submit(LIVES)
    begun_at = fleet.second
    tally = await fleet.run()
    ended = fleet.settled()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "what": f"{WORKERS:,} workers, {LIVES:,} jobs: their lives, to the last service removed",
        "jobs": tally.admitted,
        "admissions_per_second": tally.admitted / tally.controller,
        "plans_per_second": tally.plans / tally.controller,
        "note": f"peak memory {peak:,.0f} MiB; {fleet.second - begun_at:,} simulated seconds; "
        + ", ".join(f"{count:,} {phase}" for phase, count in ended.items()),
    }


async def _latency(fleet: Fleet) -> list[float]:
    """Seconds of real time for each of some jobs that need no GPU, one after the other."""
    small: JobSpec = spec(gpu=None, resources={"cpus": "10m", "memory": "16Mi"})
    found = []
    for number in range(LATENCIES):
        begun = time.perf_counter()
        wanted = Job(metadata=ObjectMeta(name=f"new-{number}"), spec=small)
        job = await fleet.desired.submit(wanted, idempotency_key="")
        while not fleet.world.leases_of(job.metadata.uid):
            key = fleet.queue.take(fleet.clock.now())
            assert key is not None, "nobody looks at it"
            await fleet.loop.once(key)
        found.append(time.perf_counter() - begun)
        await fleet.drain()
    return found


def run(folder: Path) -> list[dict[str, Any]]:
    """Rows; rates are per second of one core unless the note says otherwise."""
    base = MEMORY / folder.name if MEMORY.is_dir() else folder
    logger.disable("cumulus")
    try:
        room = asyncio.run(_room_for_all(base / "room"))
        crowd = asyncio.run(_crowd(base / "crowd"))
        return [room, *crowd, asyncio.run(_lives(base / "lives")), KUEUE]
    finally:
        logger.enable("cumulus")
        if base != folder:
            shutil.rmtree(base, ignore_errors=True)
