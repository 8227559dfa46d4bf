"""Folders as tar: the same content gives the same bytes, at any offset without what is before it.

Reads the files that `opened` gives. Used by the SDK for folders that are uploaded, and by the
controller for folders and prefixes that it imports. What is made so `walking` takes.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from ..errors import ConflictError
from .entries import PIECE
from .names import clean

WHEN: Final = 315_532_800
"""POSIX seconds of 1980-01-01, which every file is from: the earliest that all tools take."""
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Packed:
    """A file, link or empty folder that goes in: others come with what is in them. path: with `/`;
    size: bytes; target: of a link.
    """

    path: str
    size: int = 0
    executable: bool = False
    target: str = ""
    folder: bool = False


def packed_size(entries: Sequence[Packed]) -> int:
    """Bytes of the tar."""
    return sum(len(_header(one)) + _padded(one.size) for one in entries) + len(_END)


def stream(
    entries: Sequence[Packed], opened: Callable[[Packed], BinaryIO], offset: int = 0
) -> Iterator[bytes]:
    """The tar from an offset on, in pieces of at most 1 MiB.

    opened: the content of a file, which seeks. ConflictError where one is not as long as it was.
    """
    at = 0  # of the entry, in the tar
    for one in entries:
        header = _header(one)
        content, end = at + len(header), at + len(header) + _padded(one.size)
        if offset < content:
            yield header[max(0, offset - at) :]
        if one.size and offset < content + one.size:
            yield from _content(one, opened, max(0, offset - content))
        if offset < end:
            padding = _padded(one.size) - one.size
            yield bytes(min(padding, end - offset))
        at = end
    yield _END[max(0, offset - at) :]


def _content(one: Packed, opened: Callable[[Packed], BinaryIO], start: int) -> Iterator[bytes]:
    left = one.size - start
    with opened(one) as file:
        file.seek(start)
        while left:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise ConflictError(f"{one.path!r:.200} became shorter while it was read")
            left -= len(piece)
            yield piece
        if file.read(1):
            raise ConflictError(f"{one.path!r:.200} became longer while it was read")


def _header(one: Packed) -> bytes:
    info = tarfile.TarInfo(clean(one.path))
    info.size, info.mtime = one.size, WHEN
    info.mode = 0o755 if one.executable else 0o644
    if one.target:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, one.target, 0o777
    if one.folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(size: int) -> int:
    return size + -size % tarfile.BLOCKSIZE
