"""Workers that an operator takes out of service, and one that dies and comes back."""

from __future__ import annotations

import pytest
from cluster import Cluster
from ctl import wait_for
from manifests import check_counted, counts
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

RETRIED = {"retry": {"limit": 3, "backoff": "1s"}}


def test_cordoned_takes_nothing_new_and_drained_is_emptied(fleet: Cluster, runs: Runs) -> None:
    assert fleet.ctl("cordon", "n2").returncode == 0
    assert fleet.apply(counts("moved", 100, duration=120, **RETRIED)).returncode == 0
    assert fleet.wait_phase("moved", "Running")["status"]["worker"] == "n1"
    assert fleet.ctl("cordon", "n1").returncode == 0
    assert fleet.apply(counts("waits", 1, whenUnschedulable="Wait")).returncode == 0
    assert "cordoned" in wait_for(lambda: fleet.job("waits")["status"]["message"])
    assert [run.ended for run in runs.of("moved")] == [None], "cordoned: what runs goes on"
    assert fleet.ctl("uncordon", "n2").returncode == 0
    assert fleet.wait_phase("waits", "Succeeded")["status"]["worker"] == "n2"
    assert fleet.ctl("drain", "n1").returncode == 0
    wait_for(lambda: [run.node for run in runs.of("moved")] == ["n1", "n2"])
    wait_for(lambda: not fleet.workers["n1"].left())
    assert fleet.wait_phase("moved", "Running")["status"]["worker"] == "n2"
    fleet.ctl("cancel", "moved")
    fleet.wait_phase("moved", "Cancelled")
    fleet.clean()


def test_a_worker_that_died_is_clean_before_it_works_again(fleet: Cluster, runs: Runs) -> None:
    """What ran there was lost with it, and it is not taken for what runs now."""
    worker = fleet.workers["n2"]
    fleet.client.cordon("n1")
    text = counts("lost", 60, duration=20, retry={"limit": 0})
    assert fleet.apply(text).returncode == 0
    fleet.wait_phase("lost", "Running")
    wait_for(lambda: fleet.logs("lost"))
    runs.power_off(worker)
    wait_for(lambda: not fleet.is_ready("n2"), 20)
    assert fleet.apply(counts("next", 1, whenUnschedulable="Wait")).returncode == 0
    worker.power_on()
    runs.listen(worker)
    fleet.wait_phase("next", "Succeeded", seconds=90)
    lost = fleet.wait_phase("lost", "Failed")["status"]
    assert lost["attempts"][-1]["cause"] == "WorkerLost", lost
    assert len(runs.of("lost")) == 1, "it was not to be tried again"
    assert check_counted(fleet.logs("lost")) > 0, lost
    fleet.clean(40)
