"""An archive that `archive` took, laid out in a folder again. File I/O, blocks.

It may come from a worker that was broken into: nothing of it is written but plain files, folders,
and links that stay inside.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Final

from ...crd_like_specs.checkpoint import MOST_FILES
from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.units import show_bytes
from .archive import ESCAPED, PIECE, UTF8, stays_inside

_HEADER: Final = 64 << 10  # bytes of a name that is too long for its place
_BLOCK: Final = tarfile.BLOCKSIZE
_LATEST: Final = 1 << 40  # POSIX seconds
_LONG: Final = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_KINDS: Final = (*_LONG, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)


def lay_out(archive: Path, folder: Path, *, limit: int, owner: int | None) -> None:
    """Write the archive's content into the folder, which is empty and nobody else's yet.

    limit: bytes; owner: user and group of all of it, None: whoever writes it.
    Permanent("CheckpointUnsafe") for what no checkpoint of ours holds, OSError.
    """
    links: list[tuple[Path, str]] = []
    folders, names, size = {""}, set[str](), 0
    _check_headers(archive)
    try:
        with tarfile.open(archive, "r:", encoding=UTF8, errors=ESCAPED) as tar:
            for info in tar:
                size += info.size
                parent = _checked(info, folders, names)
                names.add(info.name)
                if len(names) > MOST_FILES or size > limit:
                    raise _unsafe(f"holds more than {MOST_FILES} entries or {show_bytes(limit)}")
                path = folder / info.name
                if info.isdir():
                    path.mkdir(mode=0o755)
                    folders.add(info.name)
                elif info.issym():
                    if not stays_inside(info.linkname, parent):
                        raise _unsafe(f"has a link that leads out: {info.name!r:.200}")
                    links.append((path, info.linkname))
                    continue
                else:
                    _write(tar, info, path)
                if owner is not None:
                    os.chown(path, owner, owner, follow_symlinks=False)
    except tarfile.TarError as e:
        raise _unsafe(f"is no archive: {e}") from e
    for path, target in links:  # last, so that nothing is ever written through one
        path.symlink_to(target)
        if owner is not None:
            os.chown(path, owner, owner, follow_symlinks=False)


def _check_headers(archive: Path) -> None:
    """Before anything else reads it: no header may be so long that reading it takes the memory."""
    with archive.open("rb") as file:
        while (block := file.read(_BLOCK)) != tarfile.NUL * _BLOCK:
            if len(block) < _BLOCK:
                raise _unsafe("ends within an entry")
            kind = block[156:157]
            try:
                size = tarfile.TarInfo.frombuf(block, UTF8, ESCAPED).size
            except tarfile.HeaderError as e:
                raise _unsafe(f"is no archive: {e}") from e
            if kind not in _KINDS or size < 0 or (kind in _LONG and size > _HEADER):
                raise _unsafe("has an entry that no checkpoint of ours has")
            file.seek(-(-size // _BLOCK) * _BLOCK, os.SEEK_CUR)


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(info)
    if source is None:
        raise _unsafe(f"has no content for {info.name!r:.200}")
    mode = 0o755 if info.mode & 0o100 else 0o644
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(fd, "wb") as file:
        while piece := source.read(PIECE):
            file.write(piece)
    when = min(max(0, int(info.mtime)), _LATEST)
    os.utime(path, (when, when), follow_symlinks=False)


def _checked(info: tarfile.TarInfo, folders: set[str], names: set[str]) -> str:
    """The folder that the entry is in, which was there before it."""
    parent, _, last = info.name.rpartition("/")
    plain = last not in ("", ".", "..") and "\0" not in info.name
    if not plain or parent not in folders or info.name.startswith("/"):
        raise _unsafe(f"has an entry of this name: {info.name!r:.200}")
    if info.name in names:
        raise _unsafe(f"has an entry twice: {info.name!r:.200}")
    if not (info.isreg() or info.isdir() or info.issym()) or info.issparse():
        raise _unsafe(f"has an entry that is neither file, folder nor link: {info.name!r:.200}")
    return parent


def _unsafe(what: str) -> Permanent:
    return Permanent(f"the checkpoint {what}", reason="CheckpointUnsafe")
