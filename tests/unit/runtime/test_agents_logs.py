"""Logs that agents send: kept once, acknowledged, bounded, and only of units that are known."""

from __future__ import annotations

import asyncio

import pytest
from cumulus.api.frames import LogAck, LogBatch, LogStream, UnitRecord
from cumulus.controller.reconcile.observed import ResultSeen
from cumulus.controller.runtime import spool as spool_module
from cumulus.controller.runtime.allowance import Allowance
from cumulus.crd_like_specs.identity import unit_name
from loguru import logger
from make import UID, T, lease
from runtime_kit import ENVELOPE, Kit

UNIT = unit_name(UID, 1)


def line(sequence: int) -> UnitRecord:
    return UnitRecord(sequence, LogStream.STDOUT, T, b"%d\n" % sequence)


async def test_logs_are_kept_once_and_acknowledged(kit: Kit) -> None:
    await kit.put_lease(lease())
    first = LogBatch(UNIT, (line(0), line(1)))
    assert await kit.agents.logs(first) == LogAck(UNIT, 2)
    assert await kit.agents.logs(first) == LogAck(UNIT, 2)
    assert await kit.agents.logs(LogBatch(UNIT, (line(5),))) == LogAck(UNIT, 2)
    assert kit.queued() == []
    last = LogBatch(UNIT, (UnitRecord(2, LogStream.RESULT, T, ENVELOPE),), 3)
    assert await kit.agents.logs(last) == LogAck(UNIT, 3)
    assert kit.queued() == ["train"]
    assert kit.logs.seen(UNIT).complete
    # What comes after the end is wanted no more, or the agent would send it for ever.
    assert await kit.agents.logs(LogBatch(UNIT, (line(3), line(4)), 5)) == LogAck(UNIT, 5)


async def test_a_flood_of_output_is_acknowledged_dropped_and_told(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "Allowance", lambda: Allowance(200, 200))
    await kit.put_lease(lease())
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


async def test_logs_of_units_nobody_knows_are_dropped(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    assert await kit.agents.logs(LogBatch(other, (line(0),), 7)) == LogAck(other, 7)
    await kit.put_lease(lease())
    foreign = await kit.agents.logs(LogBatch(UNIT, (line(0),)), worker="n2")
    assert foreign == LogAck(UNIT, 1)
    assert (kit.logs.next_of(other), kit.logs.next_of(UNIT)) == (0, 0)


async def test_two_last_batches_at_once_end_the_log_once(kit: Kit) -> None:
    await kit.put_lease(lease())
    batch = LogBatch(UNIT, (line(0),), 1)
    await asyncio.gather(*(kit.agents.logs(batch) for _ in range(3)))
    written = (kit.logs._folder / f"{UNIT}.log").read_bytes()
    assert written.count(b"END") == 1
