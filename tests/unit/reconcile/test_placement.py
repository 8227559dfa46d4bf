"""First fit, and the reason for each worker that does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.observed import WorkerSeen
from cumulus.controller.reconcile.placement import Placement, Refusals, place
from cumulus.crd_like_specs.job import JobSpec
from cumulus.crd_like_specs.meta import Condition
from cumulus.crd_like_specs.worker import DISK_PRESSURE
from make import T, spec, worker, worker_seen

FULL = {"conditions": (Condition(type=DISK_PRESSURE, status=True, reason="", message=""),)}


@pytest.mark.parametrize(
    ("wanted", "on", "reason", "ever"),
    [
        (spec(nodeSelector={"zone": "b"}), worker_seen(), "lacks label zone=b", False),
        (spec(image="x"), worker_seen(worker(status={"platform": "process"})), "runs no images (platform process)", False),
        (spec(), worker_seen(worker(status={"network_isolation": False})), "cannot isolate jobs from the network (the agent's check failed)", False),
        (spec(resources={"cpus": 9}), worker_seen(), "has 8 CPU, 9 asked for", False),
        (spec(resources={"memory": "33Gi"}), worker_seen(), "has 32Gi memory, 33Gi asked for", False),
        (spec(gpu={"count": 2}), worker_seen(), "has 1 device(s), 2 asked for", False),
        (spec(gpu={"type": "amd"}), worker_seen(), "has 0 device(s) of type amd, 1 asked for", False),
        (spec(), worker_seen(ready=False, silent=7), "is not ready (agent silent for 7 s or node down)", True),
        (spec(), worker_seen(worker(cordoned=True)), "is cordoned", True),
        (spec(), worker_seen(worker(status=FULL)), "has a disk that is nearly full", True),
        (spec(), worker_seen(worker(drain=True)), "is being drained", True),
        (spec(resources={"cpus": 2}), worker_seen(cpus=1500), "has 1500m CPU free, 2 asked for", True),
        (spec(), worker_seen(memory=1 << 29), "has 512Mi memory free, 1Gi asked for", True),
        (spec(), worker_seen(milli={0: 499}), "has too little GPU free (device 0: 0.499), 1 x 0.5 asked for", True),
    ],
)  # fmt: skip
def test_reason(wanted: JobSpec, on: WorkerSeen, reason: str, ever: Any) -> None:
    found = place(wanted, [on], T)
    assert isinstance(found, Refusals)
    assert (found.reasons[0].reason, found.reasons[0].ever) == (reason, ever)
    assert found.hopeless is not ever


def test_first_worker_with_room() -> None:
    workers = [
        worker_seen(worker(n), milli={0: m}) for n, m in (("a", 499), ("b", 500), ("c", 1000))
    ]
    found = place(spec(), workers, T)
    assert isinstance(found, Placement)
    assert (found.worker.metadata.name, found.devices) == ("b", (0,))


def test_several_devices_of_one_worker() -> None:
    many = worker_seen(worker(devices=4), milli={0: 400, 2: 100})
    found = place(spec(gpu={"memory": 0.5, "count": 2}), [many], T)
    assert isinstance(found, Placement)
    assert found.devices == (1, 3)


@pytest.mark.parametrize("kind", ["nvidia", "NVIDIA", "h200", "any", ""])
def test_type_matches_kind_or_name(kind: str) -> None:
    assert isinstance(place(spec(gpu={"type": kind}), [worker_seen()], T), Placement)


def test_no_gpu_asked_for_needs_no_device() -> None:
    found = place(spec(gpu=None), [worker_seen(worker(devices=0))], T)
    assert isinstance(found, Placement)
    assert found.devices == ()


def test_network_jobs_run_where_isolation_fails() -> None:
    leaky = worker_seen(worker(status={"network_isolation": False}))
    assert isinstance(place(spec(network="Egress"), [leaky], T), Placement)
