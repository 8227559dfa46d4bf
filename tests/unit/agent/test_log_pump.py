"""Output becomes the same numbered records each time it is read, and every one arrives."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
from cumulus.api.frames import LeaseWanted, LogAck, LogBatch, LogStream, UnitRecord, Wanted
from cumulus.api.records import ENVELOPE, PIECE, Cutter
from cumulus.chronos_bindings.agent import log_pump
from cumulus.chronos_bindings.agent.log_pumps import LogPumps
from cumulus.chronos_bindings.agent.ports import RawFrame
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.lease import LeaseSpec
from hypothesis import given
from hypothesis import strategies as st

from .conftest import unit
from .fakes import FakeClock, FakeRuntime, settle

UNIT = unit()
RESULT = ENVELOPE + b'success"}\n'


def out(data: bytes, time: float = 1.0) -> RawFrame:
    return RawFrame("stdout", time, data)


def err(data: bytes, time: float = 1.0) -> RawFrame:
    return RawFrame("stderr", time, data)


def cut(frames: list[RawFrame], **limits: int) -> list[UnitRecord]:
    cutter = Cutter(**limits)
    records = [r for f in frames for r in cutter.feed(f.stream, f.time, f.data)]
    return records + cutter.finish()


def shown(records: list[UnitRecord]) -> list[tuple[str, bytes]]:
    return [(r.stream.value, r.data) for r in records]


def text(records: list[UnitRecord], *streams: LogStream) -> bytes:
    return b"".join(r.data for r in records if r.stream in streams)


def test_the_envelope_at_the_end_is_the_result() -> None:
    frames = [out(b"hello\n"), err(b"oops\n"), out(RESULT), err(b"bye\n")]
    assert shown(cut(frames)) == [
        ("stdout", b"hello\n"),
        ("stderr", b"oops\n"),
        ("stderr", b"bye\n"),
        ("result", RESULT),
    ]


def test_what_looks_like_an_envelope_is_log_once_more_follows() -> None:
    frames = [out(RESULT), out(b"more\n"), out(RESULT)]
    assert shown(cut(frames)) == [("stdout", RESULT), ("stdout", b"more\n"), ("result", RESULT)]


@pytest.mark.parametrize("at", range(1, len(RESULT)))
def test_an_envelope_in_pieces_is_still_one(at: int) -> None:
    records = cut([out(b"a\nb\n" + RESULT[:at]), out(RESULT[at:])])
    assert text(records, LogStream.RESULT) == RESULT
    assert text(records, LogStream.STDOUT) == b"a\nb\n"


@pytest.mark.parametrize("tail", [b'{"stat', b'{"status": ', b"{", b'{"state": 1}\n'])
def test_a_beginning_alone_is_no_envelope(tail: bytes) -> None:
    records = cut([out(b"a\n"), out(tail)])
    assert text(records, LogStream.STDOUT) == b"a\n" + tail
    assert text(records, LogStream.RESULT) == b""


def test_log_beyond_the_limit_is_dropped_and_the_result_is_not() -> None:
    frames = [out(b"x" * 1000 + b"\n") for _ in range(10)] + [out(RESULT)]
    records = cut(frames, limit=3200)
    assert [r.stream.value for r in records] == ["stdout"] * 3 + ["system", "result"]
    assert b"3200 bytes" in records[3].data
    assert records[-1].data == RESULT


def test_empty_lines_meet_the_limit_too() -> None:
    assert len(cut([out(b"\n")] * 1000, limit=3300)) == 101


def test_an_envelope_beyond_its_limit_is_log() -> None:
    line = ENVELOPE + b"y" * 500 + b"\n"
    assert [r.stream.value for r in cut([out(line)], result_limit=100)] == ["stdout"]


def test_long_frames_are_cut_into_pieces() -> None:
    data = b"z" * (2 * PIECE + 1)
    records = cut([err(data)])
    assert [len(r.data) for r in records] == [PIECE, PIECE, 1]


LINES = st.lists(
    st.one_of(
        st.sampled_from([RESULT, b"\n", b"x\n", ENVELOPE, b'{"st', b"no end", b"a\n" + RESULT]),
        st.binary(max_size=8),
    ),
    max_size=12,
)
FRAMES = st.lists(st.tuples(st.booleans(), LINES.map(b"".join)), max_size=12).map(
    lambda pairs: [out(data) if first else err(data) for first, data in pairs]
)


@given(FRAMES)
def test_nothing_is_lost_added_or_numbered_twice(frames: list[RawFrame]) -> None:
    records = cut(frames)
    assert [r.sequence for r in records] == list(range(len(records)))
    written = b"".join(f.data for f in frames if f.stream == "stdout")
    assert text(records, LogStream.STDOUT, LogStream.RESULT) == written
    assert text(records, LogStream.STDERR) == b"".join(
        f.data for f in frames if f.stream == "stderr"
    )
    last_line = written[written[:-1].rfind(b"\n") + 1 :]
    envelope = last_line if last_line.startswith(ENVELOPE) else b""
    assert text(records, LogStream.RESULT) == envelope
    assert cut(frames) == records


class Controller:
    """Keeps records as the spool does: what is new and in sequence."""

    def __init__(self) -> None:
        self.kept: list[UnitRecord] = []
        self.complete = False

    def take(self, batch: LogBatch) -> LogAck:
        for record in batch.records:
            if record.sequence == len(self.kept):
                self.kept.append(record)
        if batch.total is not None and len(self.kept) >= batch.total:
            self.complete = True
        return LogAck(batch.unit, len(self.kept))


class Site:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.runtime = FakeRuntime(self.clock)
        self.woken = 0
        self.boot()

    def boot(self) -> None:
        self.pumps = LogPumps(self.runtime, self.clock, ready=self._ready)

    def _ready(self) -> None:
        self.woken += 1

    def wanted(self, next_log: int) -> Wanted:
        spec = LeaseSpec(
            job="0" * 31 + "1", job_name="j", attempt=1, worker="w", memory_milli=0, duration=9
        )
        return Wanted((LeaseWanted(UNIT, spec, next_log=next_log),))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    yield one
    await one.pumps.stop()


SAMPLE = [
    out(b"one\n", 1.0),
    err(b"two\n", 2.0),
    out(RESULT, 3.0),
    out(b"three\n", 4.0),
    err(b"four\n", 5.0),
    out(RESULT[:9], 6.0),
    out(RESULT[9:], 7.0),
]


async def test_the_first_record_goes_at_once_the_next_ones_together(site: Site) -> None:
    site.runtime.start(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    site.runtime.write(UNIT, out(b"a\n"))
    await settle()
    first = site.pumps.take()
    assert first is not None
    assert [r.data for r in first.records] == [b"a\n"]
    for letter in (b"b\n", b"c\n"):
        site.runtime.write(UNIT, out(letter))
        await settle()
    woken = site.woken
    assert site.pumps.take() is None
    await site.clock.advance(log_pump.GATHER_SECONDS)
    assert site.woken == woken + 1
    second = site.pumps.take()
    assert second is not None
    assert [r.data for r in second.records] == [b"b\n", b"c\n"]


async def test_the_end_is_sent_without_gathering(site: Site) -> None:
    site.runtime.start(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    site.runtime.write(UNIT, out(b"a\n"))
    await settle()
    site.pumps.take()
    site.runtime.write(UNIT, out(RESULT))
    site.runtime.end(UNIT)
    await settle()
    batch = site.pumps.take()
    assert batch is not None
    assert (shown(list(batch.records)), batch.total) == ([("result", RESULT)], 2)


async def test_reading_pauses_while_nothing_is_acknowledged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pump, "WINDOW_BYTES", 1000)
    site.runtime.start(UNIT)
    frames = [out(b"%099d\n" % n) for n in range(100)]
    site.runtime.write(UNIT, *frames)
    site.runtime.end(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    controller, most = Controller(), 0
    await settle()
    while not controller.complete:
        batch = site.pumps.take()
        assert batch is not None
        most = max(most, sum(len(r.data) for r in batch.records))
        site.pumps.ack(controller.take(batch))
        await settle()
    assert most == 1000
    assert controller.kept == cut(frames)


async def test_a_batch_is_at_most_its_size(site: Site) -> None:
    site.runtime.start(UNIT)
    site.runtime.write(UNIT, *[out(b"x" * 16384) for _ in range(40)])
    site.runtime.end(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    await settle()
    sizes = []
    while (batch := site.pumps.take()) is not None:
        sizes.append(sum(len(r.data) for r in batch.records))
    assert sum(sizes) == 40 * 16384
    assert max(sizes) <= log_pump.BATCH_BYTES


@pytest.mark.parametrize("kept", range(len(cut(SAMPLE)) + 1))
@pytest.mark.parametrize("restarted", [False, True])
async def test_resumes_at_every_possible_record(site: Site, kept: int, restarted: bool) -> None:
    site.runtime.start(UNIT)
    site.runtime.write(UNIT, *SAMPLE)
    site.runtime.end(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    await settle()
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(LogAck(UNIT, batch.records[-1].sequence))  # all but the last of each
    controller = Controller()
    controller.kept = cut(SAMPLE)[:kept]
    if restarted:
        await site.pumps.stop()
        site.boot()
        site.pumps.follow([UNIT], site.wanted(kept))
    else:
        site.pumps.rewind(site.wanted(kept))
    await settle()
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(controller.take(batch))
        await settle()
    assert controller.complete
    assert controller.kept == cut(SAMPLE)


async def test_a_reading_that_breaks_is_begun_anew(site: Site) -> None:
    site.runtime.start(UNIT)
    site.runtime.write(UNIT, *SAMPLE)
    site.runtime.fail_next("logs", Temporary("broke off"))
    site.runtime.end(UNIT)
    site.pumps.follow([UNIT], site.wanted(0))
    controller = Controller()
    await site.clock.advance(1)
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(controller.take(batch))
        await settle()
    assert site.runtime.readings == 2
    assert controller.complete
    assert controller.kept == cut(SAMPLE)


async def test_the_result_comes_though_the_engine_began_its_log_anew(site: Site) -> None:
    before = [out(b"%d\n" % n) for n in range(10)]
    site.runtime.start(UNIT)
    site.runtime.write(UNIT, *before)
    site.pumps.follow([UNIT], site.wanted(0))
    await settle()
    controller = Controller()
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(controller.take(batch))
    await site.pumps.stop()
    site.boot()
    site.runtime.units[UNIT].frames[:] = [out(b"after it\n"), out(RESULT)]
    site.runtime.end(UNIT)
    site.pumps.follow([UNIT], site.wanted(len(controller.kept)))
    await settle()
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(controller.take(batch))
        await settle()
    assert controller.complete
    assert shown(controller.kept) == [*shown(cut(before)), ("result", RESULT)]


async def test_output_that_is_gone_is_said_to_be_lost(site: Site) -> None:
    site.runtime.start(UNIT)
    site.runtime.write(UNIT, out(b"a\n"))
    site.pumps.follow([UNIT], site.wanted(0))
    await settle()
    del site.runtime.units[UNIT]
    site.runtime._news[UNIT].set()
    await settle()
    await site.clock.advance(1)
    batch = site.pumps.take()
    assert batch is not None
    assert [r.stream.value for r in batch.records] == ["stdout", "system"]
    assert batch.total == 2


async def test_units_take_turns_and_unwanted_ones_are_left(site: Site) -> None:
    for number in (1, 2):
        site.runtime.start(unit(number))
        site.runtime.write(unit(number), *[out(b"x" * 65536) for _ in range(8)])
    spec = site.wanted(0).leases[0].spec
    both = Wanted(tuple(LeaseWanted(unit(n), spec) for n in (1, 2)))
    site.pumps.follow([unit(1), unit(2), unit(3)], both)
    await settle()
    turns = [batch.unit for batch in iter(site.pumps.take, None) if batch]
    assert turns == [unit(1), unit(2)] * (len(turns) // 2)
    assert len(turns) == 4
    site.pumps.follow([unit(1)], Wanted(both.leases[1:]))
    site.runtime.write(unit(1), out(b"more\n"))
    await site.clock.advance(1)
    assert site.pumps.take() is None


async def test_words_about_a_unit_that_never_ran_arrive_whole(site: Site) -> None:
    words = "é\n" * 200_000
    site.pumps.say(UNIT, words)
    site.pumps.follow([], site.wanted(0))
    assert site.woken
    controller = Controller()
    assert site.pumps.take() is not None  # lost with its connection
    site.pumps.rewind(site.wanted(0))
    while (batch := site.pumps.take()) is not None:
        site.pumps.ack(controller.take(batch))
    assert controller.complete
    assert {r.stream for r in controller.kept} == {LogStream.SYSTEM}
    assert b"".join(r.data for r in controller.kept).decode() == words
    site.pumps.follow([], Wanted(()))
    site.pumps.rewind(Wanted(()))
    assert site.pumps.take() is None


async def test_random_breaks_lose_and_double_nothing(site: Site) -> None:
    chance = random.Random(7)
    frames = [chance.choice([out, err])(b"%d\n" % n, float(n)) for n in range(300)] + [out(RESULT)]
    site.runtime.start(UNIT)
    controller = Controller()
    site.pumps.follow([UNIT], site.wanted(0))
    todo = list(frames)
    while not controller.complete:
        if todo and chance.random() < 0.5:
            site.runtime.write(UNIT, todo.pop(0))
        if not todo:
            site.runtime.end(UNIT)
        await settle(5)
        what = chance.choices(
            ["take", "take, lose the ack", "break", "forget and break"], [20, 5, 2, 1]
        )[0]
        batch = site.pumps.take() if what.startswith("take") else None
        ack = controller.take(batch) if batch else None
        if ack and what == "take":
            site.pumps.ack(ack)
        if what == "forget and break":
            controller.kept = controller.kept[: chance.randint(0, len(controller.kept))]
        if what.endswith("break"):
            site.pumps.rewind(site.wanted(len(controller.kept)))
        await site.clock.advance(0.005)
    assert controller.kept == cut(frames)
