"""The files of an archive that an agent brought, and where in it their content lies. Reads a given
file once, in pieces, and remembers nothing of it: a large archive costs no memory.

Only what agents make is taken: plain files and folders, GNU names where they are long. Whatever
else a broken or hostile worker sends is refused before anything is known of it.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.outputs import MOST_FILES, PATH_BYTES, is_plain

_BLOCK: Final = tarfile.BLOCKSIZE
_PIECE: Final = 1 << 20
_END: Final = tarfile.NUL * _BLOCK
_LATEST: Final = 253402300799.0  # the end of the year 9999, where calendars and HTTP stop


@dataclass(frozen=True, slots=True)
class Member:
    """One file. offset: of its content in the archive; size: bytes; digest: `sha256:<hex>` of its
    content; modified_at: POSIX seconds.
    """

    path: str
    offset: int
    size: int
    digest: str
    modified_at: float


def members(file: BinaryIO, *, limit: int) -> Iterator[Member]:
    """Every file in the archive, in its order. limit: bytes of all together.

    ValidationError for what no agent of ours makes: other kinds of entries, paths that lead out or
    come twice, files in what is no folder, more than MOST_FILES entries or the limit, a cut end.
    """
    folders, names, total = {""}, set[str](), 0
    long_name: str | None = None
    while (block := file.read(_BLOCK)) != _END:
        info = _header(block)
        if info.type == tarfile.GNUTYPE_LONGNAME and long_name is None:
            long_name = _long_name(file, info.size)
            continue
        path = (_text(info.name) if long_name is None else long_name).rstrip("/")
        long_name = None
        parent = path.rpartition("/")[0]
        if not is_plain(path) or parent not in folders or path in names:
            raise _unsafe(f"has an entry of this name: {path!r:.200}")
        names.add(path)
        if len(names) > MOST_FILES:
            raise _unsafe(f"has more than {MOST_FILES} entries")
        if info.type == tarfile.DIRTYPE and not info.size:
            folders.add(path)
            continue
        if info.type != tarfile.REGTYPE:
            raise _unsafe(f"has an entry that is neither file nor folder: {path!r:.200}")
        total += info.size
        if total > limit:
            raise _unsafe(f"holds more than {limit} bytes")
        offset = file.tell()
        digest = _digest(file, info.size, path)
        file.seek(-info.size % _BLOCK, 1)
        at = min(max(0.0, float(info.mtime)), _LATEST)
        yield Member(path, offset, info.size, digest, at)


def _header(block: bytes) -> tarfile.TarInfo:
    if len(block) < _BLOCK:
        raise _unsafe("ends within an entry")
    try:
        # Behind a long name the header has its first 100 bytes, which may end within a character.
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as e:
        raise _unsafe(f"is no archive of ours: {e}") from e
    if info.size < 0:
        raise _unsafe("has an entry of negative size")
    return info


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeError as e:
        raise _unsafe("has an entry whose name is no text") from e
    return name


def _long_name(file: BinaryIO, size: int) -> str:
    if size > PATH_BYTES + 2:  # a slash and a zero behind it
        raise _unsafe("has an entry whose name is too long")
    data = file.read(size)
    file.seek(-size % _BLOCK, 1)
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeError as e:
        raise _unsafe("has an entry whose name is no text") from e


def _digest(file: BinaryIO, size: int, path: str) -> str:
    found, left = hashlib.sha256(), size
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise _unsafe(f"ends within {path!r:.200}")
        found.update(piece)
        left -= len(piece)
    return f"sha256:{found.hexdigest()}"


def _unsafe(what: str) -> ValidationError:
    return ValidationError(f"the archive of outputs {what}")
