"""Zip, entry by entry, in the order of its directory. Reads the file that is given, which seeks.

`zipfile` would hold the whole directory in memory, which whoever packed makes as long as they like.
"""

from __future__ import annotations

import stat
import struct
import time
import zlib
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from .entries import LATEST, PIECE, Entry, Kind, broken, refused
from .names import MOST_BYTES, clean

_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_COMMENT: Final = 1 << 16
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_METHODS: Final = {0: "stored", 8: "deflated"}
_UNIX: Final = (3, 19)  # systems whose entries bring a mode: Unix, macOS


@dataclass(frozen=True, slots=True)
class _Directory:
    """start: where it begins; count: of entries; shift: bytes that lie before the archive."""

    start: int
    count: int
    shift: int


@dataclass(frozen=True, slots=True)
class _Record:
    """One line of the directory."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int
    mode: int
    mtime: int
    length: int


def entries(file: BinaryIO, *, most: int) -> Iterator[Entry]:
    """Those of the archive. most: entries that it may have. ValidationError."""
    directory = _directory(file)
    if directory.count > most:
        raise broken(f"has {directory.count} entries: expected at most {most}")
    at = directory.start
    for _ in range(directory.count):
        file.seek(at)
        record = _record(file)
        at += record.length
        entry = _entry(file, record, directory)
        if entry is not None:
            yield entry
            while entry.read(PIECE):  # what nobody read is checked too
                pass


def _entry(file: BinaryIO, record: _Record, directory: _Directory) -> Entry | None:
    name, mode = record.name, record.mode
    path = clean(name)
    kind = stat.S_IFMT(mode)
    folder = name.endswith("/") or kind == stat.S_IFDIR
    if record.flags & _ENCRYPTED:
        raise refused(name, "is encrypted: expected a zip without a password")
    if folder:
        if record.size:
            raise refused(name, f"has {record.size} bytes of content, and is no file")
        return Entry(path, Kind.FOLDER, 0o755, record.mtime) if path else None
    if not path:
        raise refused(name, "has no name")
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise refused(name, "is a device, pipe or socket; expected files, folders, symbolic links")
    if record.method not in _METHODS:
        raise refused(name, f"is packed by method {record.method}: expected stored or deflated")
    content = _Content(file, record, directory)
    if kind == stat.S_IFLNK:
        if record.size > MOST_BYTES:
            raise refused(name, f"is a link of {record.size} bytes: expected {MOST_BYTES}")
        target = b"".join(iter(lambda: content.read(PIECE), b"")).decode("utf-8", "surrogateescape")
        return Entry(path, Kind.LINK, 0o777, record.mtime, target=target)
    mode = 0o755 if mode & 0o100 else 0o644
    return Entry(path, Kind.FILE, mode, record.mtime, record.size, read=content.read)


class _Content:
    """One file's bytes, checked against what the directory says of them."""

    def __init__(self, file: BinaryIO, record: _Record, directory: _Directory) -> None:
        self._file = file
        self._record = record
        start = record.at + directory.shift
        file.seek(start)
        head = file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise refused(record.name, "is not where the archive says it is")
        name, extra = _LOCAL.unpack(head)[-2:]
        self._at = start + _LOCAL.size + name + extra
        self._packed = record.packed
        if self._at + record.packed > directory.start:
            raise refused(record.name, "reaches beyond where files may lie")
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if record.method else None
        self._left = record.size
        self._crc = 0
        self._checked = False

    def read(self, most: int) -> bytes:
        if self._checked:
            return b""
        data = self._next(most) if self._left else b""
        self._left -= len(data)
        self._crc = zlib.crc32(data, self._crc)
        if not self._left:
            self._check()
        return data

    def _next(self, most: int) -> bytes:
        most = min(most, self._left)
        if self._inflate is None:
            data = self._raw(most)
        else:
            data = b""
            while not data and not self._inflate.eof:
                packed = self._inflate.unconsumed_tail or self._raw(PIECE)
                if not packed:
                    break
                data = self._inflated(self._inflate, packed, most)
        if not data:
            raise refused(self._record.name, f"is {self._left} bytes shorter than it says to be")
        return data

    def _inflated(self, inflate: zlib._Decompress, packed: bytes, most: int) -> bytes:
        try:
            return inflate.decompress(packed, most)
        except zlib.error as e:
            raise refused(self._record.name, f"is broken: {e}") from e

    def _raw(self, most: int) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(min(most, self._packed))
        self._at += len(data)
        self._packed -= len(data)
        return data

    def _check(self) -> None:
        self._checked = True
        if self._inflate is not None and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._raw(PIECE)
            if self._inflated(self._inflate, packed, 1):
                raise refused(self._record.name, "is longer than it says to be")
        if self._crc != self._record.crc:
            raise refused(self._record.name, "is broken: its checksum is wrong")


def _directory(file: BinaryIO) -> _Directory:
    """Found from the end, where comments may follow it."""
    size = file.seek(0, 2)
    tail_at = max(0, size - _END.size - _COMMENT)
    file.seek(tail_at)
    tail = file.read(_END.size + _COMMENT)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise broken("is no zip, or cut off: its directory is missing")
    end_at = tail_at + found
    _, disk, first, _, count, length, start, _ = _END.unpack_from(tail, found)
    if _FULL_16 in (count, disk) or _FULL_32 in (length, start):
        end_at, disk, first, count, length, start = _directory_64(file, end_at)
    if disk or first:
        raise broken("is one of several parts: expected a zip in one piece")
    shift = end_at - length - start
    if shift < 0:
        raise broken("is broken: its directory is not where it should be")
    return _Directory(start + shift, count, shift)


def _directory_64(file: BinaryIO, end_at: int) -> tuple[int, int, int, int, int, int]:
    file.seek(max(0, end_at - _LOCATOR.size))
    locator = file.read(_LOCATOR.size)
    if len(locator) < _LOCATOR.size or not locator.startswith(b"PK\x06\x07"):
        raise broken("is broken: it is large, and has no directory of large zips")
    at = end_at - _LOCATOR.size - _END_64.size  # where it lies unless somebody extended it
    file.seek(max(0, at))
    found = file.read(_END_64.size)
    if len(found) < _END_64.size or not found.startswith(b"PK\x06\x06"):
        raise broken("is broken: its directory of large zips is not where it should be")
    _, _, _, _, disk, first, _, count, length, start = _END_64.unpack(found)
    return at, disk, first, count, length, start


def _record(file: BinaryIO) -> _Record:
    head = file.read(_CENTRAL.size)
    if len(head) < _CENTRAL.size or not head.startswith(b"PK\x01\x02"):
        raise broken("is broken: its directory ends too early")
    (_, made, _, flags, method, clock, day, crc, packed, size, *more) = _CENTRAL.unpack(head)
    name_bytes, extra_bytes, comment_bytes, _, _, attributes, at = more
    name = file.read(name_bytes).decode("utf-8", "surrogateescape")
    extra = file.read(extra_bytes)
    if _FULL_32 in (size, packed, at):
        size, packed, at = _large(extra, size, packed, at, name)
    return _Record(
        name,
        flags,
        method,
        crc,
        packed,
        size,
        at,
        attributes >> 16 if made >> 8 in _UNIX else 0,
        _posix(day, clock),
        _CENTRAL.size + name_bytes + extra_bytes + comment_bytes,
    )


def _large(extra: bytes, size: int, packed: int, at: int, name: str) -> tuple[int, int, int]:
    """The numbers that did not fit, from the extra field of large files."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1:
            field = extra[4 : 4 + length]
            numbers = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            try:
                given = [next(numbers) if n == _FULL_32 else n for n in (size, packed, at)]
            except StopIteration as e:
                raise refused(name, "is broken: its sizes are missing") from e
            return given[0], given[1], given[2]
        extra = extra[4 + length :]
    raise refused(name, "is broken: its sizes are missing")


def _posix(day: int, clock: int) -> int:
    """POSIX seconds of DOS's date and time, which has no zone: taken for UTC; 0 for no real one."""
    when = (
        *(1980 + (day >> 9), (day >> 5) & 15, day & 31),
        *(clock >> 11, (clock >> 5) & 63, (clock & 31) * 2),
    )
    try:
        time.strptime(" ".join(map(str, when)), "%Y %m %d %H %M %S")
    except ValueError:
        return 0
    return min(timegm(when), LATEST)
