"""Reads zip archives: what packing makes and every common tool, and nothing unusual.

Python's own `zipfile` is more general, and importing it takes longer than everything else the
runner does before a job. This one knows stored and deflated entries and believes nothing: the
directory, the local headers and the data have to agree, entries may not overlap, and no entry
unpacks to more than its declared size. Called by `unpack`.
"""

from __future__ import annotations

import zlib
from struct import Struct, error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_END = Struct("<4s4H2LH")
_CENTRAL = Struct("<4s6H3L5H2L")
_LOCAL = Struct("<4s5H3L2H")
_COMMENT_MAX = 1 << 16
_CHUNK = 1 << 20

ENCRYPTED = 0x1 | 0x40
UTF8 = 0x800
STORED = 0
DEFLATED = 8


class ArchiveError(Exception):
    """The archive is not one, or cannot be read; the message completes "code.zip …"."""


class Entry:
    """One entry of the directory. mode: Unix file mode, 0 where the archive has none."""

    __slots__ = ("crc", "flags", "method", "mode", "name", "offset", "packed", "raw_name", "size")

    def __init__(self, fields: tuple[int, ...], raw_name: bytes) -> None:
        self.flags, self.method = fields[2], fields[3]
        self.crc, self.packed, self.size = fields[6], fields[7], fields[8]
        self.mode = fields[14] >> 16
        self.offset = fields[15]
        self.raw_name = raw_name
        self.name = _decoded(raw_name, self.flags)

    @property
    def is_folder(self) -> bool:
        """Folders' names end in a slash."""
        return self.name.endswith("/")


def directory(file: BinaryIO, limit: int) -> list[Entry]:
    """The entries of an archive, in its order; at most `limit` of them. Raises ArchiveError."""
    size = file.seek(0, 2)
    start = max(0, size - _COMMENT_MAX - _END.size)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise ArchiveError("is no zip archive, or is cut off")
    try:
        _, disk, first_disk, here, count, length, offset, comment = _END.unpack_from(tail, at)
    except error as e:
        raise ArchiveError("is cut off") from e
    if 0xFFFF in (disk, count) or 0xFFFFFFFF in (length, offset):
        raise ArchiveError("uses ZIP64, which no archive within the limits needs")
    if disk or first_disk or here != count:
        raise ArchiveError("is one of several parts")
    if start + at + _END.size + comment != size or offset + length != start + at:
        raise ArchiveError("is damaged: its directory is not where it should be")
    if count > limit:
        raise ArchiveError(f"has {count} entries, the limit is {limit}")
    file.seek(offset)
    entries = list(_entries(file.read(length), count))
    _separate(entries, offset)
    return entries


def contents(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The entry's data in pieces, at most its declared size. Raises ArchiveError where it is not that,
    possibly after some pieces.
    """
    if entry.method not in (STORED, DEFLATED):
        raise _damaged(entry, f"is packed by method {entry.method}: expected stored or deflated")
    file.seek(entry.offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
        raise _damaged(entry, "is damaged: it is not where it should be")
    fields = _LOCAL.unpack(head)
    if fields[3] != entry.method or file.read(fields[9]) != entry.raw_name:
        raise _damaged(entry, "is damaged: its header tells something else than the directory")
    file.seek(fields[10], 1)
    crc = 0
    left = entry.size
    for piece in _inflated(file, entry):
        left -= len(piece)
        if left < 0:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if left:
        raise _damaged(entry, "is damaged: its size is not what it says")
    if crc != entry.crc:
        raise _damaged(entry, "is damaged: its checksum is wrong")


def _inflated(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    packed = entry.packed
    unpacker = zlib.decompressobj(-15) if entry.method == DEFLATED else None
    while packed:
        data = file.read(min(packed, _CHUNK))
        if not data:
            raise _damaged(entry, "is cut off")
        packed -= len(data)
        if unpacker is None:
            yield data
            continue
        while data:
            try:
                piece = unpacker.decompress(data, _CHUNK)
            except zlib.error as e:
                raise _damaged(entry, "is damaged: it cannot be unpacked") from e
            yield piece
            data = unpacker.unconsumed_tail
    if unpacker is not None:
        yield unpacker.flush()
        if not unpacker.eof or unpacker.unused_data:
            raise _damaged(entry, "is damaged: its data does not end where it should")


def _entries(data: bytes, count: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        try:
            signature, *fields = _CENTRAL.unpack_from(data, at)
        except error as e:
            raise ArchiveError("is damaged: its directory is cut off") from e
        name_length, extra_length, comment_length = fields[9:12]
        name_end = at + _CENTRAL.size + name_length
        if signature != b"PK\x01\x02" or name_end > len(data):
            raise ArchiveError("is damaged: its directory cannot be read")
        yield Entry(tuple(fields), data[at + _CENTRAL.size : name_end])
        at = name_end + extra_length + comment_length
    if at != len(data):
        raise ArchiveError("is damaged: its directory holds more than it says")


def _separate(entries: list[Entry], end: int) -> None:
    """Entries that share data are how a small archive unpacks to a huge one."""
    free_from = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < free_from:
            raise _damaged(entry, "overlaps another one")
        free_from = entry.offset + _LOCAL.size + len(entry.raw_name) + entry.packed
    if free_from > end:
        raise ArchiveError("is damaged: its entries reach into its directory")


def _decoded(raw: bytes, flags: int) -> str:
    if raw.isascii():
        return raw.decode("ascii")
    try:
        return raw.decode("utf-8" if flags & UTF8 else "cp437")
    except UnicodeDecodeError as e:
        raise ArchiveError(f"has an entry whose name is not UTF-8: {raw!r:.200}") from e


def _damaged(entry: Entry, problem: str) -> ArchiveError:
    return ArchiveError(f"has the entry {entry.name!r:.200}, which {problem}")
