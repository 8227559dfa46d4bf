"""The asyncio client against a scripted server in this process: real gRPC, broken everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cumulus.api.frames import Log, Outcome, State, WatchType
from cumulus.crd_like_specs.errors import (
    ConflictError,
    NotFoundError,
    NoWorkersError,
    UnavailableError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Code, Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker
from cumulus.sdk.client import AsyncCumulusClient
from cumulus.sdk.errors import JobError, JobFailedError, WaitTimeoutError
from cumulus.sdk.stream import Done, Event, LogsLost

from .fake_server import FakeServer
from .fake_state import record

FILES = {"main.py": "def main():\n    return 42\n"}


def job(name: str = "hello", **spec: Any) -> Job:
    return Job(metadata=ObjectMeta(name=name), spec=JobSpec(code=Code(files=FILES), **spec))


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AsyncCumulusClient]:
    async with AsyncCumulusClient(server.address, sleep=no_pause) as connected:
        yield connected


async def events_of(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


def lines(events: list[Any]) -> list[tuple[int, int]]:
    return [(e.record.attempt, e.record.sequence) for e in events if isinstance(e, Log)]


async def test_a_job_goes_its_way_on_one_connection(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    events = await events_of(client.submit_and_stream(job()))
    assert lines(events) == [(1, 0), (1, 1), (1, 2)]
    phases = [e.job.status.phase for e in events if isinstance(e, State)]
    assert phases == [Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.envelope == server.script.envelope
    assert [name for name, _ in server.calls] == ["Submit"]
    start = server.called("Submit")[0]
    assert start.code_follows
    assert start.job.spec.code.digest in server.blobs


@pytest.mark.parametrize("ends_well", [False, True], ids=["broken", "ended"])
@pytest.mark.parametrize("cut", range(16))
async def test_a_stream_cut_at_any_frame_loses_and_repeats_nothing(
    server: FakeServer, client: AsyncCumulusClient, cut: int, ends_well: bool
) -> None:
    server.script.logs[2] = [record(2, i, f"again {i}\n") for i in range(3)]
    server.cuts, server.cut_ends_well = [cut, cut + 1, 0, cut, 3], ends_well
    if cut == 0 and ends_well:
        server.cuts = [2, 0, 0]
    events = await events_of(client.submit_and_stream(job()))
    assert lines(events) == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert isinstance(events[-1], Done)
    assert events[-1].envelope == server.script.envelope
    versions = [e.job.metadata.resource_version for e in events if isinstance(e, State)]
    assert versions == sorted(set(versions))
    assert len(server.objects) == 1


async def test_a_start_that_breaks_is_repeated_with_the_same_key(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    server.cuts = [0, 0]
    events = await events_of(client.submit_and_stream(job()))
    assert isinstance(events[-1], Done)
    keys = {start.idempotency_key for start in server.called("Submit")}
    assert len(server.called("Submit")) == 3
    assert len(keys) == 1
    assert keys != {""}


async def test_missing_records_are_asked_for_once_more_and_then_told(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    server.gap = (0, 2)
    events = await events_of(client.submit_and_stream(job()))
    assert [e for e in events if isinstance(e, LogsLost)] == [LogsLost(1, 0, 2)]
    assert lines(events) == [(1, 2)]
    assert [(f.attempt, f.log_offset) for f in server.called("Follow")] == [(1, 0)]


async def test_a_server_that_stays_away_ends_the_patience(server: FakeServer) -> None:
    async with AsyncCumulusClient(server.address, patience=0.0, sleep=no_pause) as client:
        server.cuts = [2, 0, 0, 0]
        with pytest.raises(UnavailableError, match="did not come back"):
            await events_of(client.submit_and_stream(job()))


async def test_a_server_that_has_answered_is_waited_for_by_every_call() -> None:
    first = FakeServer()
    first.start()
    pauses = 0
    again: list[FakeServer] = []

    async def pause(_seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 6:  # more than one that never answered is given
            again.append(FakeServer(first.address))
            again[0].start()
        await asyncio.sleep(0.005)

    async with AsyncCumulusClient(first.address, sleep=pause) as client:
        before = await client.server_info()
        first.stop()
        assert await client.server_info() == before
        assert pauses >= 6
        again[0].stop()
    pauses = 10
    async with AsyncCumulusClient(first.address, sleep=pause) as client:
        with pytest.raises(UnavailableError, match="cannot reach the controller"):
            await client.server_info()
    assert pauses == 12


async def test_large_code_is_sent_only_where_it_is_not_known(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    import random

    noise = random.Random(1).randbytes(150_000).hex()
    big = job().model_copy(
        update={"spec": JobSpec(code=Code(files={**FILES, "data.txt": noise}), duration=60)}
    )
    await client.submit(big)
    await client.submit(big.model_copy(update={"metadata": ObjectMeta(name="second")}))
    first, second = server.called("Submit")
    assert first.code_follows
    assert not second.code_follows


async def test_apply_uploads_code_once_and_says_what_it_did(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    code = b"PK zip"
    digest = await client.put_code(code)
    wanted = job().model_copy(update={"spec": JobSpec(code=Code(digest=digest))})
    assert (await client.apply(wanted, code=code)).outcome is Outcome.CREATED
    assert (await client.apply(wanted, code=code)).outcome is Outcome.UNCHANGED
    assert server.blobs == {digest: code}
    assert len(server.called("PutBlob")) == 1


async def test_result_is_the_value_or_the_error(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    assert await client.result(await client.submit(job())) == {"answer": 42}
    server.script.phase = Phase.FAILED
    server.script.envelope = b'{"status": "error", "error": "no", "error_type": "KeyError"}'
    with pytest.raises(JobFailedError, match=r"^Job failed: KeyError: no"):
        await client.result(await client.submit(job("second")))


async def test_a_result_cut_in_the_middle_is_fetched_whole(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    submitted = await client.submit(job())
    await client.result(submitted)
    server.cuts = [3]
    assert await client.result(submitted) == {"answer": 42}


async def test_waiting_for_a_result_ends_in_time_and_the_job_goes_on(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    submitted = await client.submit(job())
    server.never_ends = True
    with pytest.raises(WaitTimeoutError, match="it goes on"):
        await client.result(submitted, timeout=0.05)
    assert not server.called("Cancel")
    server.never_ends = False


async def test_a_job_that_fits_nowhere_is_refused_as_the_table_says(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    server.errors["Submit"] = NoWorkersError()
    with pytest.raises(NoWorkersError, match=r"^No GPU workers available$"):
        await client.submit(job())
    assert len(server.called("Submit")) == 1


async def test_a_server_that_is_not_there_is_said_so() -> None:
    async with AsyncCumulusClient("127.0.0.1:1", sleep=no_pause) as client:
        with pytest.raises(UnavailableError, match=r"cannot reach the controller at 127.0.0.1:1"):
            await client.server_info()


async def test_errors_arrive_as_what_they_are(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    with pytest.raises(NotFoundError, match="job 'nobody' not found"):
        await client.get_job("nobody")
    server.errors["Apply"] = ConflictError("it is being deleted")
    with pytest.raises(ConflictError):
        await client.apply(job())


async def test_lists_are_read_to_their_last_page(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    for number in range(5):
        server.put(job(f"job-{number}"))
    assert len(await client.list("Job")) == 5
    assert len(server.called("List")) == 3


async def test_a_watch_goes_on_over_breaks_and_expiry(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    server.put(job("a"))
    server.put(job("b"))
    server.cuts = [1]
    told = []
    async for item in client.watch("Job"):
        assert item.resource is not None
        told.append((item.type, item.resource.metadata.name))
        if len(told) == 2:
            server.put(job("a", priority=1))
            server.put(job("c"))  # cut before it
        if len(told) == 4:
            # while we look away the log of changes is dropped, and much happens
            server.drop("Job", "b")
            server.put(job("d"))
            server.changes.clear()
            server.floor = server.version
        if len(told) == 6:
            break
    assert told == [
        (WatchType.ADDED, "a"),
        (WatchType.ADDED, "b"),
        (WatchType.MODIFIED, "a"),
        (WatchType.ADDED, "c"),
        (WatchType.DELETED, "b"),
        (WatchType.ADDED, "d"),
    ]


async def test_wait_for_a_phase_a_condition_and_removal(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    server.put(job("x"))

    async def later() -> None:
        running = job("x").model_copy(update={"status": JobStatus(phase=Phase.RUNNING)})
        await asyncio.to_thread(server.put, running)

    async with asyncio.timeout(10):
        waiting = asyncio.create_task(client.wait("x", "phase=Running"))
        await later()
        found = await waiting
        assert isinstance(found, Job)
        assert found.status.phase is Phase.RUNNING
        server.put(Worker(metadata=ObjectMeta(name="w")))
        with pytest.raises(WaitTimeoutError, match="did not become condition=Ready"):
            await client.wait("w", "condition=Ready", kind="Worker", timeout=0.05)
        gone = asyncio.create_task(client.wait("x", "delete"))
        await client.delete("x")
        assert await gone is None
        assert await client.wait("x", "delete") is None


async def test_waiting_for_what_can_no_longer_come_ends_at_once(
    server: FakeServer, client: AsyncCumulusClient
) -> None:
    failed = JobStatus(phase=Phase.FAILED, message="exit code 3", exit_code=3)
    server.put(job("x").model_copy(update={"status": failed}))
    with pytest.raises(JobError, match="ended as Failed, it will not be phase=Succeeded"):
        await client.wait("x", "phase=Succeeded")
    with pytest.raises(NotFoundError):
        await client.wait("nobody")


async def test_logs_resume_and_tail(server: FakeServer, client: AsyncCumulusClient) -> None:
    server.script.logs[1] = [record(1, i, f"{i}\n") for i in range(6)]
    await client.result(await client.submit(job()))
    server.cuts = [2, 0, 3]
    assert lines([e async for e in client.logs("hello")]) == [(1, i) for i in range(6)]
    server.cuts = [1]
    assert lines([e async for e in client.logs("hello", tail=2)]) == [(1, 4), (1, 5)]


async def test_a_token_is_sent_and_never_in_the_clear_to_others(server: FakeServer) -> None:
    async with AsyncCumulusClient(server.address, "s3cret", sleep=no_pause) as client:
        await client.server_info()
    assert server.metadata[-1]["authorization"] == "Bearer s3cret"
    with pytest.raises(ValidationError, match="unencrypted"):
        AsyncCumulusClient("gpu.example.org:50051", "s3cret")
    AsyncCumulusClient("https://gpu.example.org", "s3cret")
    AsyncCumulusClient("gpu.example.org", "s3cret", insecure=True)
