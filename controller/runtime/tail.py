"""Where the last lines of an output begin, however they are cut into records. Pure.

A record may hold a part of a line, or several lines; a line of stdout may go on behind lines of
stderr. Lines count where they begin. Used by `spool.py`, and by `follow.py` for what it sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ...api.frames import LogRecord, LogStream


@dataclass
class Lines:
    """How many lines began so far, and the streams whose last line has no end yet."""

    begun: int = 0
    unended: frozenset[LogStream] = frozenset()

    def add(self, stream: LogStream, data: bytes) -> None:
        """The next record."""
        if not data:
            return
        ended = data.endswith(b"\n")
        self.begun += (stream not in self.unended) + data.count(b"\n") - ended
        self.unended = self.unended - {stream} if ended else self.unended | {stream}

    def copy(self) -> Lines:
        """As they are now."""
        return Lines(self.begun, self.unended)


@dataclass
class Tail:
    """sequence: of the record in which the first of the last lines begins; skip: its bytes that
    belong to earlier lines; unended: streams whose earlier line goes on behind it.
    """

    sequence: int = 0
    skip: int = 0
    unended: set[LogStream] = field(default_factory=set)

    def cut(self, record: LogRecord) -> LogRecord:
        """The record without what belongs to earlier lines; it may be left with no data, since
        whoever reads counts records. Give it each record from `sequence` on, once.
        """
        if self.skip:
            skip, self.skip = self.skip, 0
            return replace(record, data=record.data[skip:])
        if record.stream not in self.unended:
            return record
        end = record.data.find(b"\n") + 1
        if end:
            self.unended.discard(record.stream)
        return replace(record, data=record.data[end:] if end else b"")


def find(records: Iterable[LogRecord], before: Lines, passed: int) -> Tail | None:
    """Where the line begins that `passed` lines precede. before: what precedes the records.

    None where it is not among these records.
    """
    lines = before.copy()
    for record in records:
        known = lines.copy()
        lines.add(record.stream, record.data)
        if lines.begun > passed:
            skip = 0
            for _ in range(passed - known.begun + (record.stream in known.unended)):
                skip = record.data.index(b"\n", skip) + 1
            return Tail(record.sequence, skip, set(known.unended - {record.stream}))
    return None
