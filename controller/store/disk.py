"""The few things the store asks of a file system, and the real one. I/O only, no format.

Names are relative to the store's folder. `Disk` is a port so that tests can cut the power between
any two calls; `LocalDisk` holds the folder's lock, so that one process at a time uses it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ...crd_like_specs.errors import StoreError

LOCK: Final = "lock"
TEMPORARY: Final = ".tmp"


class Disk(Protocol):
    """A folder. Every call may raise OSError. A handle is good for `append` and `sync`."""

    where: str
    """The folder, for messages."""

    def names(self) -> list[str]:
        """Files in the folder."""

    def read(self, name: str) -> BinaryIO:
        """The file's bytes."""

    def create(self, name: str) -> int:
        """Handle of a new, empty file; one of this name is replaced."""

    def reopen(self, name: str) -> int:
        """Handle of an existing file, at its end."""

    def append(self, handle: int, data: bytes) -> None:
        """Write at the end, all of it."""

    def sync(self, handle: int) -> None:
        """Return once everything appended is durable."""

    def rewrite(self, name: str, start: int, data: bytes) -> None:
        """Write over what an existing file has from `start` on. Durable after `sync`."""

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file."""

    def close_file(self, handle: int) -> None:
        """Give the handle back."""

    def rename(self, old: str, new: str) -> None:
        """Atomically; durable after `sync_folder`."""

    def unlink(self, name: str) -> None:
        """Remove a file."""

    def sync_folder(self) -> None:
        """Return once the names are durable."""

    def close(self) -> None:
        """Let another process have the folder."""


class LocalDisk:
    """A folder of this machine, locked. StoreError where another process has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)
        try:
            _make(folder)
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            self._lock = self._locked()
        except OSError as error:
            raise StoreError(f"cannot use the store folder {folder}: {error}") from error

    def _locked(self) -> int:
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            os.close(self._fd)
            raise StoreError(
                f"the store folder {self._folder} is in use by process {holder}: "
                "one controller at a time"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        return lock

    def names(self) -> list[str]:
        """Files in the folder."""
        return [path.name for path in self._folder.iterdir()]

    def read(self, name: str) -> BinaryIO:
        """The file's bytes."""
        return (self._folder / name).open("rb")

    def create(self, name: str) -> int:
        """Handle of a new, empty file, readable by the owner only: documents may hold secrets."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        return os.open(name, flags, 0o600, dir_fd=self._fd)

    def reopen(self, name: str) -> int:
        """Handle of an existing file, at its end."""
        return os.open(name, os.O_WRONLY | os.O_APPEND, dir_fd=self._fd)

    def append(self, handle: int, data: bytes) -> None:
        """Write at the end, all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def rewrite(self, name: str, start: int, data: bytes) -> None:
        """Write over what an existing file has from `start` on."""
        handle = os.open(name, os.O_WRONLY, dir_fd=self._fd)
        try:
            os.lseek(handle, start, os.SEEK_SET)
            self.append(handle, data)
        finally:
            os.close(handle)

    def sync(self, handle: int) -> None:
        """Return once everything appended is durable."""
        os.fdatasync(handle)

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file."""
        os.ftruncate(handle, size)

    def close_file(self, handle: int) -> None:
        """Give the handle back."""
        os.close(handle)

    def rename(self, old: str, new: str) -> None:
        """Atomically; durable after `sync_folder`."""
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self._fd)

    def sync_folder(self) -> None:
        """Return once the names are durable."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)
        os.close(self._fd)


def _make(folder: Path) -> None:
    """Make the folder, and its own name durable too."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
