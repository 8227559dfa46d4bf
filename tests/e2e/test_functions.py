"""Python functions as jobs, as users of the SDK write them, against a real controller."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from cumulus.sdk import (
    CumulusClient,
    CumulusJob,
    Options,
    async_remote,
    create_remote_function,
    gpu,
    remote,
)
from cumulus.sdk.errors import JobFailedError
from system import System

SMALL = {"cpus": "100m", "ram": "256Mi"}


@pytest.fixture(params=["process", "swarm"])
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(system: System) -> Iterator[CumulusClient]:
    with CumulusClient(f"http://127.0.0.1:{system.grpc}") as opened:
        yield opened


def test_a_function_runs_with_requirements_that_python_brings(client: CumulusClient) -> None:
    def simple_calculation() -> dict[str, float]:
        import math

        return {"pi": math.pi, "factorial_10": math.factorial(10)}

    result = client.run(
        func=simple_calculation, gpu_memory=0.1, duration=300, requirements=["math"]
    )
    assert result == {"pi": math.pi, "factorial_10": 3628800}


def test_a_model_is_trained_with_packages_that_are_installed_for_it(client: CumulusClient) -> None:
    def train_model() -> dict[str, object]:
        import numpy as np

        inputs = np.linspace(0, 1, 10)
        slope, offset = np.polyfit(inputs, 3 * inputs + 1, 1)
        return {"weight": np.array([[slope]]).round(6), "bias": float(round(offset, 6))}

    result = client.run(
        func=train_model, gpu_memory=0.5, duration=3600, requirements=["tomli-w", "numpy"]
    )
    assert result == {"weight": [[3.0]], "bias": 1.0}


def test_arguments_go_by_position_and_by_name(client: CumulusClient) -> None:
    def scaled(values: list[int], factor: int = 1, *, offset: int) -> list[int]:
        return [value * factor + offset for value in values]

    assert client.run(scaled, gpu_memory=None, args=[[1, 2]], factor=10, offset=1) == [11, 21]


def test_decorated_functions_run_where_they_are_called(client: CumulusClient) -> None:
    @remote(client, gpu_memory=0.1, duration=60, **SMALL)
    def double(x: int) -> int:
        return 2 * x

    @gpu(client, memory=0.1, duration="1m", **SMALL)
    def with_helper(x: int) -> int:
        return double(x) + 1  # inside a job it is the plain function

    assert double(4) == 8
    assert with_helper(4) == 9
    assert double.local(5) == 10
    counted = create_remote_function(client, len, gpu_memory=None)
    assert counted("four") == 4
    assert counted.async_call("seven").result(timeout=60) == 5


def test_a_job_is_held_on_to_and_found_again_by_its_id(client: CumulusClient) -> None:
    @async_remote(client, gpu_memory=None, **SMALL)
    def answer() -> int:
        return 42

    job = answer()
    assert CumulusJob(client, job.id).result(timeout=60) == 42
    assert job.status() == "completed"
    assert client.get_job_status(job.id)["status"] == "completed"
    assert job.id in {found["job_id"] for found in client.list_jobs()}
    assert client.cancel_job(job.id) is False
    assert client.get_server_info()["platform"] in ("process", "swarm")


def test_a_running_job_is_cancelled(client: CumulusClient) -> None:
    def wait() -> None:
        import time

        time.sleep(600)

    job = client.spawn(wait, options=Options(gpu_memory=None, **SMALL))
    client.wait(job.id, "phase=Running", timeout=60)
    assert job.status() == "running"
    assert job.cancel() is True
    client.wait(job.id, timeout=60)
    assert job.status() == "cancelled"


def test_an_exception_arrives_as_what_it_was(client: CumulusClient) -> None:
    def by_zero() -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        client.run(by_zero, gpu_memory=None)
    assert isinstance(caught.value, JobFailedError)
    assert "in by_zero" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match=r"^Job failed: ZeroDivisionError: division by zero"):
        client.run(by_zero, gpu_memory=None)


def test_a_result_of_any_kind_comes_where_it_is_trusted(client: CumulusClient) -> None:
    options = Options(gpu_memory=None, trust_result=True, **SMALL)
    assert client.call(lambda: ({1, 2}, b"x"), options=options) == ({1, 2}, b"x")
    job = client.spawn(lambda: {3}, options=options)
    assert job.result(60) == {3}


def test_inputs_are_mapped_in_order(client: CumulusClient) -> None:
    @remote(client, gpu_memory=0.25, duration=60, cpus="50m", ram="128Mi")
    def square(x: int) -> int:
        return x * x

    assert list(square.map(range(12), concurrency=6)) == [x * x for x in range(12)]
