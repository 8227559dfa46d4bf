"""The clock of a worker is set by an hour while a job runs: its lease ends at the right time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Worker
from manifests import check_counted, counts
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

HOUR = 3600
DURATION = 7
OVERRUN = 2.0


SLEEP = """
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    return syscall(SYS_clock_nanosleep, clock, flags, wanted, left) ? errno : 0;
}
"""
"""libfaketime 0.9.10, Debian 12's, turns the monotonic sleeps of Python 3.11 into errors."""


@pytest.fixture
def offset(fleet: Cluster, tmp_path: Path) -> Iterator[Path]:
    """The file that says how many seconds the wall clock of n1's agent is ahead."""
    worker, file = fleet.workers["n1"], tmp_path / "offset"
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    file.write_text("+0\n")
    sleep = tmp_path / "sleep.so"
    build = ["cc", "-shared", "-fPIC", "-x", "c", "-o", sleep, "-"]
    subprocess.run(build, input=SLEEP, text=True, check=True)
    restart(
        worker,
        {
            "LD_PRELOAD": f"{sleep}:{library}",
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a step doesn't move it
        },
    )
    fleet.settle()
    yield file
    restart(worker, {})


def restart(worker: Worker, env: dict[str, str]) -> None:
    worker.agent.stop()
    worker.agent.env = env
    worker.agent.start()


@pytest.mark.parametrize(("before", "after"), [(0, HOUR), (HOUR, 0)], ids=["ahead", "back"])
def test_a_lease_ends_at_its_real_time(
    fleet: Cluster, runs: Runs, offset: Path, before: int, after: int
) -> None:
    offset.write_text(f"+{before}\n")
    fleet.client.cordon("n2")
    applied = time.time()
    assert fleet.apply(counts("clocked", 60, duration=DURATION)).returncode == 0
    fleet.wait_phase("clocked", "Running")
    running = time.time()
    offset.write_text(f"+{after}\n")
    ended = runs.ended("clocked").ended
    assert ended is not None
    assert applied + DURATION <= ended <= running + DURATION + OVERRUN
    job = fleet.wait_phase("clocked", "TimedOut")
    assert job["status"]["attempt"] == 1
    assert check_counted(fleet.logs("clocked")) > 5
    fleet.clean()
