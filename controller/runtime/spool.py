"""One attempt's output on the controller's disk: records with sequence numbers, and the result.

File `<unit>.log`: per record a line `sequence stream time length`, the data, a newline; a last
line `END total` once nothing more will come. File `<unit>.result`: the runner's envelope. A torn
tail is cut off when the file is opened, so an acknowledged record is a whole one. What is beyond
the allowance is dropped as if it was kept, behind one record that says so. Does file I/O in small
pieces; called by `logs.py` only.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from ...api.frames import LogRecord, LogStream, UnitRecord
from ...crd_like_specs.wording import whole
from ..reconcile.observed import LogsSeen, ResultSeen
from .allowance import Allowance
from .tail import Lines, Tail, find

INDEX_EVERY: Final = 256
HEADER_LIMIT: Final = 128
RESULT_HEAD: Final = 4 << 20
"""Bytes of an envelope that are parsed for its error; error envelopes are far smaller."""
ERROR_LIMIT: Final = 16 << 10
"""Characters of an error that the job's record keeps; a runner sends half of that."""
TYPE_LIMIT: Final = 256
"""Characters of the name of its type."""

_LETTERS: Final = {LogStream.STDOUT: "o", LogStream.STDERR: "e", LogStream.SYSTEM: "s"}
_STREAMS: Final = {
    **{letter: stream for stream, letter in _LETTERS.items()},
    "x": LogStream.SYSTEM,  # the record behind which no more of the log is kept
}
_OF_RESULT: Final = (b"r", b"q")
"""A piece of it came; too many did, and an error stands in its place. Then its size."""


class Spool:
    """See the module docstring. `next`: sequence number of the first record not kept yet;
    `refused`: what had to be dropped, `log` or `result`.
    """

    def __init__(self, path: Path, attempt: int, allowance: Allowance | None = None) -> None:
        self.path = path
        self.result_path = path.with_suffix(".result")
        self.attempt = attempt
        self.next = 0
        self.complete = False
        self.result: ResultSeen | None = None
        self.refused: set[str] = set()
        self._allowance = allowance or Allowance()
        self._lines = Lines()
        self._noted = 0  # records of the log, without pieces of the result
        self._index: list[tuple[int, int, Lines]] = []  # sequence, position, lines before it
        self._size = 0
        self._file: IO[bytes] | None = None
        if path.exists():
            self._recover()

    def append(self, records: tuple[UnitRecord, ...], total: int | None) -> bool:
        """Keep what is new; returns whether the attempt's output is complete with it.

        A gap (records that were never sent here) ends the call: the sender goes on from `next`.
        What was dropped is not on disk, and so may be a gap after a restart.
        """
        for record in records:
            if self.complete or (record.sequence > self.next and not self.refused):
                break
            if record.sequence >= self.next:
                self._take(record)
        if self.refused and not self.complete:
            self.next = max(self.next, total or 0)
        if self._file is not None:
            self._file.flush()
        return total is not None and self.next >= total and not self.complete

    def finish(self) -> None:
        """Nothing more will come: make it durable and read the result's head. Blocks (fsync)."""
        if self.complete:
            return
        file = self._writer()
        file.write(f"END {self.next}\n".encode())
        file.flush()
        os.fdatasync(file.fileno())
        file.close()
        self._file = None
        if self.result_path.exists():
            with self.result_path.open("rb+") as result:
                os.fdatasync(result.fileno())
            self.result = read_head(self.result_path)
        self.complete = True

    @property
    def has_result(self) -> bool:
        """Whether any of it came."""
        return self.result_path.exists()

    @property
    def whole_result(self) -> bool:
        """Whether all of it came: it is one line, and the last of the output."""
        if not self.has_result:
            return False
        with self.result_path.open("rb") as file:
            file.seek(max(0, file_size(self.result_path) - 1))
            return file.read(1) == b"\n"

    def drop_result(self) -> None:
        """A part of it is none: the rest will not come."""
        self.result_path.unlink(missing_ok=True)

    def seen(self) -> LogsSeen:
        """For the plan."""
        return LogsSeen(complete=self.complete, result=self.result)

    def read(self, offset: int, limit: int = 1 << 20) -> list[LogRecord]:
        """Log records from sequence `offset`, at most about `limit` bytes; [] where none are."""
        if offset >= self.next or not self._index:
            return []
        at = max(0, bisect_right(self._index, (offset, 1 << 62)) - 1)
        found: list[LogRecord] = []
        size = 0
        with self.path.open("rb") as file:
            file.seek(self._index[at][1])
            for record, _ in self._parse(file):
                if record.sequence >= offset:
                    found.append(record)
                    size += len(record.data)
                if size >= limit or record.sequence >= self.next - 1:
                    break
        return found

    def tail(self, lines: int) -> Tail:
        """Where the last `lines` (>= 1) lines kept so far begin."""
        passed = self._lines.begun - lines
        if passed < 0 or not self._index:
            return Tail()
        at = bisect_right(self._index, passed, key=lambda entry: entry[2].begun) - 1
        _, position, before = self._index[max(0, at)]
        with self.path.open("rb") as file:
            file.seek(position)
            found = find((record for record, _ in self._parse(file)), before, passed)
        return found or Tail()

    def close(self) -> None:
        """Close the file; it opens again when it must."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _take(self, record: UnitRecord) -> None:
        kind = "result" if record.stream is LogStream.RESULT else "log"
        if kind not in self.refused:
            if self._allowance.take(record.stream, len(record.data)):
                self._keep(record)
            else:
                self.refused.add(kind)
                self._refuse(record)
        self.next = record.sequence + 1

    def _refuse(self, record: UnitRecord) -> None:
        """Say in place of the first record that is dropped that it is."""
        if record.stream is LogStream.RESULT:
            self.result_path.write_bytes(self._allowance.no_result)
            line = f"{record.sequence} q {record.time:.6f} {file_size(self.result_path)}\n".encode()
        else:
            notice = self._allowance.notice
            head = f"{record.sequence} x {record.time:.6f} {len(notice)}\n"
            line = head.encode() + notice + b"\n"
            self._note(record.sequence, LogStream.SYSTEM, notice)
        self._write(line)

    def _keep(self, record: UnitRecord) -> None:
        if record.stream is LogStream.RESULT:
            with self.result_path.open("ab") as file:
                file.write(record.data)
            # The log notes the piece, so that a recovered spool knows how far it had come.
            line = f"{record.sequence} r {record.time:.6f} {file_size(self.result_path)}\n".encode()
        else:
            head = f"{record.sequence} {_LETTERS[record.stream]} {record.time:.6f}"
            line = f"{head} {len(record.data)}\n".encode() + record.data + b"\n"
            self._note(record.sequence, record.stream, record.data)
        self._write(line)

    def _write(self, line: bytes) -> None:
        self._writer().write(line)
        self._size += len(line)

    def _note(self, sequence: int, stream: LogStream, data: bytes) -> None:
        if self._noted % INDEX_EVERY == 0:
            self._index.append((sequence, self._size, self._lines.copy()))
        self._noted += 1
        self._lines.add(stream, data)

    def _writer(self) -> IO[bytes]:
        if self._file is None:
            self._file = self.path.open("ab")
        return self._file

    def _parse(self, file: IO[bytes]) -> Iterator[tuple[LogRecord, int]]:
        """Log records and the position behind each, until the end or a torn record.

        Result pieces set `next` on the way through recovery and are not yielded.
        """
        while header := file.readline(HEADER_LIMIT):
            parts = header.split()
            if not header.endswith(b"\n") or len(parts) != 4:
                return
            if parts[1] in _OF_RESULT:
                continue
            sequence, letter, time, length = parts
            data = file.read(int(length) + 1)
            if len(data) != int(length) + 1 or not data.endswith(b"\n"):
                return
            stream = _STREAMS[letter.decode()]
            yield (
                LogRecord(int(sequence), stream, float(time), data[:-1], self.attempt),
                file.tell(),
            )

    def _count(self, letter: bytes, size: int) -> None:
        """A record that is on disk already."""
        if letter in (b"q", b"x"):
            self.refused.add("result" if letter == b"q" else "log")
        else:
            self._allowance.take(_STREAMS.get(letter.decode(), LogStream.RESULT), size)

    def _recover(self) -> None:
        result_size = 0
        with self.path.open("rb") as file:
            while True:
                start = file.tell()
                header = file.readline(HEADER_LIMIT)
                parts = header.split()
                if header.endswith(b"\n") and len(parts) == 2 and parts[0] == b"END":
                    self.complete, self._size = True, file.tell()
                    break
                if not header.endswith(b"\n") or len(parts) != 4:
                    break
                if parts[1] in _OF_RESULT:
                    self._count(parts[1], int(parts[3]) - result_size)
                    result_size = int(parts[3])
                else:
                    data = file.read(int(parts[3]) + 1)
                    if len(data) != int(parts[3]) + 1:
                        break
                    self._size = start
                    self._note(int(parts[0]), _STREAMS[parts[1].decode()], data[:-1])
                    self._count(parts[1], len(data) - 1)
                self.next = int(parts[0]) + 1
                self._size = file.tell()
        if not self.complete:
            os.truncate(self.path, self._size)
            if self.result_path.exists():
                os.truncate(self.result_path, result_size)
        elif self.result_path.exists():
            self.result = read_head(self.result_path)


def file_size(path: Path) -> int:
    """Bytes of the file."""
    return path.stat().st_size


def read_head(path: Path) -> ResultSeen:
    """What the plan must know of an envelope: its size, whether it is a success, its error."""
    size = file_size(path)
    with path.open("rb") as file:
        head = file.read(RESULT_HEAD)
    if head.startswith(b'{"status": "success"'):
        return ResultSeen(size=size, ok=True)
    try:
        envelope = json.loads(head)
    except (ValueError, RecursionError):
        return ResultSeen(size, ok=False, error_type="BadResult", error="the result is not JSON")
    if not isinstance(envelope, dict):
        return ResultSeen(size, ok=False, error_type="BadResult", error="the result is no object")
    return ResultSeen(
        size=size,
        ok=envelope.get("status") == "success",
        error_type=_words(envelope.get("error_type", ""), TYPE_LIMIT),
        error=_words(envelope.get("error", ""), ERROR_LIMIT),
    )


def _words(said: object, limit: int) -> str:
    """Fit for the job's record: any job can print an envelope, with anything in it."""
    text = said if isinstance(said, str) else json.dumps(said)
    return whole(text if len(text) <= limit else f"{text[: limit - 1]}…")
