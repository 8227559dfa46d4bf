"""Cables: between an agent and its controller, between a node and the Swarm's manager, or all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import AGENTS, Cluster
from ctl import wait_for
from manifests import check_counted, counts
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

SWARM = (2377, 7946, 4789)
CUT = 20.0
DISCONNECT = 5
"""Seconds without contact after which jobs that say so are stopped."""

NOTICED = 8.0
"""Until both ends judge that there is no contact, and the job is stopped and gone."""

MOVES = {"stopAfterDisconnect": DISCONNECT, "retry": {"limit": 3, "backoff": "1s"}}


@contextmanager
def only(fleet: Cluster, worker: str) -> Iterator[None]:
    """New jobs go to this worker."""
    others = [name for name in fleet.workers if name != worker]
    for name in others:
        fleet.client.cordon(name)
    yield
    for name in others:
        fleet.client.cordon(name, cordoned=False)


def run_on(fleet: Cluster, worker: str, texts: dict[str, str]) -> None:
    """Apply and wait until all run there."""
    with only(fleet, worker):
        for text in texts.values():
            assert fleet.apply(text).returncode == 0
        for name in texts:
            assert fleet.wait_phase(name, "Running")["status"]["worker"] == worker


def pause(seconds: float) -> None:
    """What is being tried is that so much time passes."""
    until = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() >= until, seconds + 5)


def test_agent_cut_off_from_its_controller(fleet: Cluster, runs: Runs) -> None:
    """Jobs run on and their logs come later; one that is to stop then does, and goes elsewhere."""
    texts = {"stays": counts("stays", 35), "moves": counts("moves", 18, **MOVES)}
    run_on(fleet, "n1", texts)
    worker, begun = fleet.workers["n1"], time.time()
    with runs.unheard(worker):
        worker.cut(AGENTS)
        stopped = runs.ended("moves", DISCONNECT + NOTICED).ended
        assert stopped is not None
        assert stopped >= begun + DISCONNECT - 2, "it was stopped while there was contact"
        wait_for(lambda: len(runs.of("moves")) == 2, 60)
        again = runs.of("moves")[1]
        assert again.node == "n2"
        pause(begun + CUT - time.time())
        worker.mend()
    for name in texts:
        fleet.wait_phase(name, "Succeeded")
    assert [run.node for run in runs.of("stays")] == ["n1"]
    assert check_counted(fleet.logs("stays")) > 100
    assert check_counted(fleet.logs("moves"), attempt=again.attempt) > 50
    fleet.clean()


def test_node_cut_off_from_its_manager(fleet: Cluster, runs: Runs) -> None:
    """The Swarm takes the node for dead, its agent knows better: nothing runs twice at once."""
    run_on(fleet, "n1", {"doubted": counts("doubted", 15, retry={"limit": 3, "backoff": "1s"})})
    fleet.workers["n1"].cut(*SWARM)
    pause(CUT)
    assert fleet.is_ready("n2")
    fleet.workers["n1"].mend()
    status = fleet.wait_phase("doubted", "Succeeded", seconds=90)["status"]
    lives = runs.of("doubted")
    assert lives[-1].attempt == status["attempt"]
    assert check_counted(fleet.logs("doubted"), attempt=status["attempt"]) > 50
    fleet.clean(40)


def test_worker_without_a_cable(fleet: Cluster, runs: Runs) -> None:
    """What may stop goes elsewhere, what may not is waited for; each runs once at a time."""
    texts = {
        "waits": counts("waits", 10, duration=25, retry={"limit": 3, "backoff": "1s"}),
        "moves": counts("moves", 15, duration=60, **MOVES),
    }
    run_on(fleet, "n1", texts)
    worker = fleet.workers["n1"]
    with runs.unheard(worker):
        worker.machine.unplug()
        wait_for(lambda: len(runs.of("moves")) == 2, 60)
        again = runs.of("moves")[1]
        assert again.node == "n2"
        pause(CUT / 2)
        worker.machine.plug()
    for name in texts:
        status = fleet.wait_phase(name, "Succeeded", seconds=90)["status"]
        assert check_counted(fleet.logs(name), attempt=status["attempt"]) > 30
    fleet.clean(40)
