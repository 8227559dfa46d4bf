"""From the log bytes of Docker's API to frames. Pure; called by `swarm.py`.

The body is a sequence of frames: 1 byte stream (1 stdout, 2 stderr), 3 zero bytes, 4 bytes
big-endian size, then so many bytes: an RFC 3339 time, a space, and the output. A line longer
than 16 KiB comes as several frames with one time, of which only the last ends in a newline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...crd_like_specs.errors import Temporary
from .base import LogFrame
from .swarm_map import parse_time

_HEADER: Final = 8
_STREAMS: Final = {1: "stdout", 2: "stderr"}
_DAEMON: Final = 3  # the engine's own words about an error


def parse_frames(body: bytes) -> Iterator[LogFrame]:
    """Every whole frame of the body; a torn last one is left out.

    Temporary, with the manager's words, where it could not read all of a service's logs.
    """
    view = memoryview(body)
    at = 0
    while at + _HEADER <= len(view):
        number = view[at]
        size = int.from_bytes(view[at + 4 : at + _HEADER], "big")
        start, at = at + _HEADER, at + _HEADER + size
        if at > len(view):
            return
        if number == _DAEMON:
            words = bytes(view[start:at]).decode("utf-8", "replace").strip()
            raise Temporary(f"not all logs can be read: {words}", reason="LogsIncomplete")
        time, _, data = bytes(view[start:at]).partition(b" ")
        yield LogFrame(
            _STREAMS.get(number, "stderr"), parse_time(time.decode("ascii", "replace")), data
        )
