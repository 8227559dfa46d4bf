"""Imports from folders of this machine, such as a mounted bucket. File I/O, blocks.

Every part of a path is opened in the one before it, and no link is followed: nothing leads out of
the root, also if somebody changes the folders meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final

from ...crd_like_specs.archives.entries import PIECE
from ...crd_like_specs.archives.making import Packed, packed_size, stream
from ...crd_like_specs.archives.names import MOST_DEPTH, clean
from ...crd_like_specs.errors import ConflictError, NotFoundError, Problem, ValidationError
from ..dataset_settings import RootConfig

MOST_FILES: Final = 200_000
"""Of one import: their names are held in memory."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


Answer = tuple[str, int, Callable[[int], Iterator[bytes]], Callable[[], None]]
"""File name, bytes, the bytes from an offset on, and a look whether they are the same still."""


class Root:
    """One root."""

    def __init__(self, config: RootConfig) -> None:
        self._config = config

    def found(self, path: str) -> Answer:
        """A file, or a folder as a tar. NotFoundError, ValidationError."""
        parts = [part for part in clean(path).split("/") if part]
        name = parts[-1] if parts else self._config.name
        fd = self._descriptor(parts)
        try:
            seen = os.fstat(fd)
        finally:
            os.close(fd)
        if stat.S_ISREG(seen.st_mode):
            return (
                name,
                seen.st_size,
                partial(self._file, parts),
                partial(self._check, parts, seen),
            )
        if not stat.S_ISDIR(seen.st_mode):
            raise ValidationError(
                f"{self._shown(parts)} cannot be imported: expected a file or a folder"
            )
        entries = self._entries(parts)
        opened = lambda one: self._opened([*parts, *one.path.split("/")])  # noqa: E731
        return (
            f"{name}.tar",
            packed_size(entries),
            lambda offset: stream(entries, opened, offset),
            lambda: None,  # each file is checked as it is read
        )

    def _file(self, parts: list[str], offset: int) -> Iterator[bytes]:
        with self._opened(parts) as file:
            file.seek(offset)
            while piece := file.read(PIECE):
                yield piece

    def _check(self, parts: list[str], before: os.stat_result) -> None:
        with self._opened(parts) as file:
            now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ConflictError(f"{self._shown(parts)} changed while it was read: try again")

    def _entries(self, parts: list[str]) -> list[Packed]:
        found: list[Packed] = []
        pending: list[list[str]] = [[]]
        while pending:
            inside = pending.pop()
            folder = self._descriptor([*parts, *inside])
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 (by its descriptor)
                if inside and not names:
                    found.append(Packed(clean("/".join(inside)), folder=True))
                for name in names:
                    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    path = [*inside, name]
                    if stat.S_ISDIR(seen.st_mode) and len(path) < MOST_DEPTH:
                        pending.append(path)
                    elif stat.S_ISREG(seen.st_mode):
                        executable = bool(seen.st_mode & 0o100)
                        found.append(Packed(clean("/".join(path)), seen.st_size, executable))
                    else:
                        raise ValidationError(
                            [
                                Problem(
                                    "is a link, a device, or too deep: expected files and folders",
                                    path=self._shown([*parts, *path]),
                                )
                            ]
                        )
                    if len(found) > MOST_FILES:
                        raise ValidationError(
                            f"{self._shown(parts)} has more than {MOST_FILES} files: pack it first"
                        )
            finally:
                os.close(folder)
        return sorted(found, key=lambda one: one.path)

    def _opened(self, parts: list[str]) -> BinaryIO:
        """A file, for reading."""
        return os.fdopen(self._descriptor(parts), "rb")

    def _descriptor(self, parts: list[str]) -> int:
        try:
            fd = os.open(self._config.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for number, part in enumerate(parts, start=1):
                try:
                    inner = os.open(part, _FILE if number == len(parts) else _FOLDER, dir_fd=fd)
                finally:
                    os.close(fd)
                fd = inner
        except OSError as error:
            link = error.errno in (errno.ELOOP, errno.ENOTDIR)
            said = (
                "a part of it is a link, or no folder" if link else error.strerror or "unreadable"
            )
            raise NotFoundError(f"{self._shown(parts)} cannot be imported: {said}") from error
        return fd

    def _shown(self, parts: list[str]) -> str:
        """Without where the root lies on this machine."""
        return f"mount://{'/'.join([self._config.name, *parts])}"
