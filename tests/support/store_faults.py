"""A file system in memory whose power can be cut between any two calls, or whose calls can fail.

What was synced survives a cut; of everything else each sector and each change of a name survives
or not, at random. A sync that fails leaves what it should have written clean: a later one that
succeeds does not write it. Satisfies the store's `Disk` port.
"""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from typing import BinaryIO

from cumulus.controller.store.transaction import Transaction

SECTOR = 512
FULL = OSError(28, "No space left on device")


def put(id_: str, number: int, expect: int | None = None) -> Callable[[Transaction], None]:
    """A transaction that writes a document of more than a sector."""
    raw = b'{"number":%d,"pad":"%s"}' % (number, b"x" * 600)
    return lambda transaction: transaction.put("jobs", id_, raw, expect)


class PowerCut(OSError):  # noqa: N818 (it is an event, no error of the program)
    """Raised by every call from the cut on."""


class Inode:
    """A file: what it holds, and what of it is durable."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.durable = bytes(data)
        self._dirty: set[int] = set()

    def changed(self, start: int, end: int) -> None:
        """Bytes from start to end wait for a sync."""
        self._dirty.update(range(start // SECTOR, -(-end // SECTOR)))

    def sync(self) -> None:
        """Write what waits, and only that."""
        found = bytearray(self.durable[: len(self.data)].ljust(len(self.data), b"\0"))
        for sector in self._dirty:
            place = slice(sector * SECTOR, (sector + 1) * SECTOR)
            found[place] = self.data[place]
        self.durable = bytes(found)
        self._dirty.clear()

    def sync_failed(self) -> None:
        """As kernels do it: what could not be written counts as written."""
        self._dirty.clear()

    def after_cut(self, dice: random.Random) -> bytes:
        """The durable bytes, with unsynced sectors and length kept or lost at random."""
        now, was = bytes(self.data), self.durable
        if now == was:
            return was
        low, high = sorted((len(now), len(was)))
        size = dice.choice((low, high, dice.randint(low, high)))
        found = bytearray(size)
        for start in range(0, size, SECTOR):
            source = now if dice.random() < 0.5 else was
            piece = source[start : min(start + SECTOR, size)]
            found[start : start + len(piece)] = piece
        return bytes(found)


class FakeDisk:
    """cut_at: number of the call at which the power goes, or None. syncs: False to ignore syncs."""

    where = "fake"

    def __init__(
        self,
        files: dict[str, bytes] | None = None,
        *,
        cut_at: int | None = None,
        syncs: bool = True,
    ) -> None:
        self._files = {name: Inode(data) for name, data in (files or {}).items()}
        self._durable_names = dict(self._files)
        self._unsynced_names: list[tuple[str, str, Inode | None]] = []
        self._handles: dict[int, Inode] = {}
        self._lock = threading.Lock()
        self.cut_at = cut_at
        self._syncs = syncs
        self.calls = 0
        self.failing: dict[str, OSError] = {}
        """Method name → error that it raises from now on."""

    def _call(self, name: str) -> None:
        self.calls += 1
        if self.cut_at is not None and self.calls >= self.cut_at:
            raise PowerCut
        if name in self.failing:
            raise self.failing[name]

    # The port

    def names(self) -> list[str]:
        with self._lock:
            self._call("names")
            return list(self._files)

    def read(self, name: str) -> BinaryIO:
        with self._lock:
            self._call("read")
            return io.BytesIO(bytes(self._files[name].data))

    def create(self, name: str) -> int:
        with self._lock:
            self._call("create")
            return self._handle(self._name("create", name, Inode()))

    def reopen(self, name: str) -> int:
        with self._lock:
            self._call("reopen")
            return self._handle(self._files[name])

    def append(self, handle: int, data: bytes) -> None:
        with self._lock:
            inode = self._handles[handle]
            start = len(inode.data)
            try:
                self._call("append")
            except OSError:
                # As a full disk does it: some of it was written. What a cut leaves is random anyway.
                inode.data += data[: len(data) // 2]
                raise
            else:
                inode.data += data
            finally:
                inode.changed(start, len(inode.data))

    def rewrite(self, name: str, start: int, data: bytes) -> None:
        with self._lock:
            self._call("rewrite")
            inode = self._files[name]
            inode.data[start : start + len(data)] = data
            inode.changed(start, start + len(data))

    def sync(self, handle: int) -> None:
        with self._lock:
            inode = self._handles[handle]
            try:
                self._call("sync")
            except OSError:
                inode.sync_failed()
                raise
            if self._syncs:
                inode.sync()

    def truncate(self, handle: int, size: int) -> None:
        with self._lock:
            self._call("truncate")
            inode = self._handles[handle]
            del inode.data[size:]
            inode.changed(size - size % SECTOR, size)

    def close_file(self, handle: int) -> None:
        with self._lock:
            del self._handles[handle]

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._call("rename")
            inode = self._files.pop(old)
            self._files[new] = inode
            self._unsynced_names.append(("rename " + old, new, inode))

    def unlink(self, name: str) -> None:
        with self._lock:
            self._call("unlink")
            if name not in self._files:
                raise FileNotFoundError(2, "No such file", name)
            del self._files[name]
            self._unsynced_names.append(("unlink", name, None))

    def sync_folder(self) -> None:
        with self._lock:
            self._call("sync_folder")
            if self._syncs:
                self._durable_names = dict(self._files)
                self._unsynced_names.clear()

    def close(self) -> None:
        """Nothing to let go of."""

    # For tests

    def contents(self) -> dict[str, bytes]:
        """All files as a process that is started again would see them."""
        return {name: bytes(inode.data) for name, inode in self._files.items()}

    def restarted(self) -> FakeDisk:
        """The same disk for the next process, after this one was killed: nothing is synced by that."""
        disk = FakeDisk(syncs=self._syncs)
        disk._files = self._files
        disk._durable_names = self._durable_names
        disk._unsynced_names = self._unsynced_names
        return disk

    def after_cut(self, dice: random.Random) -> dict[str, bytes]:
        """All files as the machine would find them after its power was cut now."""
        with self._lock:
            names = dict(self._durable_names)
            for what, name, inode in self._unsynced_names:
                if dice.random() < 0.5:
                    continue
                if inode is None:
                    names.pop(name, None)
                else:
                    names[name] = inode
                    if what.startswith("rename "):
                        names.pop(what.removeprefix("rename "), None)
            return {name: inode.after_cut(dice) for name, inode in names.items()}

    def _name(self, what: str, name: str, inode: Inode) -> Inode:
        self._files[name] = inode
        self._unsynced_names.append((what, name, inode))
        return inode

    def _handle(self, inode: Inode) -> int:
        handle = max(self._handles, default=2) + 1
        self._handles[handle] = inode
        return handle
