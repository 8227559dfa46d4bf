"""A worker that dies loses what its job did since its last checkpoint, and no more."""

from __future__ import annotations

import json

import pytest
from cluster import Cluster
from ctl import wait_for
from witness import Runs

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

ASKS = """
import time
from cumulus_job import load_checkpoint, save_checkpoint

def main(end):
    start = count = load_checkpoint(default=0)
    print("starts at", start, flush=True)
    while count < end:
        count += 1
        save_checkpoint(count)
        time.sleep(0.1)
    return [start, count]
"""


def test_the_retry_goes_on_elsewhere_from_the_last_checkpoint(fleet: Cluster, runs: Runs) -> None:
    worker = fleet.workers["n1"]
    fleet.client.cordon("n2")
    manifest = {
        "apiVersion": "cumulus.dev/v1",
        "kind": "Job",
        "metadata": {"name": "learns"},
        "spec": {
            "code": {"files": {"main.py": ASKS}},
            "args": {"end": 150},
            "resources": {"cpus": "50m", "memory": "64Mi"},
            "duration": 60,
            "stopAfterDisconnect": "5s",
            "retry": {"limit": 2, "backoff": "0s"},
            "checkpoint": {"interval": "1s"},
        },
    }
    assert fleet.apply(json.dumps(manifest)).returncode == 0
    wait_for(lambda: fleet.job("learns")["status"]["checkpoints"], 60)
    fleet.client.cordon("n2", cordoned=False)
    runs.power_off(worker)
    done = fleet.wait_phase("learns", "Succeeded", seconds=150)["status"]
    assert done["worker"] == "n2"
    start, end = fleet.client.result("learns")
    assert 0 < start < end == 150
    worker.power_on()
    runs.listen(worker)
    wait_for(lambda: fleet.is_ready("n1"), 60)
    fleet.clean(40)
