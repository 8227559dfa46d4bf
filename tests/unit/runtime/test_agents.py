"""Agents' sessions: reports replace, states rise, the wanted set is whole, logs are acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cumulus.api.frames import (
    Heartbeat,
    LogAck,
    LogBatch,
    LogStream,
    LookNow,
    NodeReport,
    NodeUsage,
    UnitRecord,
    Wanted,
)
from cumulus.controller.reconcile.observed import LeaseTimes, ResultSeen, Unready
from cumulus.controller.runtime import session as session_module
from cumulus.controller.runtime import spool as spool_module
from cumulus.controller.runtime.allowance import Allowance
from cumulus.controller.runtime.lease_clock import ENDS
from cumulus.controller.runtime.session import SILENT_SECONDS
from cumulus.controller.runtime.world import World
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import EXPIRED, RESTARTED, Lease, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import Condition
from cumulus.crd_like_specs.worker import UNITS_KNOWN, Device
from loguru import logger
from make import DIGEST, UID, T, job, lease, worker
from runtime_kit import ENVELOPE, IMAGE, Kit, until

UNIT = unit_name(UID, 1)


def line(sequence: int, stream: LogStream = LogStream.STDOUT) -> UnitRecord:
    return UnitRecord(sequence, stream, T, b"%d\n" % sequence)


async def put_lease(kit: Kit, of: Lease) -> None:
    await kit.records.put_lease(of)
    kit.world.lease_changed(of.metadata.name, of.spec.job)


def state(kit: Kit) -> LeaseState:
    return kit.records.leases[UNIT].status.state


def queued(kit: Kit) -> list[str]:
    found = []
    while (key := kit.queue.take(kit.clock.now())) is not None:
        found.append(key)
        kit.queue.done(key)
    return found


async def test_a_report_replaces_all_that_was_known(kit: Kit) -> None:
    await kit.report("n1", devices=2, labels={"a": "b"})
    await kit.desired.cordon("n1", cordoned=True, drain=False)
    version = kit.store.version
    await kit.report("n1", devices=2, labels={"a": "b"})
    assert kit.store.version == version  # the same again is no news
    await kit.report("n1", devices=1)
    known = kit.records.workers["n1"]
    assert (len(known.status.devices), known.metadata.labels) == (1, {})
    assert known.spec.cordoned  # an operator's wish is not the agent's to change
    assert known.metadata.creation_timestamp == T


async def test_room_may_have_come_when_a_worker_does(kit: Kit) -> None:
    await kit.put(job())
    await kit.report("n1")
    assert queued(kit) == ["train"]
    await kit.report("n1")
    assert queued(kit) == []
    kit.clock.advance(6)
    await kit.report("n1")  # the same record, but it had been out of contact
    assert queued(kit) == ["train"]
    kit.clock.advance(6)
    kit.agents.heard("n1")
    assert queued(kit) == ["train"]


async def test_lease_states_rise_and_never_fall(kit: Kit) -> None:
    await put_lease(kit, lease(LeaseState.PENDING))
    for reported, expected in [
        (LeaseState.PREPARING, LeaseState.PREPARING),
        (LeaseState.HELD, LeaseState.HELD),
        (LeaseState.PREPARING, LeaseState.HELD),
        (LeaseState.PENDING, LeaseState.HELD),
        (LeaseState.ENDING, LeaseState.ENDING),
        (LeaseState.HELD, LeaseState.ENDING),
        (LeaseState.FAILED, LeaseState.FAILED),
    ]:
        await kit.report("n1", {UNIT: LeaseStatus(state=reported)})
        assert state(kit) is expected


async def test_the_same_state_with_other_facts_is_taken(kit: Kit) -> None:
    await put_lease(kit, lease())
    again = lease().status.model_copy(update={"partition_ids": ("p2",)})
    await kit.report("n1", {UNIT: again})
    assert kit.records.leases[UNIT].status == again
    assert queued(kit) == ["train"]


async def test_what_is_not_reported_is_not_held(kit: Kit) -> None:
    await put_lease(kit, lease(LeaseState.PENDING))
    await kit.report("n1")
    assert state(kit) is LeaseState.PENDING  # the agent has not heard of it yet
    await put_lease(kit, lease(LeaseState.HELD, released=True))
    await kit.report("n2")
    assert state(kit) is LeaseState.HELD  # another worker says nothing of it
    await kit.report("n1")
    assert state(kit) is LeaseState.ENDED
    assert kit.records.leases[UNIT].metadata.deletion_timestamp == T


async def test_a_release_and_a_report_that_cross_are_both_kept(threaded_kit: Kit) -> None:
    kit = threaded_kit
    await kit.report("n1")
    await put_lease(kit, lease(LeaseState.PENDING))
    release = kit.executor._release(UNIT)
    await asyncio.gather(release, kit.report("n1", {UNIT: kit.held()}))
    kept = kit.records.leases[UNIT]
    assert kept.status.state is LeaseState.HELD
    assert kept.metadata.deletion_timestamp == T


@pytest.mark.parametrize(
    ("status", "overruns"),
    [
        ({"reason": EXPIRED, "ended_at": T + 61.5}, [1.5]),
        ({"reason": EXPIRED, "ended_at": T + 59.9}, [0.0]),  # it was over just before
        ({"reason": EXPIRED}, []),  # nobody knows when
        ({"reason": "Cancelled", "ended_at": T + 30}, []),
    ],
)
async def test_overruns_are_what_agents_measured_however_late_they_tell(
    kit: Kit, status: dict[str, Any], overruns: list[float]
) -> None:
    await put_lease(kit, lease())
    kit.clock.advance(3600)
    ended = lease().status.model_copy(update={"state": LeaseState.ENDED, **status})
    await kit.report("n1", {UNIT: ended})
    await kit.report("n1", {UNIT: ended})
    assert kit.overruns == overruns


async def test_the_wanted_set_holds_all_that_must_be_staged(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING, requirements=["torch"], args={"n": 1}))
    await put_lease(kit, lease(LeaseState.PENDING))
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.name, wanted.code_digest, wanted.image) == (UNIT, DIGEST, IMAGE)
    assert (wanted.requirements, wanted.args_json) == (("torch",), '{"n": 1}')
    assert (wanted.spec.not_after, wanted.next_log) == (0.0, 0)
    assert kit.agents.wanted("n2") == Wanted()
    await kit.log(UNIT, b"a\n", b"b\n")
    await kit.report("n1", {UNIT: kit.held(expires_at=T + 60)})
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.spec.not_after, wanted.next_log) == (T + 60, 2)


async def test_released_leases_and_those_without_a_job_are_not_wanted(kit: Kit) -> None:
    await put_lease(kit, lease())
    assert kit.agents.wanted("n1") == Wanted()
    await kit.put(job(uid="b" * 32))  # another job of that name
    assert kit.agents.wanted("n1") == Wanted()
    await kit.records.delete_job("train", "b" * 32)
    await kit.put(job())
    assert len(kit.agents.wanted("n1").leases) == 1
    await put_lease(kit, lease(released=True))
    assert kit.agents.wanted("n1") == Wanted()


async def test_code_is_read_by_workers_that_need_it(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await put_lease(kit, lease())
    assert await kit.agents.may_read_blob("n1", DIGEST)
    assert await kit.agents.may_read_blob("", DIGEST)
    assert not await kit.agents.may_read_blob("n2", DIGEST)
    assert not await kit.agents.may_read_blob("n1", "sha256:" + "b" * 64)
    await put_lease(kit, lease(released=True))
    assert not await kit.agents.may_read_blob("", DIGEST)


async def test_logs_are_kept_once_and_acknowledged(kit: Kit) -> None:
    await put_lease(kit, lease())
    first = LogBatch(UNIT, (line(0), line(1)))
    assert await kit.agents.logs(first) == LogAck(UNIT, 2)
    assert await kit.agents.logs(first) == LogAck(UNIT, 2)
    assert await kit.agents.logs(LogBatch(UNIT, (line(5),))) == LogAck(UNIT, 2)
    assert queued(kit) == []
    last = LogBatch(UNIT, (UnitRecord(2, LogStream.RESULT, T, ENVELOPE),), 3)
    assert await kit.agents.logs(last) == LogAck(UNIT, 3)
    assert queued(kit) == ["train"]
    assert kit.logs.seen(UNIT).complete
    # What comes after the end is wanted no more, or the agent would send it for ever.
    assert await kit.agents.logs(LogBatch(UNIT, (line(3), line(4)), 5)) == LogAck(UNIT, 5)


async def test_a_flood_of_output_is_acknowledged_dropped_and_told(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "Allowance", lambda: Allowance(200, 200))
    await put_lease(kit, lease())
    told: list[str] = []
    sink = logger.add(lambda text: told.append(str(text)), level="WARNING", format="{message}")
    for start in range(0, 100, 10):
        batch = LogBatch(UNIT, tuple(line(n) for n in range(start, start + 10)))
        assert await kit.agents.logs(batch, "n1") == LogAck(UNIT, start + 10)
    logger.remove(sink)
    words = f"more log of {UNIT} than is kept came from worker n1: the rest is dropped\n"
    assert told == [words]
    kept = kit.logs.read(UNIT, 0)
    assert kept[-1].stream is LogStream.SYSTEM
    assert len(kept) < 10
    end = LogBatch(UNIT, (UnitRecord(100, LogStream.RESULT, T, ENVELOPE),), 101)
    assert await kit.agents.logs(end, "n1") == LogAck(UNIT, 101)
    assert kit.logs.seen(UNIT).result == ResultSeen(len(ENVELOPE), ok=True)


async def test_a_long_message_of_a_lease_is_cut(kit: Kit) -> None:
    await put_lease(kit, lease(LeaseState.PENDING))
    await kit.report("n1", {UNIT: LeaseStatus(state=LeaseState.FAILED, message="ä" * 100_000)})
    message = kit.records.leases[UNIT].status.message
    assert (len(message), message[-2:]) == (4096, "ä…")


@pytest.mark.parametrize(
    ("status", "path"),
    [
        ({"env": {f"A{n}": "b" for n in range(65)}}, f"leases.{UNIT}.env"),
        ({"env": {"A": "b" * 70_000}}, f"leases.{UNIT}"),
        ({"reason": "b" * 70_000}, f"leases.{UNIT}"),
        ({"partition_ids": ("p",) * 65}, f"leases.{UNIT}.partition_ids"),
        ({"mounts": ({"source": "/a", "target": "/b"},) * 65}, f"leases.{UNIT}.mounts"),
    ],
)
async def test_no_agent_has_so_much_to_say_of_a_lease(
    kit: Kit, status: dict[str, Any], path: str
) -> None:
    await put_lease(kit, lease())
    before = kit.store.version
    with pytest.raises(ValidationError, match="expected at most") as caught:
        await kit.report("n1", {UNIT: LeaseStatus.model_validate(status)})
    assert [problem.path for problem in caught.value.problems] == [path]
    assert kit.store.version == before


async def test_nor_of_its_worker(kit: Kit) -> None:
    for fields in (
        {"labels": {"a": "b" * (1 << 20)}},
        {"status": {"images": ("i" * 1000,) * 1100}},
    ):
        with pytest.raises(ValidationError, match="status and labels: "):
            await kit.report("n1", **fields)
    assert kit.records.workers == {}


async def test_logs_of_units_nobody_knows_are_dropped(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    assert await kit.agents.logs(LogBatch(other, (line(0),), 7)) == LogAck(other, 7)
    await put_lease(kit, lease())
    foreign = await kit.agents.logs(LogBatch(UNIT, (line(0),)), worker="n2")
    assert foreign == LogAck(UNIT, 1)
    assert (kit.logs.next_of(other), kit.logs.next_of(UNIT)) == (0, 0)


async def test_two_last_batches_at_once_end_the_log_once(kit: Kit) -> None:
    await put_lease(kit, lease())
    batch = LogBatch(UNIT, (line(0),), 1)
    await asyncio.gather(*(kit.agents.logs(batch) for _ in range(3)))
    written = (kit.logs._folder / f"{UNIT}.log").read_bytes()
    assert written.count(b"END") == 1


async def test_a_stream_that_breaks_in_a_write_loses_nothing(threaded_kit: Kit) -> None:
    kit = threaded_kit
    await put_lease(kit, lease(LeaseState.PENDING))
    session = await kit.agents.session("n1", "peer")
    report = NodeReport("n1", worker().status, {}, ())
    writing = asyncio.ensure_future(session.on_state(report))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await until(lambda: kit.rooms)
    assert "n1" in kit.records.workers
    assert queued(kit) == ["train"]


async def test_a_session_sends_the_wanted_set_acks_and_heartbeats(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "BEAT_SECONDS", 0.01)
    await kit.put(job(Phase.LEASING))
    await put_lease(kit, lease(LeaseState.PENDING))
    session = await kit.agents.session("n1", "peer")
    out = session.outgoing()
    assert await anext(out) == kit.agents.wanted("n1")
    assert await anext(out) == Heartbeat(T)
    await session.on_logs(LogBatch(UNIT, (line(0),)))
    assert await anext(out) == LogAck(UNIT, 1)
    kit.agents.wanted_changed("n2")
    assert await anext(out) == Heartbeat(T)
    await kit.executor._release(UNIT)
    kit.agents.wanted_changed("n1")  # once more: only the newest set counts
    assert await anext(out) == Wanted()
    assert await anext(out) == Heartbeat(T)
    await session.on_look_now(LookNow(UNIT))
    await session.on_usage(NodeUsage(1.0, disk_free=5))
    assert kit.looked == [UNIT]
    (used,) = kit.world.usage.shown(kit.records, T)
    assert (used.worker, used.seen_at, used.disk_free) == ("n1", T, 5)
    kit.agents.close()
    assert [frame async for frame in out] == []


async def test_a_newer_session_ends_the_older(kit: Kit) -> None:
    older = await kit.agents.session("n1", "one")
    report = NodeReport("n1", worker().status, {}, ())
    await older.on_state(report)
    out = older.outgoing()
    await anext(out)
    newer = await kit.agents.session("n1", "two")
    assert [frame async for frame in out] == []
    await newer.on_state(report)
    kit.clock.advance(6)
    await older.on_heartbeat(Heartbeat(T))  # its last words say nothing of the worker
    await older.on_state(NodeReport("n1", worker(cpus=1).status, {}, ()))
    assert not kit.world.workers(kit.clock.now())[0].ready
    assert kit.records.workers["n1"].status.cpus == 8000
    await newer.on_heartbeat(Heartbeat(T))
    await older.close()
    assert kit.world.workers(kit.clock.now())[0].ready
    await newer.close()
    assert not kit.world.workers(kit.clock.now())[0].ready
    assert kit.agents._sessions == {}


async def test_devices_may_change(kit: Kit) -> None:
    await kit.report("n1", devices=1)
    assert kit.world.workers(T)[0].free.milli == {0: 1000}
    devices = tuple(Device(index=i, name="H200", type="nvidia") for i in range(2))
    await kit.report("n1", status={"devices": devices})
    assert kit.world.workers(T)[0].free.milli == {0: 1000, 1: 1000}


def unready(kit: Kit, name: str = "n1") -> Unready | None:
    return next(
        w.unready for w in kit.world.workers(kit.clock.now()) if w.worker.metadata.name == name
    )


async def test_each_heartbeat_comes_back_at_once(kit: Kit) -> None:
    session = await kit.agents.session("n1", "peer")
    out = session.outgoing()
    assert await anext(out) == Wanted()
    await session.on_heartbeat(Heartbeat(17.5))
    assert await anext(out) == Heartbeat(T, 17.5)
    await session.on_heartbeat(Heartbeat(18.5))
    await session.on_heartbeat(Heartbeat(19.5))
    assert await anext(out) == Heartbeat(T, 19.5)


async def test_heartbeats_pass_between_acknowledgements_without_end(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "BEAT_SECONDS", 0.005)
    session = await kit.agents.session("n1", "peer")
    async for frame in session.outgoing():
        await session.on_logs(LogBatch(UNIT, (line(0),)))
        if isinstance(frame, Heartbeat):
            break


async def test_a_silent_session_is_ended(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "BEAT_SECONDS", 0.005)
    session = await kit.agents.session("n1", "peer")
    out = session.outgoing()
    await anext(out)
    kit.clock.advance(SILENT_SECONDS - 1)
    await session.on_logs(LogBatch(UNIT, (line(0),)))  # whatever comes, it lives
    kit.clock.advance(SILENT_SECONDS - 1)
    assert isinstance(await anext(out), LogAck | Heartbeat)
    kit.clock.advance(2)
    assert all([isinstance(frame, LogAck | Heartbeat) async for frame in out])


async def test_a_report_that_takes_long_is_no_silence(kit: Kit) -> None:
    session = await kit.agents.session("n1", "peer")
    with session._hearing():
        kit.clock.advance(SILENT_SECONDS + 1)
        assert not session.silent
    assert not session.silent
    kit.clock.advance(SILENT_SECONDS)
    assert session.silent


async def test_a_lease_ends_by_our_clock_from_when_it_was_first_heard_held(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await put_lease(kit, lease(LeaseState.PENDING))
    kit.clock.advance(5)
    await kit.report("n1", {UNIT: kit.held(expires_at=T - 3600)})  # its clock is behind
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65)}
    kit.clock.advance(5)
    await kit.report("n1", {UNIT: kit.held(expires_at=T - 3600, partition_ids=("p2",))})
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65)}
    await kit.executor._release(UNIT)
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65, T + 10)}
    # The next controller knows it too, unless its machine was started anew: then it may be as
    # late as if it had just been held. When it was released, it cannot know.
    parts = (kit.records, kit.logs, kit.blobs)
    named = {"platform": "x", "default_image": "", "started": T + 20}
    again = World(*parts, **named, marked=kit.clock.marked)  # type: ignore[arg-type]
    assert again.seen_orphan(UID, T).times == {UNIT: LeaseTimes(T + 65, T + 20)}
    rebooted = World(*parts, **named)  # type: ignore[arg-type]
    assert rebooted.seen_orphan(UID, T).times == {UNIT: LeaseTimes(T + 80, T + 20)}
    assert ENDS in kit.records.leases[UNIT].metadata.annotations


async def test_what_ran_before_the_machine_was_started_anew_is_over(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    await kit.report("n1", {UNIT: kit.held()}, status={"boot_id": "one"})
    await put_lease(kit, lease())
    await put_lease(kit, lease(LeaseState.PREPARING, uid="b" * 32))
    await kit.report("n1", status={"boot_id": "one"})
    assert state(kit) is LeaseState.HELD
    await kit.report("n1", status={"boot_id": "two"})
    kept = kit.records.leases[UNIT].status
    assert (kept.state, kept.reason) == (LeaseState.ENDED, RESTARTED)
    assert kit.records.leases[other].status.state is LeaseState.PREPARING  # it had not run


async def test_an_agent_that_could_not_look_says_nothing_by_silence(kit: Kit) -> None:
    await put_lease(kit, lease(released=True))
    blind = Condition(type=UNITS_KNOWN, status=False)
    await kit.report("n1", status={"conditions": (blind,)})
    assert state(kit) is LeaseState.HELD
    assert unready(kit) is Unready.NOT_CLEAN
    await kit.report("n1", status={"conditions": (Condition(type=UNITS_KNOWN, status=True),)})
    assert state(kit) is LeaseState.ENDED
    assert unready(kit) is None


async def test_a_worker_is_clean_before_it_takes_jobs(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    session = await kit.agents.session("n1", "peer")
    await kit.report("n1", {other: kit.held()})
    assert unready(kit) is Unready.NOT_CLEAN
    (ready,) = kit.records.workers["n1"].status.conditions
    assert (ready.status, ready.reason) == (False, "NotClean")
    rooms = kit.rooms
    await kit.report("n1", {other: kit.held(state=LeaseState.ENDED)})
    assert unready(kit) is None
    assert kit.rooms == rooms + 1
    await kit.report("n1", {other: kit.held()})  # what is dropped from then on is no news
    assert unready(kit) is None
    await session.close()
    await kit.report("n1", {other: kit.held()})
    assert unready(kit) is Unready.NOT_CLEAN
    await put_lease(kit, lease(uid="b" * 32))
    await kit.report("n1", {other: kit.held()})  # wanted: nothing unknown
    assert unready(kit) is None


async def test_a_new_session_is_to_be_clean_anew(kit: Kit) -> None:
    await kit.agents.session("n1", "one")
    await kit.report("n1")
    assert unready(kit) is None
    await kit.agents.session("n1", "two")
    assert unready(kit) is Unready.OUT_OF_CONTACT
    await kit.report("n1", {UNIT: kit.held()})
    assert unready(kit) is Unready.NOT_CLEAN


async def test_of_a_fenced_worker_nothing_is_wanted(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await kit.report("n1")
    await put_lease(kit, lease())
    assert len(kit.agents.wanted("n1").leases) == 1
    await kit.records.put_worker(worker(fenced=True))
    assert kit.agents.wanted("n1") == Wanted()
    assert unready(kit) is Unready.FENCED
