"""Agents' sessions: what is sent and when, which one counts, and how a stream's end loses nothing."""

from __future__ import annotations

import asyncio

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
from cumulus.controller.reconcile.observed import Unready
from cumulus.controller.runtime import session as session_module
from cumulus.controller.runtime.session import SILENT_SECONDS
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, T, job, lease, worker
from runtime_kit import Kit, until

UNIT = unit_name(UID, 1)
SAID = LogBatch(UNIT, (UnitRecord(0, LogStream.STDOUT, T, b"0\n"),))


async def test_a_stream_that_breaks_in_a_write_loses_nothing(threaded_kit: Kit) -> None:
    kit = threaded_kit
    await kit.put_lease(lease(LeaseState.PENDING))
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
    assert kit.queued() == ["train"]


async def test_a_session_sends_the_wanted_set_acks_and_heartbeats(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "BEAT_SECONDS", 0.01)
    await kit.put(job(Phase.LEASING))
    await kit.put_lease(lease(LeaseState.PENDING))
    session = await kit.agents.session("n1", "peer")
    out = session.outgoing()
    assert await anext(out) == kit.agents.wanted("n1")
    assert await anext(out) == Heartbeat(T)
    await session.on_logs(SAID)
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
        await session.on_logs(SAID)
        if isinstance(frame, Heartbeat):
            break


async def test_a_silent_session_is_ended(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "BEAT_SECONDS", 0.005)
    session = await kit.agents.session("n1", "peer")
    out = session.outgoing()
    await anext(out)
    kit.clock.advance(SILENT_SECONDS - 1)
    await session.on_logs(SAID)  # whatever comes, it lives
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


async def test_a_new_session_is_to_be_clean_anew(kit: Kit) -> None:
    await kit.agents.session("n1", "one")
    await kit.report("n1")
    assert kit.unready() is None
    await kit.agents.session("n1", "two")
    assert kit.unready() is Unready.OUT_OF_CONTACT
    await kit.report("n1", {UNIT: kit.held()})
    assert kit.unready() is Unready.NOT_CLEAN
