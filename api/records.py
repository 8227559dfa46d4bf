"""A unit's output cut into numbered records, always in the same way. Pure.

Used by a worker's agent, and by whoever reads the same output elsewhere and must number it alike
(the controller, where no agent is in reach). Only the sequence of frames decides, never time or
chance, so that reading the output again from its beginning gives equal records.

    frame of stdout or stderr      one record (several where it is longer than PIECE)
    line of stdout that begins     held back: log records as soon as more of stdout follows,
    with ENVELOPE                  RESULT records where the output ends with it
    beyond `limit` of log          one SYSTEM record that says so; further log is dropped
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .frames import LogStream, UnitRecord

ENVELOPE: Final = b'{"status": "'
"""How the runner's last line of stdout begins."""

PIECE: Final = 64 << 10
"""Bytes of one record at most."""

LOG_LIMIT: Final = 64 << 20
"""Bytes of log kept of one unit, each record counted with RECORD_COST on top."""

RECORD_COST: Final = 32
"""What a record costs beside its data: a job that prints empty lines must meet the limit too."""

RESULT_LIMIT: Final = 64 << 20
"""Bytes held back at most; a longer line is log, not an envelope."""


def placed(last: list[UnitRecord], count: int, known: int) -> list[UnitRecord]:
    """The last ones of `count` records that were read again, under the numbers that they have
    where `known` records are known already.

    A container's log has a limit too, beyond which the engine begins it anew: what is read again
    then has lower numbers than what came before, and the result would pass for old. More log than
    is kept had gone before, so that the result is all that is still wanted.
    """
    if count >= known:
        return last
    result = [record for record in last if record.stream is LogStream.RESULT]
    return [replace(record, sequence=known + n) for n, record in enumerate(result)]


class Cutter:
    """Feed every frame in order, then call `finish` once.

    limit: bytes of log (see LOG_LIMIT). result_limit: bytes of an envelope.
    """

    def __init__(self, *, limit: int = LOG_LIMIT, result_limit: int = RESULT_LIMIT) -> None:
        self._limit = limit
        self._result_limit = result_limit
        self._next = 0
        self._spent = 0  # of limit
        self._truncated = False
        self._fresh = True  # the next byte of stdout begins a line
        self._held: list[tuple[float, bytes]] = []  # pieces of one line of stdout
        self._held_bytes = 0
        self._out: list[UnitRecord] = []

    @property
    def next(self) -> int:
        """Sequence number of the next record: how many there are so far."""
        return self._next

    def feed(self, stream: str, time: float, data: bytes) -> list[UnitRecord]:
        """The records that this frame completes. stream: `stdout` or `stderr`."""
        if stream != "stdout":
            self._log(LogStream.STDERR, time, data)
            return self._taken()
        at = 0
        while at < len(data):
            if self._held and self._fresh:  # the held line was whole, and is not the last
                self._release()
            elif self._held:
                at = self._hold(time, data, at)
            else:
                start = _candidate(data, at, fresh=self._fresh)
                if start > at:
                    self._log(LogStream.STDOUT, time, data[at:start])
                    self._fresh = data[start - 1 : start] == b"\n"
                at = self._hold(time, data, start) if start < len(data) else start
        return self._taken()

    def finish(self) -> list[UnitRecord]:
        """The output has ended: what is held back is the result, if it is an envelope."""
        if len(self._head()) == len(ENVELOPE):
            for time, data in self._held:
                self._cut(LogStream.RESULT, time, data)
            self._held, self._held_bytes = [], 0
        self._release()
        return self._taken()

    def _hold(self, time: float, data: bytes, at: int) -> int:
        """Hold the rest of the line that begins or goes on at `at`; the position behind it."""
        end = data.find(b"\n", at) + 1 or len(data)
        self._held.append((time, data[at:end]))
        self._held_bytes += end - at
        self._fresh = data[end - 1 : end] == b"\n"
        if not ENVELOPE.startswith(self._head()) or self._held_bytes > self._result_limit:
            self._release()
        return end

    def _head(self) -> bytes:
        head = b""
        for _, piece in self._held:
            if len(head) == len(ENVELOPE):
                break
            head += piece[: len(ENVELOPE) - len(head)]
        return head

    def _release(self) -> None:
        for time, data in self._held:
            self._log(LogStream.STDOUT, time, data)
        self._held, self._held_bytes = [], 0

    def _log(self, stream: LogStream, time: float, data: bytes) -> None:
        if not data or self._truncated:
            return
        cost = len(data) + RECORD_COST * -(-len(data) // PIECE)
        if self._spent + cost > self._limit:
            self._truncated = True
            words = f"output beyond {self._limit} bytes is not kept\n"
            self._record(LogStream.SYSTEM, time, words.encode())
            return
        self._spent += cost
        self._cut(stream, time, data)

    def _cut(self, stream: LogStream, time: float, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self._record(stream, time, data[at : at + PIECE])

    def _record(self, stream: LogStream, time: float, data: bytes) -> None:
        self._out.append(UnitRecord(self._next, stream, time, data))
        self._next += 1

    def _taken(self) -> list[UnitRecord]:
        out, self._out = self._out, []
        return out


def _candidate(data: bytes, at: int, *, fresh: bool) -> int:
    """Where the next line begins that is, or may turn out to be, an envelope; else len(data).

    fresh: `at` is the beginning of a line. The last line may be cut off within its first bytes.
    """
    if fresh and ENVELOPE.startswith(data[at : at + len(ENVELOPE)]):
        return at
    found = data.find(b"\n" + ENVELOPE, at)
    if found >= 0:
        return found + 1
    tail = data.rfind(b"\n", at) + 1
    if 0 < tail < len(data) and ENVELOPE.startswith(data[tail:]):
        return tail
    return len(data)
