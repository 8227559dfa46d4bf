"""The Docker Engine's log stream, cut back into the pieces that were written. Pure.

Called by `runtime_docker`. `/containers/{id}/logs?timestamps=1` of a container without a terminal
is a sequence of frames: one byte of stream (1 stdout, 2 stderr), three zero bytes, four bytes of
length (big endian), then `<RFC 3339 time with nanoseconds> <data>`. The engine writes one frame a
line, and one per 16 KiB of a longer line.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Sequence
from typing import Final, Literal

from ...crd_like_specs.errors import Temporary
from .ports import RawFrame

_HEADER: Final = 8
_LONGEST: Final = 4 << 20  # bytes; the engine's frames have about 16 KiB, more is no log stream
_STREAMS: Final[dict[int, Literal["stdout", "stderr"]]] = {1: "stdout", 2: "stderr"}
_TIME: Final = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$")


class FrameParser:
    """Takes bytes cut anywhere and gives whole frames, equal however they were cut."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._second = (b"", 0)  # the last second's text and value: most frames share it

    def feed(self, data: bytes) -> list[RawFrame]:
        """The frames completed by `data`. Temporary(reason="LogBroken") if it is no log stream."""
        rest = self._rest
        rest += data
        frames: list[RawFrame] = []
        start = 0
        while len(rest) - start >= _HEADER:
            size = int.from_bytes(rest[start + 4 : start + _HEADER], "big")
            stream = _STREAMS.get(rest[start])
            if stream is None or size > _LONGEST:
                raise _broken(f"a frame of stream {rest[start]} with {size} bytes")
            end = start + _HEADER + size
            if len(rest) < end:
                break
            frames.append(self._frame(stream, bytes(rest[start + _HEADER : end])))
            start = end
        del rest[:start]
        return frames

    def finish(self) -> None:
        """Say that the stream has ended; Temporary(reason="LogBroken") in the middle of a frame."""
        if self._rest:
            raise _broken(f"it ended {len(self._rest)} bytes into a frame")

    def _frame(self, stream: Literal["stdout", "stderr"], payload: bytes) -> RawFrame:
        stamp, space, data = payload.partition(b" ")
        match = _TIME.match(stamp)
        if not space or not match:
            raise _broken(f"a frame begins with {stamp[:40]!r} where a time was expected")
        return RawFrame(stream, self._seconds(match[1], match[2] or b""), data)

    def _seconds(self, whole: bytes, fraction: bytes) -> float:
        if self._second[0] != whole:
            parsed = time.strptime(whole.decode("ascii"), "%Y-%m-%dT%H:%M:%S")
            self._second = (whole, calendar.timegm(parsed))
        return self._second[1] + int(fraction.ljust(9, b"0")) / 1e9


def missing(delivered: Sequence[RawFrame], tail: Sequence[RawFrame]) -> list[RawFrame] | None:
    """What of `tail`, the log's last frames, comes after the last of `delivered`; None where the
    two do not touch, so that there is a gap between them.
    """
    for size in range(min(len(delivered), len(tail)), 0, -1):
        if list(delivered[-size:]) == list(tail[:size]):
            return list(tail[size:])
    return [] if not tail else None


def parse_time(text: str) -> float:
    """POSIX seconds of the engine's `2026-01-31T10:00:00.123456789Z`; 0.0 for its zero time and
    for text that is no such time.
    """
    match = _TIME.match(text.encode())
    if not match or text.startswith("0001-"):
        return 0.0
    parsed = time.strptime(match[1].decode("ascii"), "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) + int((match[2] or b"").ljust(9, b"0")) / 1e9


def _broken(what: str) -> Temporary:
    return Temporary(f"the engine's log stream is not understood: {what}", reason="LogBroken")
