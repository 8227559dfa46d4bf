from __future__ import annotations

import pytest
from cumulus.chronos_bindings.agent.docker_logs import FrameParser, missing, parse_time
from cumulus.chronos_bindings.agent.ports import RawFrame
from cumulus.crd_like_specs.errors import Temporary
from hypothesis import given
from hypothesis import strategies as st

STAMP = b"2026-11-21T02:35:36.698278882Z"


def frame(stream: int, data: bytes, stamp: bytes = STAMP) -> bytes:
    payload = stamp + b" " + data
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=200)), max_size=8)


@given(frames, st.data())
def test_frames_are_the_same_however_the_bytes_are_cut(
    written: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(*one) for one in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = FrameParser()
    got: list[RawFrame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += parser.feed(stream[start:end])
    parser.finish()
    assert [({"stdout": 1, "stderr": 2}[f.stream], f.data) for f in got] == written


def test_every_single_cut_gives_the_same_frames() -> None:
    stream = frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"")
    whole = FrameParser().feed(stream)
    assert len(whole) == 3
    for cut in range(len(stream) + 1):
        parser = FrameParser()
        assert parser.feed(stream[:cut]) + parser.feed(stream[cut:]) == whole


def test_times_are_read_with_their_fraction() -> None:
    one = FrameParser().feed(frame(1, b"x", b"1970-01-01T00:01:00.5Z"))[0]
    assert one.time == 60.5
    assert parse_time("2026-11-21T02:35:36.698278882Z") == pytest.approx(1795228536.698278882)
    assert FrameParser().feed(frame(1, b"x"))[0].time == parse_time(STAMP.decode())


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00Z", "2026-11-21T02:35:36"])
def test_what_is_no_time_is_zero(text: str) -> None:
    assert parse_time(text) == 0.0


@pytest.mark.parametrize(
    "stream",
    [
        b"\x03\0\0\0\0\0\0\x01x",
        b"\x01\0\0\0\xff\xff\xff\xff",
        b"HTTP/1.1 500 Internal",
        frame(1, b"x", b"not-a-time"),
        b"\x01\0\0\0\0\0\0\x1e" + STAMP,
    ],
)
def test_what_is_no_log_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(Temporary) as caught:
        FrameParser().feed(stream)
    assert caught.value.reason == "LogBroken"


def test_a_stream_that_ends_within_a_frame_is_broken() -> None:
    parser = FrameParser()
    assert parser.feed(frame(1, b"one")[:-1]) == []
    with pytest.raises(Temporary):
        parser.finish()


def raws(*numbers: int) -> list[RawFrame]:
    return [RawFrame("stdout", float(n), b"%d" % n) for n in numbers]


@pytest.mark.parametrize(
    ("delivered", "tail", "expected"),
    [
        (raws(1, 2, 3), raws(3), []),
        (raws(1, 2, 3), raws(2, 3, 4, 5), raws(4, 5)),
        (raws(1, 2), raws(1, 2), []),
        (raws(1), raws(0, 1), None),
        (raws(1, 2), raws(7, 8), None),
        (raws(), raws(), []),
        (raws(), raws(1), None),
        (raws(1, 1, 1), raws(1, 1, 2), raws(2)),
    ],
)
def test_what_is_missing_follows_where_both_touch(
    delivered: list[RawFrame], tail: list[RawFrame], expected: list[RawFrame] | None
) -> None:
    assert missing(delivered, tail) == expected


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_delivered_and_missing_are_the_whole(total: int, lost: int, size: int) -> None:
    whole = raws(*range(total))
    delivered = whole[: max(0, total - lost)]
    found = missing(delivered, whole[-size:])
    if found is not None:
        assert delivered + found == whole
    else:
        assert lost >= size or not delivered
