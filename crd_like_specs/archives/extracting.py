"""An archive laid out in a folder. File I/O below the folder that is given, and nowhere else."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from .entries import PIECE, Contents, Entry, Format, Kind, Limits
from .walking import walk

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def extract(
    file: BinaryIO,
    form: Format,
    folder: int,
    limits: Limits | None = None,
    *,
    filename: str = "data",
) -> Contents:
    """Write the archive's content below `folder`, the descriptor of an empty one.

    Files get mode 0644 or 0755, folders 0755; who runs this owns them. Nothing is reached through
    a link, and nothing is written over. What was written before an error stays: the folder is the
    caller's to throw away. ValidationError as `walk`, OSError where the disk fails.
    """
    files = size = 0
    below = _Below(folder)
    try:
        for entry in walk(file, form, limits, filename=filename):
            parts = PurePosixPath(entry.path).parts
            if entry.kind is Kind.FOLDER:
                below.enter(parts)
                continue
            files, size = files + 1, size + entry.size
            parent = below.enter(parts[:-1])
            if entry.kind is Kind.LINK:
                os.symlink(entry.target, parts[-1], dir_fd=parent)
            else:
                _write(entry, parts[-1], parent)
    finally:
        below.close()
    return Contents(files, size)


def _write(entry: Entry, name: str, parent: int) -> None:
    with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=parent), "wb", buffering=0) as file:
        while piece := entry.read(PIECE):
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
        os.fchmod(file.fileno(), entry.mode)
        os.utime(file.fileno(), (entry.mtime, entry.mtime))


class _Below:
    """Folders below one, made where they are missing. The one entered last stays open."""

    def __init__(self, top: int) -> None:
        self._top = os.dup(top)
        self._at: tuple[str, ...] = ()
        self._fd = os.dup(top)

    def enter(self, parts: tuple[str, ...]) -> int:
        """The descriptor of this folder, good until the next call."""
        if parts != self._at:
            fd = os.dup(self._top)
            try:
                for part in parts:
                    inner = _inside(fd, part)
                    os.close(fd)
                    fd = inner
            except BaseException:  # also Ctrl-C: whatever it was, no descriptor is left open
                os.close(fd)
                raise
            os.close(self._fd)
            self._fd, self._at = fd, parts
        return self._fd

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._top)


def _inside(folder: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=folder)
        fd = os.open(name, _FOLDER, dir_fd=folder)
        os.fchmod(fd, 0o755)  # whatever the umask says
        return fd
