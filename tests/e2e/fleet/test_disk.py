"""A worker's disk runs full: it says so, takes nothing new, ends what runs on time, and recovers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from cluster import Cluster
from ctl import wait_for
from cumulus.crd_like_specs.worker import DISK_PRESSURE
from manifests import check_counted, counts
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

OVERRUN = 2.0


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """To the brim."""
    big = folder / "big"
    with big.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - (8 << 20))
        file.seek(0, os.SEEK_END)
        with pytest.raises(OSError, match="No space left"):
            write_on(file)
    try:
        yield
    finally:
        big.unlink()


def write_on(file: BinaryIO) -> None:
    while True:
        file.write(bytes(4096))


def test_a_full_disk(fleet: Cluster, runs: Runs) -> None:
    worker = fleet.workers["n2"]
    fleet.client.cordon("n1")
    assert fleet.apply(counts("was-there", 60, duration=12)).returncode == 0
    end = fleet.wait_phase("was-there", "Running")["status"]["expiresAt"]
    with full(worker.data):
        wait_for(lambda: fleet.condition("n2", DISK_PRESSURE))
        assert fleet.apply(counts("comes-late", 1, whenUnschedulable="Wait")).returncode == 0
        wait_for(lambda: "disk" in fleet.ctl("why", "comes-late").stdout)
        ended = runs.ended("was-there").ended
        assert ended is not None
        assert end <= ended <= end + OVERRUN
        fleet.wait_phase("was-there", "TimedOut")
        wait_for(lambda: not worker.left())
        assert not runs.of("comes-late")
    wait_for(lambda: not fleet.condition("n2", DISK_PRESSURE))
    fleet.wait_phase("comes-late", "Succeeded")
    assert check_counted(fleet.logs("was-there")) > 5
    fleet.clean()
