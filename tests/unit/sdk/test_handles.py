"""Handles and decorated functions, of both clients; idempotency keys; jobs given as mappings."""

from __future__ import annotations

import re
import signal
import threading
from typing import Any

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Phase
from cumulus.sdk import (
    AsyncCumulusClient,
    AsyncJobHandle,
    CumulusClient,
    CumulusJob,
    Done,
    JobHandle,
    Options,
    RemoteError,
    async_remote,
    create_remote_function,
    gpu,
    remote,
)

from .fake_server import FakeServer

ANSWER = {"answer": 42}


def work(x: int = 0) -> int:
    return x


def test_a_handle_tells_all_of_its_job(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        job = client.spawn(work, [1])
        assert isinstance(job, JobHandle)
        assert CumulusJob is JobHandle
        assert job.result(timeout=30) == ANSWER
        assert (job.status(), job.done(), job.cancel()) == ("completed", True, False)
        assert isinstance(list(job.stream())[-1], Done)
        assert job.why().summary == "waits for room"
        assert client.result(job) == client.result(job.get()) == client.result(job.id) == ANSWER
        assert isinstance(list(client.stream(job))[-1], Done)
        assert client.wait(job) == job.get()
        again = JobHandle.from_id(client, job.id)
        assert again.get().metadata.uid == job.id
        assert repr(again) == f"JobHandle('{job.id}')"


async def test_a_handle_of_the_asyncio_client_is_awaited(server: FakeServer) -> None:
    async with AsyncCumulusClient(server.address) as client:
        job = await client.spawn(work, [1])
        assert await job.result(timeout=30) == ANSWER
        assert (await job.status(), await job.done(), await job.cancel()) == (
            "completed",
            True,
            False,
        )
        assert isinstance([event async for event in job.stream()][-1], Done)
        assert (await job.why()).summary == "waits for room"
        assert (await AsyncJobHandle.from_id(client, job.id).get()).metadata.uid == job.id


async def test_decorated_functions_of_the_asyncio_client_are_awaited(server: FakeServer) -> None:
    async with AsyncCumulusClient(server.address) as client:

        @remote(client, gpu_memory=None)
        def one(x: int) -> int:
            return x

        @async_remote(client)
        def two(x: int) -> int:
            return x

        assert await one(1) == ANSWER
        assert await one.remote(x=1) == ANSWER
        assert await (await one.spawn(1)).result() == ANSWER
        assert await (await one.async_call(1)).result() == ANSWER
        assert await (await two(1)).result() == ANSWER
        assert [r async for r in one.map([1, 2], concurrency=1)] == [ANSWER, ANSWER]
        assert one.local(3) == 3
        assert await create_remote_function(client, work)(1) == ANSWER


def test_decorated_functions_take_other_options_later(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        tuned = gpu(client, memory=0.25)(work).with_options(duration="5m", gpu_count=2)
        assert tuned(1) == ANSWER
        spec = server.called("Submit")[0].job.spec
        assert (spec.gpu.memory, spec.gpu.count, spec.duration) == (0.25, 2, "5m")
        assert tuned.__name__ == "work"


def test_the_same_key_is_the_same_job(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        options = Options(idempotency_key="nightly")
        first, second = (client.spawn(work, [1], options=options) for _ in range(2))
        assert first.id == second.id
        keyed = remote(client, idempotency_key="sweep")(work)
        list(keyed.map(range(3)))
        list(keyed.map(range(3)))
        assert len(client.list("Job")) == 1 + 3
    keys = {start.idempotency_key for start in server.called("Submit")}
    assert keys == {"nightly", "sweep-0", "sweep-1", "sweep-2"}


def test_a_job_may_be_given_as_a_mapping(server: FakeServer) -> None:
    spec: dict[str, Any] = {
        "metadata": {"name": "given"},
        "spec": {"image": "busybox", "command": ["true"]},
    }
    with CumulusClient(server.address) as client:
        assert client.submit(spec, idempotency_key="k").metadata.name == "given"
        assert server.called("Submit")[0].idempotency_key == "k"
        with pytest.raises(ValidationError, match=r"spec\.bogus: is no known field"):
            client.submit({**spec, "spec": {"image": "busybox", "bogus": 1}})


def test_a_run_uses_one_connection(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        assert client.run(work, gpu_memory=None, args=[1]) == ANSWER
    assert [name for name, _ in server.calls] == ["ServerInfo", "Submit"]
    assert server.called("Submit")[0].no_logs


def test_waiting_for_a_call_ends_in_time_and_leaves_the_job(server: FakeServer) -> None:
    server.never_ends = True
    seconds = 0.1
    with CumulusClient(server.address) as client:
        while "Running" not in phases(server):  # a busy machine takes longer to come so far
            seconds *= 2
            assert seconds < 60
            words = re.escape(f"did not finish within {seconds:g} s; it goes on")
            with pytest.raises(TimeoutError, match=words):
                client.run(work, timeout=seconds)
        assert "running" in {job["status"] for job in client.list_jobs()}
    assert not server.called("Cancel")


def test_a_result_that_json_cannot_hold_says_which_way_would(server: FakeServer) -> None:
    server.script.phase = Phase.FAILED
    server.script.envelope = (
        b'{"status": "error", "error": "result is a set", "error_type": "NotSerializable"}'
    )
    with (
        CumulusClient(server.address) as client,
        pytest.raises(RemoteError, match="result is a set") as caught,
    ):
        client.run(work, gpu_memory=None)
    assert "trust_result=True brings any object" in caught.value.__notes__[0]


def test_ctrl_c_ends_the_waiting_and_not_the_job(server: FakeServer) -> None:
    server.never_ends = True
    with CumulusClient(server.address) as client:

        def interrupt() -> None:
            with server.changed:
                server.changed.wait_for(lambda: "Running" in phases(server), 30)
            waiting = threading.main_thread().ident
            assert waiting is not None
            signal.pthread_kill(waiting, signal.SIGINT)

        def run() -> None:
            threading.Thread(target=interrupt).start()
            client.run(work, gpu_memory=None)

        with pytest.raises(KeyboardInterrupt):
            run()
        assert client.list_jobs()[0]["status"] == "running"
    assert server.called("Cancel") == []


def phases(server: FakeServer) -> set[str]:
    return {job.status.phase.value for job in server.objects.values()}


def test_a_map_that_could_run_nothing_and_a_call_without_its_arguments_are_refused(
    server: FakeServer,
) -> None:
    def needs(_one: int) -> None: ...

    with CumulusClient(server.address) as client:
        for concurrency in (0, -1):
            with pytest.raises(ValidationError, match=r"^concurrency: .*expected at least 1$"):
                list(client.map(work, [1], concurrency=concurrency))
        decorated = remote(client)(needs)
        for call in (
            lambda: client.run(needs),
            lambda: client.spawn(needs),
            decorated,
            lambda: list(decorated.map([()])),
        ):
            with pytest.raises(TypeError, match="missing a required argument: '_one'"):
                call()
    assert not server.called("Submit")
