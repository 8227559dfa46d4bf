"""A function over two hundred inputs through four leases, and one of two workers loses power."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cluster import Cluster
from ctl import wait_for
from cumulus.crd_like_specs.job import Cause, Job
from cumulus.sdk import remote
from witness import Runs, Shares

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

INPUTS = 200
LEASES = 4


def test_every_result_is_in_its_place_though_a_worker_dies(fleet: Cluster, runs: Runs) -> None:
    @remote(
        fleet.client,
        gpu_memory=0.5,  # of two workers with one device each
        duration=60,
        cpus="100m",
        ram="64Mi",
        spec={"stopAfterDisconnect": 5},
    )
    def square(number: int) -> dict[str, Any]:
        if number == 13:
            raise ValueError("unlucky")
        return {"number": number, "square": number * number}

    dying = fleet.workers["n2"]
    results: list[Any] = []

    def take() -> None:
        mapped = square.map(range(INPUTS), concurrency=LEASES, return_exceptions=True)
        results.extend(mapped)

    mapping = threading.Thread(target=take, daemon=True)
    with Shares(fleet) as shares:
        mapping.start()

        def halfway() -> bool:
            on_it = [run for run in runs.all() if run.node == dying.name and run.ended is None]
            return len(results) >= INPUTS // 4 and bool(on_it)

        wait_for(halfway, 240)
        runs.power_off(dying)
        mapping.join(400)
        assert not mapping.is_alive(), f"{len(results)} of {INPUTS}"
        dying.power_on()
        runs.listen(dying)
        fleet.settle()
    shares.check()
    assert isinstance(results[13], ValueError)
    assert str(results[13]).startswith("Job failed: ValueError: unlucky")
    rest = [result for number, result in enumerate(results) if number != 13]
    expected = [{"number": n, "square": n * n} for n in range(INPUTS) if n != 13]
    assert rest == expected
    jobs = [j for j in fleet.client.list("Job") if isinstance(j, Job)]
    lost = [j for j in jobs if any(a.cause is Cause.WORKER_LOST for a in j.status.attempts)]
    assert lost, "the worker died without a job"
