r"""Bytes on disk and documents in memory. Pure; used by the journal, the snapshots and recovery.

A frame is one line: `J1 <crc32 of body, 8 hex digits> <length of body> <body>\n`. A body is fields
separated by tabs; JSON escapes control characters, so no field holds a tab or a line feed.

Bodies:
    segment, format, first rv                                     first line of a journal file
    T, batch rv, first rv, (kind, table, id[, document])…          a transaction, or a seal
    snapshot, format, rv                                           first line of a snapshot
    R, rv, table, id, document                                     a record in a snapshot
    end, number of records                                         last line of a snapshot

The n-th operation of a transaction has version `first rv + n`. `batch rv` is the highest version
that was durable before the write this line belongs to: so a bad line followed by a good one with a
higher batch rv was damaged after it had been synced (rot), and any other bad line is the torn end
of the last write. A transaction without operations is a seal: it only says what is durable.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from ...crd_like_specs.errors import ValidationError

ADDED: Final = b"A"
MODIFIED: Final = b"M"
DELETED: Final = b"D"

FORMAT: Final = b"1"
_SEGMENT: Final = b"segment"
_TRANSACTION: Final = b"T"
_SNAPSHOT: Final = b"snapshot"
_RECORD: Final = b"R"
_END: Final = b"end"
_FRAME: Final = re.compile(rb"J1 ([0-9a-f]{8}) ([0-9]{1,12}) ")


class LoggedOp(NamedTuple):
    """One operation as read back. raw: the document, empty for a deletion."""

    kind: bytes
    table: str
    id: str
    raw: bytes


class LoggedTransaction(NamedTuple):
    """One line of a journal as read back."""

    batch_rv: int
    first_rv: int
    ops: tuple[LoggedOp, ...]


# Documents


def encode(doc: Mapping[str, Any], where: str) -> bytes:
    """The document as JSON; ValidationError, naming `where`, if JSON cannot hold it faithfully."""
    if not isinstance(doc, Mapping):
        raise ValidationError(f"{where}: a document is a JSON object, not {type(doc).__name__}")
    try:
        # orjson over-allocates its buffer; a copy keeps only what the document needs.
        raw = bytes(memoryview(orjson.dumps(dict(doc))))
    except TypeError as error:
        raise ValidationError(f"{where}: not a JSON document: {error}") from error
    if b"null" in raw:
        # orjson writes NaN and the infinities as null: only then is a walk needed.
        _refuse_non_finite(doc, where)
    return raw


def decode(raw: bytes) -> dict[str, Any]:
    """A fresh dict of the document."""
    doc: dict[str, Any] = orjson.loads(raw)
    return doc


def _refuse_non_finite(value: object, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError(f"{where}: {value} is not a JSON number")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_non_finite(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            _refuse_non_finite(inner, f"{where}[{number}]")


def check_name(name: object, what: str) -> str:
    """The table name or id itself; ValidationError unless it is a non-empty encodable string."""
    if not isinstance(name, str) or not name:
        raise ValidationError(f"{what}: expected a non-empty string, got {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValidationError(f"{what}: {name!r} is not valid Unicode") from error
    return name


# Frames


def frame(*fields: bytes) -> bytes:
    """One line of a file."""
    body = b"\t".join(fields)
    return b"J1 %08x %d %b\n" % (zlib.crc32(body), len(body), body)


def unframe(line: bytes) -> list[bytes] | None:
    """The fields of a line that ends in a line feed, or None where it is damaged."""
    head = _FRAME.match(line)
    if head is None or not line.endswith(b"\n"):
        return None
    body = line[head.end() : -1]
    if len(body) != int(head[2]) or zlib.crc32(body) != int(head[1], 16):
        return None
    return body.split(b"\t")


def batches_within(rest: bytes) -> Iterator[int]:
    """Batch rvs of all undamaged transactions in bytes that begin with something damaged.

    They are looked for at any position, since the line feed before one may be what was damaged.
    """
    view = memoryview(rest)
    for head in _FRAME.finditer(rest):
        body = view[head.end() : head.end() + int(head[2])]
        if len(body) == int(head[2]) and zlib.crc32(body) == int(head[1], 16):
            fields = bytes(body).split(b"\t")
            if fields[0] == _TRANSACTION and len(fields) > 2:
                yield int(fields[1])


# Bodies


@lru_cache(maxsize=256)
def _table(name: str) -> bytes:
    return orjson.dumps(name)


def segment_line(first_rv: int) -> bytes:
    """First line of the journal file whose first transaction has version `first_rv`."""
    return frame(_SEGMENT, FORMAT, b"%d" % first_rv)


def parse_segment(fields: Sequence[bytes]) -> int:
    """The first rv; ValueError for anything but a segment's header."""
    kind, version, first_rv = fields
    if (kind, version) != (_SEGMENT, FORMAT):
        raise ValueError(f"header {kind!r}, format {version!r}")
    return int(first_rv)


def transaction_line(batch_rv: int, first_rv: int, ops: Iterable[LoggedOp]) -> bytes:
    """One transaction; without operations, a seal."""
    fields = [_TRANSACTION, b"%d" % batch_rv, b"%d" % first_rv]
    for kind, table, id_, raw in ops:
        fields += (kind, _table(table), orjson.dumps(id_))
        if kind != DELETED:
            fields.append(raw)
    return frame(*fields)


def parse_transaction(fields: Sequence[bytes]) -> LoggedTransaction:
    """A transaction's fields; ValueError for anything else."""
    line, batch_rv, first_rv, *logged = fields
    if line != _TRANSACTION:
        raise ValueError(f"unknown line {line!r}")
    ops: list[LoggedOp] = []
    rest = iter(logged)
    for kind in rest:
        if kind not in {ADDED, MODIFIED, DELETED}:
            raise ValueError(f"unknown operation {kind!r}")
        # A missing field shows as b"", which is no JSON.
        table, id_ = orjson.loads(next(rest, b"")), orjson.loads(next(rest, b""))
        raw = b"" if kind == DELETED else next(rest, b"")
        ops.append(LoggedOp(kind, table, id_, raw))
    return LoggedTransaction(int(batch_rv), int(first_rv), tuple(ops))


def snapshot_line(rv: int) -> bytes:
    """First line of a snapshot that holds everything up to `rv`."""
    return frame(_SNAPSHOT, FORMAT, b"%d" % rv)


def parse_snapshot(fields: Sequence[bytes]) -> int:
    """The snapshot's rv; ValueError for anything but its header."""
    kind, version, rv = fields
    if (kind, version) != (_SNAPSHOT, FORMAT):
        raise ValueError(f"header {kind!r}, format {version!r}")
    return int(rv)


def record_line(rv: int, table: str, id_: str, raw: bytes) -> bytes:
    """One record of a snapshot."""
    return frame(_RECORD, b"%d" % rv, _table(table), orjson.dumps(id_), raw)


def parse_record(fields: Sequence[bytes]) -> tuple[int, str, str, bytes]:
    """rv, table, id and document of a snapshot's record; ValueError for anything else."""
    kind, rv, table, id_, raw = fields
    if kind != _RECORD:
        raise ValueError(f"unknown line {kind!r}")
    return int(rv), orjson.loads(table), orjson.loads(id_), raw


def end_line(records: int) -> bytes:
    """Last line of a snapshot."""
    return frame(_END, b"%d" % records)


def parse_end(fields: Sequence[bytes]) -> int | None:
    """Number of records that the snapshot should have; None if this is not its last line."""
    if fields[0] != _END:
        return None
    _, records = fields
    return int(records)
