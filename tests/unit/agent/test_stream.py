"""The agent's stream against a real gRPC server on loopback: connect, break, resume, blobs."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import pytest
from cumulus.api.convert_agent import controller_frame_to_proto
from cumulus.api.frames import (
    Heartbeat,
    LeaseWanted,
    LogBatch,
    LogStream,
    LookNow,
    NodeReport,
    NodeUsage,
    Wanted,
)
from cumulus.api.gen.cumulus.v1 import agent_pb2 as pb
from cumulus.chronos_bindings.agent.blob_client import GrpcBlobs
from cumulus.chronos_bindings.agent.ports import RawFrame
from cumulus.chronos_bindings.agent.stream import ceiling
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState
from loguru import logger

from .conftest import digest_of, unit
from .played_controller import CODE, Controller, HastyClock, Place


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path, HastyClock())
    await one.open()
    one.connect()
    yield one
    await one.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path)
    await one.open()
    one.connect()
    yield one
    await one.close()


async def test_the_state_comes_first_and_says_all(place: Place) -> None:
    await place.controller.until(lambda: place.controller.said)
    first = place.controller.said[0]
    assert isinstance(first, NodeReport)
    assert (first.worker, first.labels, first.leases) == ("w", {"zone": "here"}, ())
    status = first.status
    assert (status.partitioner, status.agent_version, status.cpus) == ("ledger", "9", 2000)
    assert status.staging_root == str(place.path / "staging")
    assert [device.name for device in status.devices] == ["ledger"]
    assert place.controller.metadata["authorization"] == "Bearer secret"


async def test_wanted_to_held_takes_milliseconds(place: Place) -> None:
    controller = place.controller
    await controller.until(lambda: controller.said)
    took = []
    for number in range(5):
        lease = place.wanted().leases[0]
        fresh = LeaseWanted(unit(number + 1), lease.spec, digest_of(CODE))
        start = perf_counter()
        controller.tell_wanted(Wanted((fresh,)))
        name = fresh.name
        await controller.until(
            lambda name=name: any(
                seen.name == name and seen.status.state is LeaseState.HELD
                for report in controller.of(NodeReport)[-1:]
                for seen in report.leases
            )
        )
        took.append(perf_counter() - start)
    assert sorted(took)[2] < 0.25  # 15 ms is aimed at; a loaded machine must not fail the test


async def test_a_unit_that_ends_is_hinted_at_once(place: Place) -> None:
    controller = place.controller
    controller.tell_wanted(place.wanted())
    await controller.until(lambda: controller.state() is LeaseState.HELD)
    place.runtime.start(unit())
    await controller.until(lambda: controller.of(LookNow))
    assert controller.of(LookNow)[0] == LookNow(unit())
    place.runtime.end(unit())
    await controller.until(lambda: len(controller.of(LookNow)) >= 2)


async def test_logs_arrive_and_resume_after_breaks(place: Place) -> None:
    controller = place.controller
    controller.tell_wanted(place.wanted())
    await controller.until(lambda: controller.state() is LeaseState.HELD)
    place.runtime.start(unit())
    for number in range(6):
        line = RawFrame("stdout", float(number), b"%d\n" % number)
        controller.acking = number % 2 == 0  # every other batch is lost with its connection
        place.runtime.write(unit(), line)
        want = number + 1
        await controller.until(
            lambda want=want: any(
                r.sequence == want - 1 for b in controller.of(LogBatch) for r in b.records
            )
        )
        if not controller.acking:
            controller.acking = True
            sessions = controller.sessions
            controller.cut()
            await controller.until(lambda want=want: len(controller.kept) == want)
            assert controller.sessions == sessions + 1
    envelope = b'{"status": "success"}\n'
    place.runtime.write(unit(), RawFrame("stdout", 9.0, envelope))
    place.runtime.end(unit())
    await controller.until(lambda: controller.complete)
    assert [r.sequence for r in controller.kept] == list(range(7))
    assert controller.kept[-1].stream is LogStream.RESULT
    assert b"".join(r.data for r in controller.kept) == b"0\n1\n2\n3\n4\n5\n" + envelope


async def test_a_controller_that_comes_back_finds_everything_running(place: Place) -> None:
    controller = place.controller
    controller.tell_wanted(place.wanted())
    await controller.until(lambda: controller.state() is LeaseState.HELD)
    place.runtime.start(unit())
    held = controller.of(NodeReport)[-1].leases
    await place.server.stop(None)
    place.controller = controller = Controller()
    controller.wanted = place.wanted()
    await place.open(place.port)
    await controller.until(lambda: controller.said)
    assert controller.said[0].leases == held
    assert place.runtime.running() == {unit()}


async def test_heartbeats_where_nothing_changes(hasty: Place) -> None:
    await hasty.controller.until(lambda: len(hasty.controller.of(Heartbeat)) >= 2)
    assert len(hasty.controller.of(NodeReport)) == hasty.controller.sessions


async def test_a_refusal_is_said_once(place: Place) -> None:
    controller = place.controller
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    try:
        await controller.until(lambda: controller.said)
        controller.refuse = "removed"
        controller.cut()
        await controller.until(lambda: controller.sessions >= 4)
    finally:
        logger.remove(sink)
    assert [line for line in lines if "removed" in line] == [
        "no contact with the controller: UNAUTHENTICATED: removed\n"
    ]


async def test_what_is_used_is_told_while_somebody_hears_it(hasty: Place) -> None:
    hasty.controller.tell_wanted(Wanted())
    await hasty.controller.until(lambda: len(hasty.controller.of(NodeUsage)) >= 2)
    first, then = hasty.controller.of(NodeUsage)[:2]
    assert 1 < first.disk_free < then.disk_free


async def test_a_controller_that_falls_silent_is_left(hasty: Place) -> None:
    hasty.controller.echoing = False
    await hasty.controller.until(lambda: hasty.controller.sessions >= 3)


async def test_a_controller_that_speaks_but_does_not_hear_is_left(hasty: Place) -> None:
    """The way there may be cut while the way back is open."""
    hasty.controller.deaf = True
    await hasty.controller.until(lambda: hasty.controller.sessions >= 2)


async def test_contact_is_when_what_was_heard_was_sent(place: Place) -> None:
    heard: list[float] = []
    place.agent.keeper.set_heard = heard.append  # type: ignore[method-assign]
    before = place.clock.monotonic()
    await place.controller.until(lambda: len(heard) >= 2)
    assert before - 1 <= heard[0] < heard[1] <= place.clock.monotonic()
    place.controller.tell(Heartbeat(1.0, place.clock.monotonic() + 3600))  # no word of ours
    place.controller.tell(Heartbeat(1.0))
    await place.controller.until(lambda: len(heard) >= 3)
    assert max(heard) <= place.clock.monotonic()


async def test_a_frame_that_makes_no_sense_ends_nothing(place: Place) -> None:
    controller = place.controller
    await controller.until(lambda: controller.said)
    bad = controller_frame_to_proto(place.wanted())
    bad.wanted.leases[0].spec.memory_milli = 5000
    controller.tell(bad)
    controller.tell(pb.ControllerMessage())  # of a kind that a newer controller knows
    controller.tell_wanted(place.wanted())
    await controller.until(lambda: controller.state() is LeaseState.HELD)
    assert controller.sessions == 1


async def test_a_blob_resumes_where_it_broke(place: Place, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place.controller.blobs[digest] = data
    place.controller.break_blobs_after = 400
    await GrpcBlobs(place.channel, "w").fetch(digest, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == data
    assert place.controller.asked == [(digest, at, "w") for at in (0, 400, 800)]


async def test_blobs_that_are_missing_or_wrong(place: Place, tmp_path: Path) -> None:
    blobs = GrpcBlobs(place.channel, "w")
    with pytest.raises(Permanent) as caught:
        await blobs.fetch("sha256:" + "0" * 64, tmp_path / "blob")
    assert caught.value.reason == "CodeMissing"
    place.controller.blobs["sha256:" + "1" * 64] = b"something else"
    with pytest.raises(Temporary, match="damaged"):
        await blobs.fetch("sha256:" + "1" * 64, tmp_path / "blob")
    place.controller.blobs[digest_of(b"")] = b""
    await blobs.fetch(digest_of(b""), tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize(
    ("target", "longest"),
    [("127.0.0.1:1", 1.0), ("localhost:1", 1.0), ("[::1]:1", 1.0), ("127.evil.org:1", 5.0)],
)
def test_pauses_are_short_on_this_machine(target: str, longest: float) -> None:
    assert ceiling(target) == longest
