"""Submit and Follow: spec and code in; states, logs and the result out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from cumulus.api.convert import event_from_proto, job_to_proto
from cumulus.api.frames import Finished, Log, LogRecord, LogStream, ResultChunk, State
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.options import CHUNK_BYTES
from cumulus.crd_like_specs.errors import (
    NO_WORKERS,
    ConflictError,
    CumulusError,
    NotFoundError,
    NoWorkersError,
    UnschedulableError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Code, Job, JobSpec, Phase
from cumulus.crd_like_specs.meta import ObjectMeta

from .conftest import World, error_of, read_all, soon
from .fakes import UID, a_job, digest_of


def start(job: Job, **fields: object) -> pb.SubmitRequest:
    return pb.SubmitRequest(start=pb.SubmitStart(job=job_to_proto(job), **fields))


def code_job(data: bytes, name: str = "hello") -> Job:
    return Job(metadata=ObjectMeta(name=name), spec=JobSpec(code=Code(digest=digest_of(data))))


async def frames(*requests: pb.SubmitRequest) -> AsyncIterator[pb.SubmitRequest]:
    for request in requests:
        yield request


def pieces(data: bytes) -> list[pb.SubmitRequest]:
    return [
        pb.SubmitRequest(code=data[at : at + CHUNK_BYTES])
        for at in range(0, len(data), CHUNK_BYTES)
    ]


async def test_one_connection_carries_states_logs_result_and_end(world: World) -> None:
    done = a_job(phase=Phase.SUCCEEDED)
    said = [
        State(a_job(phase=Phase.RUNNING)),
        Log(LogRecord(0, LogStream.STDOUT, 1.5, b"hi\n", 1)),
        ResultChunk(b'{"status": '),
        ResultChunk(b'"success"}'),
        State(done),
        Finished(done),
    ]
    world.jobs.say(*said)
    got = await read_all(world.cumulus.Submit(frames(start(a_job()))))
    assert [event_from_proto(event) for event in got] == [State(a_job()), *said]


async def test_the_first_state_leaves_at_once(world: World) -> None:
    await soon(world.channel.channel_ready())
    taken = []
    for n in range(20):
        began = time.perf_counter()
        call = world.cumulus.Submit(frames(start(a_job(f"job-{n}"))))
        first = event_from_proto(await soon(call.read()))
        taken.append(time.perf_counter() - began)
        assert isinstance(first, State)
        call.cancel()
    assert min(taken) < 0.05  # what holds it back does so each time; a busy machine does not


async def test_large_code_arrives_whole(world: World) -> None:
    data = bytes(range(256)) * (20 << 12)  # 20 MiB
    world.jobs.say(Finished(a_job(phase=Phase.SUCCEEDED)))
    await read_all(
        world.cumulus.Submit(frames(start(code_job(data), code_follows=True), *pieces(data)))
    )
    assert world.blobs.stored == {digest_of(data): data}


async def test_an_empty_chunk_ends_the_code_without_closing_the_clients_side(world: World) -> None:
    call = world.cumulus.Submit()
    await call.write(start(code_job(b"zip"), code_follows=True))
    await call.write(pb.SubmitRequest(code=b"zip"))
    await call.write(pb.SubmitRequest())  # a frame of a kind that this server does not know
    await call.write(pb.SubmitRequest(code=b""))
    assert isinstance(event_from_proto(await soon(call.read())), State)
    assert world.blobs.stored == {digest_of(b"zip"): b"zip"}
    call.cancel()


async def test_code_that_is_there_already_is_taken_again_without_harm(world: World) -> None:
    world.blobs.stored[digest_of(b"zip")] = b"zip"
    world.jobs.say(Finished(a_job(phase=Phase.SUCCEEDED)))
    job = code_job(b"zip")
    await read_all(world.cumulus.Submit(frames(start(job, code_follows=True), *pieces(b"other"))))
    assert world.blobs.stored == {digest_of(b"zip"): b"zip"}


async def test_code_that_is_there_need_not_be_sent(world: World) -> None:
    world.blobs.stored[digest_of(b"zip")] = b"zip"
    call = world.cumulus.Submit(frames(start(code_job(b"zip"))))
    assert isinstance(event_from_proto(await soon(call.read())), State)
    call.cancel()


async def test_bad_digest_makes_no_job(world: World) -> None:
    call = world.cumulus.Submit(
        frames(start(code_job(b"good"), code_follows=True), *pieces(b"evil"))
    )
    error = await error_of(call.read())
    assert isinstance(error, ValidationError)
    assert error.job_id == "hello"
    assert world.blobs.aborted.is_set()
    assert not world.jobs.resources
    assert not world.blobs.stored


async def test_code_over_the_limit_is_refused() -> None:
    async with World(max_code=2 << 20) as world:
        data = bytes(3 << 20)
        call = world.cumulus.Submit(frames(start(code_job(data), code_follows=True), *pieces(data)))
        error = await error_of(call.read())
        assert isinstance(error, ValidationError)
        assert "larger than 2 MiB" in error.message
        assert world.blobs.aborted.is_set()


async def test_code_neither_sent_nor_there(world: World) -> None:
    error = await error_of(world.cumulus.Submit(frames(start(code_job(b"zip")))).read())
    assert isinstance(error, NotFoundError)
    assert not world.jobs.resources


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([], "first frame"),
        ([pb.SubmitRequest(code=b"x")], "first frame"),
        ([pb.SubmitRequest()], "first frame"),
        ([pb.SubmitRequest(start=pb.SubmitStart())], "spec: is missing"),
        ([start(a_job(), code_follows=True)], "digest is expected"),
        ([start(code_job(b"a"), code_follows=True), start(a_job())], "second `start`"),
        (
            [start(Job(metadata=ObjectMeta(name="a"), spec=JobSpec(code=Code(path="./x"))))],
            "spec.code.path",
        ),
    ],
)
async def test_frames_out_of_place(
    world: World, requests: list[pb.SubmitRequest], says: str
) -> None:
    error = await error_of(world.cumulus.Submit(frames(*requests)).read())
    assert isinstance(error, ValidationError)
    assert says in error.message
    assert not world.jobs.resources


async def test_every_problem_of_a_spec_is_told_with_its_path(world: World) -> None:
    message = job_to_proto(a_job())
    message.spec.duration = "soon"
    message.spec.resources.cpus = "many"
    request = pb.SubmitRequest(start=pb.SubmitStart(job=message))
    error = await error_of(world.cumulus.Submit(frames(request)).read())
    assert isinstance(error, ValidationError)
    assert {p.path for p in error.problems} == {"spec.duration", "spec.resources.cpus"}
    assert error.job_id == "hello"


async def test_a_job_without_a_name_is_given_one(world: World) -> None:
    message = job_to_proto(a_job())
    message.metadata.name = ""
    names = []
    for key in ("k1", "k1", "k2", ""):
        request = pb.SubmitRequest(start=pb.SubmitStart(job=message, idempotency_key=key))
        call = world.cumulus.Submit(frames(request))
        names.append((await soon(call.read())).state.metadata.name)
        call.cancel()
    assert names[0] == names[1]
    assert len(set(names)) == 3


async def test_the_same_key_twice_is_one_job(world: World) -> None:
    for name in ("first", "second"):
        call = world.cumulus.Submit(frames(start(a_job(name), idempotency_key="k")))
        assert (await soon(call.read())).state.metadata.name == "first"
        call.cancel()
    assert len(world.jobs.resources) == 1


@pytest.mark.parametrize(
    ("reason", "message", "kind", "code"),
    [
        ("NoWorkers", NO_WORKERS, NoWorkersError, grpc.StatusCode.UNAVAILABLE),
        (
            "Unschedulable",
            "asks 2, 1 is most",
            UnschedulableError,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
    ],
)
@pytest.mark.parametrize("method", ["Submit", "Follow"])
async def test_a_job_that_no_worker_can_take_ends_in_its_error(
    world: World, method: str, reason: str, message: str, kind: type[CumulusError], code: object
) -> None:
    failed = a_job(phase=Phase.FAILED, reason=reason, message=message)
    world.jobs.say(State(failed), Finished(failed))
    world.jobs.add(a_job())
    call = (
        world.cumulus.Submit(frames(start(a_job())))
        if method == "Submit"
        else world.cumulus.Follow(pb.FollowRequest(job="hello"))
    )
    error = await error_of(read_all(call))
    assert type(error) is kind
    assert (error.message, error.job_id) == (message, UID)
    assert await call.code() is code


async def test_an_ordinary_failure_is_a_finished_frame(world: World) -> None:
    failed = a_job(phase=Phase.FAILED, reason="Error", message="ValueError: no")
    world.jobs.say(Finished(failed))
    got = await read_all(world.cumulus.Submit(frames(start(a_job()))))
    assert event_from_proto(got[-1]) == Finished(failed)


async def test_client_gone_while_the_job_is_written_leaves_the_job(world: World) -> None:
    world.jobs.may_submit.clear()
    call = world.cumulus.Submit(frames(start(a_job())))
    reading = asyncio.ensure_future(call.read())
    await soon(world.jobs.submitting.wait())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    world.jobs.may_submit.set()
    await soon(world.jobs.submitted.wait())
    assert ("Job", "hello") in world.jobs.resources


async def test_client_gone_in_the_middle_of_the_code_leaves_nothing(world: World) -> None:
    call = world.cumulus.Submit()
    await call.write(start(code_job(b"zip"), code_follows=True))
    await call.write(pb.SubmitRequest(code=b"zi"))
    await soon(world.blobs.wrote.wait())
    call.cancel()
    await soon(world.blobs.aborted.wait())
    assert not world.jobs.resources


async def test_client_gone_while_following_frees_the_follower(world: World) -> None:
    call = world.cumulus.Submit(frames(start(a_job())))
    await soon(call.read())
    call.cancel()
    await soon(world.jobs.left.wait())
    assert ("Job", "hello") in world.jobs.resources


async def test_submission_in_conflict(world: World) -> None:
    world.jobs.fail = ConflictError("hello has another spec", job_id=UID)
    error = await error_of(world.cumulus.Submit(frames(start(a_job()))).read())
    assert isinstance(error, ConflictError)
    assert error.job_id == UID


async def test_follow_passes_its_position_on(world: World) -> None:
    world.jobs.add(a_job())
    world.jobs.say(Finished(a_job(phase=Phase.SUCCEEDED)))
    request = pb.FollowRequest(job="hello", log_offset=7, attempt=2, no_logs=True)
    await read_all(world.cumulus.Follow(request))
    assert world.jobs.asked == [("hello", 7, 2, False)]


async def test_following_what_is_not_there(world: World) -> None:
    error = await error_of(world.cumulus.Follow(pb.FollowRequest(job="nope")).read())
    assert isinstance(error, NotFoundError)
    assert error.job_id == "nope"


async def test_an_error_in_the_middle_of_a_stream_keeps_its_class(world: World) -> None:
    world.jobs.add(a_job())
    world.jobs.say(ConflictError("deleted meanwhile"))
    error = await error_of(read_all(world.cumulus.Follow(pb.FollowRequest(job="hello"))))
    assert isinstance(error, ConflictError)
    assert error.job_id == "hello"
