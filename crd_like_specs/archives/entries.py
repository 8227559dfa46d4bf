"""What an archive holds, as whoever extracts it sees it. Pure values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import Problem, ValidationError

PIECE: Final = 1 << 20
"""Bytes that are read at once."""
LATEST: Final = 1 << 40
"""POSIX seconds; later times are taken for this one."""


class Format(str, Enum):
    """`FILE` is anything that is not unpacked."""

    FILE = "file"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_XZ = "tar.xz"
    TAR_LZMA = "tar.lzma"
    TAR_ZST = "tar.zst"
    ZIP = "zip"


class Kind(Enum):
    """Nothing else leaves an archive."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken of an archive, at most. entries: files, folders and links; size: bytes of all
    files; ratio: times the archive's own size that they may have, from `free` bytes on.
    """

    entries: int = 1_000_000
    size: int = 1 << 40
    ratio: int = 200
    free: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. path: relative, parts joined by `/`, none of them `.` or `..`; mode: 0o755 or
    0o644, whatever the archive said; mtime: POSIX seconds; size: bytes of a file; target: where a
    link leads, never out of the archive; read: at most so many of the file's next bytes, b"" at
    its end. It reads only until the next entry is asked for.
    """

    path: str
    kind: Kind
    mode: int = 0o644
    mtime: int = 0
    size: int = 0
    target: str = ""
    read: Callable[[int], bytes] = lambda _: b""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in all. files: how many, links included; size: bytes of them."""

    files: int = 0
    size: int = 0


def refused(name: str, why: str) -> ValidationError:
    """The error for an entry; name: as the archive has it, which need not be printable."""
    return ValidationError([Problem(why, path=f"{name!r:.200}")])


def broken(why: str) -> ValidationError:
    """The error for an archive as a whole."""
    return ValidationError(f"the archive {why}")
