"""Spools: records once and in order, a result apart, and a torn tail cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cumulus.api.frames import LogStream, UnitRecord
from cumulus.api.records import RESULT_LIMIT, Cutter
from cumulus.controller.platforms.base import LogFrame
from cumulus.controller.reconcile.observed import ResultSeen
from cumulus.controller.runtime.allowance import Allowance
from cumulus.controller.runtime.logs import REST_MISSING, Logs
from cumulus.controller.runtime.spool import ERROR_LIMIT, TYPE_LIMIT, Spool, read_head
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.identity import unit_name
from disks import no_more_than
from make import UID

OUT, ERR, RES = LogStream.STDOUT, LogStream.STDERR, LogStream.RESULT
UNIT = unit_name(UID, 1)
SUCCESS = b'{"status": "success", "result": 1}\n'
FAILURE = b'{"status": "error", "error": "no", "error_type": "ValueError"}\n'


def records(*pieces: tuple[LogStream, bytes]) -> tuple[UnitRecord, ...]:
    return tuple(UnitRecord(n, s, 10.0 + n, data) for n, (s, data) in enumerate(pieces))


def full(path: Path) -> Spool:
    spool = Spool(path, 1)
    lines = records((OUT, b"a\n"), (ERR, b"b\xff\n"), (OUT, b"no newline"), (RES, SUCCESS))
    assert spool.append(lines, 4)
    spool.finish()
    return spool


def test_keeps_records_and_result(tmp_path: Path) -> None:
    spool = full(tmp_path / "u.log")
    read = spool.read(0)
    assert [(r.sequence, r.stream, r.data) for r in read] == [
        (0, OUT, b"a\n"),
        (1, ERR, b"b\xff\n"),
        (2, OUT, b"no newline"),
    ]
    assert spool.seen().complete
    assert spool.result == ResultSeen(len(SUCCESS), ok=True)
    assert spool.result_path.read_bytes() == SUCCESS


def test_repeated_records_are_kept_once_and_gaps_wait(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "u.log", 1)
    lines = records((OUT, b"a"), (OUT, b"b"), (OUT, b"c"))
    spool.append(lines[:2], None)
    spool.append(lines[:2], None)
    assert not spool.append((*lines[2:], UnitRecord(9, OUT, 0.0, b"z")), 10)
    assert spool.next == 3
    assert [r.data for r in spool.read(1)] == [b"b", b"c"]
    spool.close()


def test_reads_from_any_offset(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "u.log", 1)
    spool.append(records(*((OUT, b"%d\n" % n) for n in range(1000))), None)
    for offset in (0, 1, 255, 256, 257, 999):
        assert spool.read(offset)[0].sequence == offset
    assert spool.read(1000) == []
    assert len(spool.read(0, limit=10)) < 1000
    spool.close()


def test_recovers_from_a_cut_at_every_byte(tmp_path: Path) -> None:
    whole = full(tmp_path / "whole.log")
    log, result = whole.path.read_bytes(), whole.result_path.read_bytes()
    lines = records((OUT, b"a\n"), (ERR, b"b\xff\n"), (OUT, b"no newline"), (RES, SUCCESS))
    for cut in range(len(log) + 1):
        path = tmp_path / "cut.log"
        path.write_bytes(log[:cut])
        path.with_suffix(".result").write_bytes(result)
        spool = Spool(path, 1)
        assert spool.next <= 4
        if spool.append(lines, 4):
            spool.finish()
        assert [r.data for r in spool.read(0)] == [b"a\n", b"b\xff\n", b"no newline"]
        assert spool.result_path.read_bytes() == SUCCESS
        assert spool.seen() == whole.seen()
        path.unlink()


@pytest.mark.parametrize(
    ("envelope", "seen"),
    [
        (FAILURE, ResultSeen(len(FAILURE), ok=False, error_type="ValueError", error="no")),
        (
            b'{"status": "err',
            ResultSeen(15, ok=False, error_type="BadResult", error="the result is not JSON"),
        ),
        (b"[]", ResultSeen(2, ok=False, error_type="BadResult", error="the result is no object")),
        (
            b'{"status": "error", "error": "caf\\udce9 \\ud83d\\ude00", "error_type": "\\ud800"}',
            ResultSeen(78, ok=False, error_type="\ufffd", error="caf\ufffd 😀"),
        ),
        (
            b'{"status": "error", "error": {"a": [1]}, "error_type": null}',
            ResultSeen(60, ok=False, error_type="null", error='{"a": [1]}'),
        ),
        (
            b'{"status": "error", "error": ' + b"[" * 100_000,
            ResultSeen(100_029, ok=False, error_type="BadResult", error="the result is not JSON"),
        ),
    ],
    ids=["failure", "cut", "list", "halves", "odd", "deep"],
)
def test_head_of_an_envelope(tmp_path: Path, envelope: bytes, seen: ResultSeen) -> None:
    spool = Spool(tmp_path / "u.log", 1)
    spool.append(records((RES, envelope)), 1)
    spool.finish()
    assert spool.result == seen
    assert Spool(tmp_path / "u.log", 1).result == seen


def test_of_an_error_the_record_gets_so_much_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "result"
    said = {"status": "error", "error": "x" * (1 << 20), "error_type": "E" * 1000}
    path.write_text(json.dumps(said))
    seen = read_head(path)
    assert seen.error == "x" * (ERROR_LIMIT - 1) + "…"
    assert seen.error_type == "E" * (TYPE_LIMIT - 1) + "…"


SMALL = {"log": 1000, "result": 1000}


def reopened(spool: Spool) -> Spool:
    spool.close()
    return Spool(spool.path, 1, Allowance(**SMALL))


@pytest.mark.parametrize("restart", [False, True])
def test_a_log_beyond_what_a_worker_may_send_is_dropped(tmp_path: Path, *, restart: bool) -> None:
    spool = Spool(tmp_path / "u.log", 1, Allowance(**SMALL))
    flood = records(*((OUT, b"x" * 99 + b"\n") for _ in range(1000)), (RES, SUCCESS))
    for start in range(0, len(flood), 100):
        assert not spool.append(flood[start : start + 100], None)
        assert spool.next == min(start + 100, len(flood))  # the agent goes on
        if restart:
            spool = reopened(spool)
            assert spool.refused == {"log"}
            spool.next = max(spool.next, min(start + 100, len(flood)))
    assert spool.append((), len(flood))
    spool.finish()
    for known in (spool, reopened(spool)):
        kept = known.read(0)
        assert [record.sequence for record in kept] == list(range(8))
        assert [record.stream for record in kept] == [OUT] * 7 + [LogStream.SYSTEM]
        assert kept[-1].data.startswith(b"output beyond 1000 bytes is not kept")
        assert known.read(8) == []
        assert known.tail(1).sequence == 7
        assert known.result == ResultSeen(len(SUCCESS), ok=True)
    assert spool.path.stat().st_size < 2000


def test_after_a_restart_a_worker_goes_on_behind_what_was_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "u.log", 1, Allowance(**SMALL))
    spool.append(records(*((OUT, b"x" * 99 + b"\n") for _ in range(100))), None)
    again = reopened(spool)
    assert again.next == 8
    assert not again.append((UnitRecord(100, OUT, 1.0, b"more"),), None)
    assert again.next == 101
    assert again.append((), 101)
    again.finish()
    assert again.complete


def test_records_without_data_count_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "u.log", 1, Allowance(**SMALL))
    spool.append(records(*((stream, b"") for stream in (OUT, RES) * 1000)), None)
    assert (spool.refused, spool.next) == ({"log", "result"}, 2000)
    assert spool.path.stat().st_size < 4000
    spool.close()


def test_a_result_beyond_what_a_runner_makes_is_an_error(tmp_path: Path) -> None:
    whole = Spool(tmp_path / "u.log", 1, Allowance(**SMALL))
    pieces = records((OUT, b"a\n"), *((RES, SUCCESS[:-1] + b" " * 300) for _ in range(50)))
    assert whole.append(pieces, len(pieces))
    whole.finish()
    assert whole.refused == {"result"}
    assert whole.result is not None
    assert (whole.result.ok, whole.result.error_type) == (False, "ResultTooLarge")
    assert "beyond 1000 bytes is not kept" in whole.result.error
    log, result = whole.path.read_bytes(), whole.result_path.read_bytes()
    assert reopened(whole).result == whole.result
    for cut in range(len(log) + 1):  # and however it was broken off
        path = tmp_path / "cut.log"
        path.write_bytes(log[:cut])
        path.with_suffix(".result").write_bytes(result)
        spool = Spool(path, 1, Allowance(**SMALL))
        if spool.append(pieces, len(pieces)):
            spool.finish()
        assert spool.seen() == whole.seen()
        assert [record.data for record in spool.read(0)] == [b"a\n"]
        path.unlink()


def test_what_a_worker_may_send_is_kept() -> None:
    """Its own limits, records and notice included, are within the controller's."""
    allowance, cutter = Allowance(), Cutter()
    line = b"y" * 1000 + b"\n"
    sent = [r for _ in range(70_000) for r in cutter.feed("stdout", 1.0, line)]
    assert sent[-1].stream is LogStream.SYSTEM
    assert all(allowance.take(record.stream, len(record.data)) for record in sent)
    result = Cutter()
    result.feed("stdout", 1.0, SUCCESS[:-1])
    for _ in range((RESULT_LIMIT - 1000) // (16 << 10)):
        result.feed("stdout", 1.0, b" " * (16 << 10))
    pieces = result.finish()
    assert {record.stream for record in pieces} == {RES}
    assert all(allowance.take(RES, len(record.data)) for record in pieces)


async def test_collecting_from_the_platform_completes_what_the_agent_began(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    frames = [
        LogFrame("stdout", 1.0, b"a\n"),
        LogFrame("stdout", 2.0, SUCCESS[:20]),
        LogFrame("stderr", 2.5, b"e\n"),
        LogFrame("stdout", 3.0, SUCCESS[20:]),
    ]
    await logs.append(UNIT, (UnitRecord(0, OUT, 1.0, b"a\n"),), None)
    await logs.collect(UNIT, frames)
    assert [r.data for r in logs.read(UNIT, 0)] == [b"a\n", b"e\n"]
    assert b"".join([piece async for piece in logs.result(UNIT)]) == SUCCESS
    assert logs.complete(UNIT)


async def test_the_platforms_copy_without_its_beginning_still_has_the_result(
    tmp_path: Path,
) -> None:
    """The engine begins a log anew that has become too long."""
    logs = Logs(tmp_path)
    lines = [b"%d\n" % n for n in range(5)]
    before = tuple(UnitRecord(n, OUT, 1.0, line) for n, line in enumerate(lines))
    await logs.append(UNIT, before, None)
    copy = [LogFrame("stdout", 2.0, b"8\n"), LogFrame("stdout", 3.0, SUCCESS)]
    await logs.collect(UNIT, copy)
    assert [r.data for r in logs.read(UNIT, 0)] == lines
    assert b"".join([piece async for piece in logs.result(UNIT)]) == SUCCESS
    assert logs.complete(UNIT)


@pytest.mark.parametrize("size", [50, 20_000])
@pytest.mark.parametrize("room", [0, 100, 5_000, 30_000, 45_000])
async def test_a_full_disk_tears_no_log(tmp_path: Path, size: int, room: int) -> None:
    logs = Logs(tmp_path)
    lines = [b"%d" % n + b"x" * size + b"\n" for n in range(60_000 // size)]
    sent = tuple(UnitRecord(n, OUT, 1.0, line) for n, line in enumerate(lines))
    with no_more_than(room), pytest.raises(OSError, match="too large"):
        await logs.append(UNIT, sent, len(sent))
    assert not logs.complete(UNIT)
    assert await logs.append(UNIT, sent[logs.next_of(UNIT) :], len(sent)) == (len(sent), True)
    for kept in (logs, Logs(tmp_path)):
        assert [r.data for r in kept.read(UNIT, 0)] == lines
        assert kept.complete(UNIT)


async def test_a_copy_with_less_than_its_agent_brought_is_not_the_end(tmp_path: Path) -> None:
    """A node that the manager does not reach for a moment gives an empty log, without an error."""
    logs = Logs(tmp_path)
    lines = tuple(UnitRecord(n, OUT, 1.0, b"%d\n" % n) for n in range(20))
    await logs.append(UNIT, lines[:18], None)
    for copy in ([], [LogFrame("stdout", 1.0, r.data) for r in lines[:17]], None):
        with pytest.raises(Temporary, match="18 had come from its worker"):
            await logs.collect(UNIT, copy)
    assert not logs.complete(UNIT)
    assert await logs.append(UNIT, lines[18:], 20) == (20, True)
    await logs.collect(UNIT, [])
    assert [r.data for r in logs.read(UNIT, 0)] == [r.data for r in lines]


@pytest.mark.parametrize("copy", [[], None])
async def test_a_log_that_nobody_completes_says_so_and_a_part_of_a_result_is_none(
    tmp_path: Path, copy: list[LogFrame] | None
) -> None:
    logs = Logs(tmp_path)
    kept = (UnitRecord(0, OUT, 1.0, b"a\n"), UnitRecord(1, RES, 1.0, SUCCESS[:30]))
    await logs.append(UNIT, kept, None)
    await logs.collect(UNIT, copy, last=True, now=7.0)
    (first, said) = logs.read(UNIT, 0)
    assert first.data == b"a\n"
    assert (said.stream, said.time, said.data) == (LogStream.SYSTEM, 7.0, REST_MISSING)
    assert logs.seen(UNIT).complete
    assert logs.seen(UNIT).result is None
    logs.close()
    assert Logs(tmp_path).seen(UNIT) == logs.seen(UNIT)


async def test_a_result_that_came_is_not_taken_again_from_a_shorter_copy(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    kept = (UnitRecord(0, OUT, 1.0, b"a\n"), UnitRecord(1, RES, 1.0, SUCCESS))
    await logs.append(UNIT, kept, None)
    await logs.collect(UNIT, [LogFrame("stdout", 3.0, SUCCESS)])
    assert b"".join([piece async for piece in logs.result(UNIT)]) == SUCCESS


async def test_a_job_that_prints_nothing_has_its_result_kept(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "not" / "there" / "yet")
    await logs.append(UNIT, (UnitRecord(0, RES, 1.0, SUCCESS),), 1)
    assert logs.read(UNIT, 0) == []
    assert b"".join([piece async for piece in logs.result(UNIT)]) == SUCCESS


async def test_last_line_that_is_no_envelope_is_a_log_line(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    await logs.collect(UNIT, [LogFrame("stdout", 1.0, SUCCESS), LogFrame("stdout", 2.0, b"x\n")])
    assert [r.data for r in logs.read(UNIT, 0)] == [SUCCESS, b"x\n"]
    assert logs.seen(UNIT).result is None


async def test_deleting_a_job_deletes_all_its_files(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    await logs.collect(UNIT, [LogFrame("stdout", 1.0, SUCCESS)])
    await logs.collect(unit_name(UID, 2), [])
    logs.delete(UID, 2)
    assert list(tmp_path.iterdir()) == []
    assert logs.read(UNIT, 0) == []


@pytest.mark.parametrize("tail", range(1, 9))
def test_the_last_lines_are_lines_however_they_were_cut(tmp_path: Path, tail: int) -> None:
    pieces = (
        *((OUT, b"a1\na2\n"), (OUT, b"b1 "), (ERR, b"c1\n"), (OUT, b"b2 "), (OUT, b"b3\nd1\ne")),
        *((ERR, b"f1 "), (OUT, b"2\n"), (ERR, b"f2\ng")),
    )
    lines = [b"a1", b"a2", b"b1 b2 b3", b"c1", b"d1", b"e2", b"f1 f2", b"g"]
    spool = Spool(tmp_path / "u.log", 1)
    spool.append(records(*pieces), None)
    spool.close()
    for known in (spool, Spool(tmp_path / "u.log", 1)):  # as written, and as recovered
        found = known.tail(tail)
        said = {OUT: b"", ERR: b""}
        for record in known.read(found.sequence):
            said[record.stream] += found.cut(record).data
        told = [line for text in said.values() for line in text.splitlines()]
        assert sorted(told) == sorted(lines[-tail:])


def test_the_last_lines_of_a_long_output_are_found_without_reading_it_all(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "u.log", 1)
    spool.append(records(*((OUT, b"x" * 9 + b"\n" * (n % 2)) for n in range(20_000))), None)
    found = spool.tail(3)
    assert (found.sequence, found.skip) == (19_994, 0)
    assert spool.tail(9_999).sequence == 2
    assert spool.tail(10_001).sequence == 0
    assert Spool(tmp_path / "new.log", 1).tail(5).sequence == 0
    spool.close()
