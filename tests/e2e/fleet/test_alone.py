"""The worker on its own: what its agent keeps while the controller, the network or it itself is gone."""

from __future__ import annotations

import time

import pytest
from cluster import Cluster
from ctl import wait_for
from manifests import check_counted, counts
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

OVERRUN = 2.0
"""Seconds after its lease's end within which a job must have been stopped."""


def test_leases_end_on_time_while_the_controller_is_dead(fleet: Cluster, runs: Runs) -> None:
    """Also of a job that ignores SIGTERM."""
    jobs = {"obeys": False, "ignores": True}
    texts = [counts(name, 60, stubborn=given, duration=8) for name, given in jobs.items()]
    assert fleet.apply("\n---\n".join(texts)).returncode == 0  # at once: their leases are short
    ends = {name: fleet.wait_phase(name, "Running")["status"]["expiresAt"] for name in jobs}
    fleet.controller.kill9()
    assert time.time() < min(ends.values()) - 1, "the controller was there too long"
    for name, end in ends.items():
        ended = runs.ended(name).ended
        assert ended is not None
        assert end <= ended <= end + OVERRUN, f"{name} ended {ended - end:.2f} s after its lease"
    fleet.start_controller()
    for name in jobs:
        job = fleet.wait_phase(name, "TimedOut")
        assert job["status"]["attempt"] == 1
        assert check_counted(fleet.logs(name)) > 20
    fleet.clean()


def test_jobs_go_on_while_the_agent_is_dead(fleet: Cluster, runs: Runs) -> None:
    """Their logs come without a gap or a repetition, and their leases are held for the time left."""
    assert fleet.apply(counts("goes-on", 20, duration=40)).returncode == 0
    before = fleet.wait_phase("goes-on", "Running")["status"]
    worker = fleet.workers[before["worker"]]
    (held,) = worker.partitions()
    wait_for(lambda: fleet.logs("goes-on"))
    worker.agent.kill9()
    dead = time.monotonic()
    wait_for(lambda: time.monotonic() > dead + 2)
    worker.agent.start()
    wait_for(lambda: worker.partitions() not in ([], [held]))
    (lease,) = fleet.leases()
    assert lease["status"]["expiresAt"] == pytest.approx(before["expiresAt"], abs=0.5)
    after = fleet.wait_phase("goes-on", "Succeeded")["status"]
    assert (after["attempt"], len(runs.of("goes-on"))) == (1, 1)
    assert check_counted(fleet.logs("goes-on")) > 80
    fleet.clean()


def test_a_lease_that_ended_without_an_agent_is_ended_by_the_next(
    fleet: Cluster, runs: Runs
) -> None:
    assert fleet.apply(counts("outlives", 60, duration=8)).returncode == 0
    status = fleet.wait_phase("outlives", "Running")["status"]
    worker = fleet.workers[status["worker"]]
    worker.agent.kill9()
    wait_for(lambda: time.time() > status["expiresAt"] + 1)
    worker.agent.start()
    runs.ended("outlives")
    fleet.wait_phase("outlives", "TimedOut")
    assert check_counted(fleet.logs("outlives")) > 5
    fleet.clean()
