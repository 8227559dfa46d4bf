"""What a job left in /results as an archive: all that can be kept of it, and words for the rest.
File I/O, blocks; see `archive`.

A checkpoint is whole or nothing; of outputs, what fits is kept although one file does not.
"""

from __future__ import annotations

import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...crd_like_specs.outputs import MOST_FILES, NOT_KEPT, is_plain
from ...crd_like_specs.units import show_bytes
from .archive import MOST_DEPTH, Maker, write

_NAMED: Final = 3
"""Names of what is left out that are told, of each kind."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """digest: of the archive; size: bytes of the files in it; files: how many; message: what is not
    in it, and why, "" where all is.
    """

    digest: str
    size: int
    files: int
    message: str


def take_outputs(folder: Path, archive: Path, *, limit: int) -> Outputs | None:
    """Write the archive of what can be kept; None where there is nothing in the folder at all.

    limit: bytes of the files together. Temporary where the folder changed meanwhile, or the disk
    fails. Without any file that can be kept, `files` is 0.
    """
    maker = _Keeper(limit)
    digest = write(folder, archive, maker, keep_all=True)
    message = maker.words()
    if not maker.files and not message:
        return None
    return Outputs(digest, maker.size, maker.files, message)


class _Keeper(Maker):
    """Leaves out instead of giving up."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._rest: dict[str, list[str]] = {}

    def add(self, tar: tarfile.TarFile, name: str, folder: int, found: os.DirEntry[str]) -> None:
        """See `Maker`."""
        seen = os.stat(found.name, dir_fd=folder, follow_symlinks=False)
        is_folder = stat.S_ISDIR(seen.st_mode)
        why = self._why_not(name, seen) or _unreadable(found.name, folder, seen)
        if why:
            self._rest.setdefault(why, []).append(name)
            if is_folder:
                self.closed.add(name)
            return
        info = tarfile.TarInfo(name)
        if is_folder:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        else:
            self.add_file(tar, info, found.name, folder)
        self.names.add(name)

    def _why_not(self, name: str, seen: os.stat_result) -> str:
        if not is_plain(name):
            return "has a name that cannot be shown"
        if len(self.names) >= MOST_FILES:
            return f"is beyond the {MOST_FILES} entries that are kept"
        if stat.S_ISDIR(seen.st_mode):
            deep = name.count("/") >= MOST_DEPTH
            return f"lies deeper than {MOST_DEPTH} folders" if deep else ""
        if not stat.S_ISREG(seen.st_mode):
            return "is a link" if stat.S_ISLNK(seen.st_mode) else "is neither file nor folder"
        if self.size + seen.st_size > self._limit:
            return f"does not fit into the {show_bytes(self._limit)} that outputs.size allows"
        return ""

    def words(self) -> str:
        """What is left out, in one line."""
        if not self._rest:
            return ""
        return f"{NOT_KEPT}: " + "; ".join(_told(why, names) for why, names in self._rest.items())


def _unreadable(name: str, folder: int, seen: os.stat_result) -> str:
    """An agent that is not root may be kept out by the modes that a job gave to what it made."""
    mode = os.R_OK | os.X_OK if stat.S_ISDIR(seen.st_mode) else os.R_OK
    may = os.access(name, mode, dir_fd=folder, effective_ids=True, follow_symlinks=False)
    return "" if may else "cannot be read by the agent"


def _told(why: str, names: list[str]) -> str:
    shown = ", ".join(ascii(name)[1:-1][:100] for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{shown}{more} {why}" if len(names) == 1 else f"{shown}{more}: each {why}"
