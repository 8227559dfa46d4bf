"""cumulus.v1.Agent: both directions of Connect, and code for staging."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.api.convert_agent import agent_frame_to_proto, controller_frame_from_proto
from cumulus.api.frames import (
    Heartbeat,
    LeaseReport,
    LeaseWanted,
    LogAck,
    LogBatch,
    LogStream,
    LookNow,
    NodeReport,
    NodeUsage,
    UnitRecord,
    Wanted,
)
from cumulus.api.gen.cumulus.v1 import agent_pb2 as pb
from cumulus.crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    StoreError,
    ValidationError,
)
from cumulus.crd_like_specs.lease import LeaseSpec, LeaseState, LeaseStatus
from cumulus.crd_like_specs.worker import Device, WorkerStatus

from .conftest import World, error_of, read_all, soon
from .fakes import UID, digest_of

REPORT = NodeReport(
    worker="w1",
    status=WorkerStatus(node_id="n", cpus=4000, devices=(Device(index=0, name="X", type="cpu"),)),
    labels={"zone": "a"},
    leases=(LeaseReport("u-1", LeaseStatus(state=LeaseState.HELD, partition_ids=("p",))),),
)
WANTED = Wanted(
    (
        LeaseWanted(
            name="u-1",
            spec=LeaseSpec(
                job=UID, job_name="j", attempt=1, worker="w1", memory_milli=500, duration=9, grace=0
            ),
            code_digest=digest_of(b""),
            requirements=("numpy",),
            args_json="[1.0, 1]",
            image="img",
            next_log=3,
        ),
    ),
    dropped=(digest_of(b"old"),),
)


async def connected(world: World, report: NodeReport = REPORT) -> tuple[Any, Any]:
    call = world.agent.Connect()
    await call.write(agent_frame_to_proto(report))
    return call, await soon(world.agents.sessions.get())


async def test_what_the_agent_says_arrives_in_order(world: World) -> None:
    call, session = await connected(world)
    said = [
        Heartbeat(12.5),
        LogBatch("u-1", (UnitRecord(0, LogStream.RESULT, 1.0, b"\xff{"),)),
        LogBatch("u-1", (), total=0),
        LookNow("u-1"),
        NodeUsage(1.0, disk_free=9),
        REPORT,
    ]
    for frame in said:
        await call.write(agent_frame_to_proto(frame))
    assert [await soon(session.got.get()) for _ in range(len(said) + 1)] == [REPORT, *said]
    await call.done_writing()
    assert await read_all(call) == []
    await soon(session.closed.wait())


async def test_what_the_controller_says_arrives_in_order(world: World) -> None:
    call, session = await connected(world)
    said = [WANTED, LogAck("u-1", 4), Heartbeat(3.0), Wanted()]
    for frame in said:
        session.send(frame)
    assert [controller_frame_from_proto(await soon(call.read())) for _ in said] == said
    call.cancel()
    await soon(session.closed.wait())


async def test_frames_of_unknown_kinds_are_passed_over(world: World) -> None:
    call, session = await connected(world)
    await call.write(pb.AgentMessage())
    await call.write(pb.AgentMessage.FromString(b"\xfa\x01\x03abc"))  # field 31
    await call.write(agent_frame_to_proto(Heartbeat(1.0)))
    assert [await soon(session.got.get()) for _ in range(2)] == [REPORT, Heartbeat(1.0)]
    call.cancel()


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (pb.AgentMessage(heartbeat=pb.Heartbeat(time=1)), "its state"),
        (pb.AgentMessage(), "its state"),
        (pb.AgentMessage(state=pb.NodeState(worker="../w")), "state.worker"),
    ],
)
async def test_a_stream_begins_with_the_state_of_a_worker(
    world: World, first: pb.AgentMessage, says: str
) -> None:
    call = world.agent.Connect()
    await call.write(first)
    error = await error_of(call.read())
    assert isinstance(error, ValidationError)
    assert says in error.message
    assert world.agents.sessions.empty()


async def test_an_invalid_state_ends_the_stream_with_its_problems(world: World) -> None:
    call, session = await connected(world)
    broken = agent_frame_to_proto(REPORT)
    broken.state.leases[0].status.state = "Dreaming"
    await call.write(broken)
    error = await error_of(call.read())
    assert isinstance(error, ValidationError)
    assert error.problems[0].path == "state"
    await soon(session.closed.wait())


async def test_one_stream_speaks_for_one_worker(world: World) -> None:
    call, _ = await connected(world)
    await call.write(agent_frame_to_proto(NodeReport("w2", WorkerStatus())))
    assert isinstance(await error_of(call.read()), ValidationError)


async def test_a_newer_connection_ends_the_older(world: World) -> None:
    call, session = await connected(world)
    session.send(None)
    assert isinstance(await error_of(call.read()), ConflictError)
    await soon(session.closed.wait())


async def test_a_session_that_cannot_keep_what_it_is_told_ends(world: World) -> None:
    world.agents.fail_session = StoreError("the disk is full")
    call, session = await connected(world)
    error = await error_of(call.read())
    assert isinstance(error, StoreError)
    assert error.message == "the disk is full"
    await soon(session.closed.wait())


async def test_code_is_given_to_the_worker_that_needs_it(world: World) -> None:
    data = bytes(range(256)) * (10 << 10)  # 2.5 MiB
    world.blobs.stored[digest_of(data)] = data
    world.agents.wanted.add(("w1", digest_of(data)))
    for offset in (0, 1 << 20, len(data)):
        request = pb.GetBlobRequest(digest=digest_of(data), offset=offset, worker="w1")
        chunks = await read_all(world.agent.GetBlob(request))
        assert b"".join(chunk.data for chunk in chunks) == data[offset:]
        assert {chunk.total for chunk in chunks} == {len(data)}


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (pb.GetBlobRequest(digest=digest_of(b"here"), worker="w2"), ForbiddenError),
        (pb.GetBlobRequest(digest=digest_of(b"here")), ForbiddenError),
        (pb.GetBlobRequest(digest=digest_of(b"gone"), worker="w1"), NotFoundError),
        (pb.GetBlobRequest(digest="x", worker="w1"), ValidationError),
        (pb.GetBlobRequest(digest=digest_of(b"here"), offset=5, worker="w1"), ValidationError),
        (pb.GetBlobRequest(digest=digest_of(b"here"), offset=-1, worker="w1"), ValidationError),
    ],
)
async def test_other_code_is_not(world: World, request_: pb.GetBlobRequest, kind: type) -> None:
    world.blobs.stored[digest_of(b"here")] = b"here"
    world.agents.wanted |= {("w1", digest_of(b"here")), ("w1", digest_of(b"gone"))}
    assert isinstance(await error_of(world.agent.GetBlob(request_).read()), kind)
