"""The journal's files: writing transactions, changing to a new file, snapshots. I/O through `Disk`.

In the folder: `journal.<first rv>` files, one after the other, and at most one `snapshot.<rv>` that
stands for all before it. Each of them appears complete, by rename. Written by the commit thread,
the snapshot by the compaction thread; read by recovery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Final

from loguru import logger

from .codec import end_line, record_line, segment_line, snapshot_line, transaction_line
from .disk import TEMPORARY, Disk
from .records import Entry

JOURNAL: Final = "journal."
SNAPSHOT: Final = "snapshot."
_PIECE: Final = 1024 * 1024
_SYNC_EVERY: Final = 16 * 1024 * 1024


def numbered(names: list[str], prefix: str) -> list[int]:
    """The numbers of the files `<prefix><number>`, ascending."""
    pattern = re.compile(re.escape(prefix) + r"([0-9]{1,19})")
    return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)


class Journal:
    """The file that transactions go to. `size`: bytes written since the last snapshot."""

    def __init__(self, disk: Disk, handle: int, size: int) -> None:
        self._disk = disk
        self._handle = handle
        self.size = size

    @classmethod
    def prepare(cls, disk: Disk, first_rv: int) -> Journal:
        """A new file for the transactions from `first_rv` on, not yet under its name."""
        name = f"{JOURNAL}{first_rv}{TEMPORARY}"
        journal = cls(disk, disk.create(name), 0)
        try:
            journal.append(segment_line(first_rv))
        except OSError:
            journal.close()
            _discard(disk, name)
            raise
        return journal

    @staticmethod
    def publish(disk: Disk, first_rv: int) -> None:
        """Give the prepared file its name; from here on it is the one in use."""
        disk.rename(f"{JOURNAL}{first_rv}{TEMPORARY}", f"{JOURNAL}{first_rv}")
        disk.sync_folder()

    def append(self, data: bytes) -> None:
        """Return once the lines are durable."""
        self._disk.append(self._handle, data)
        self._disk.sync(self._handle)
        self.size += len(data)

    def seal(self, rv: int) -> None:
        """Say that everything up to `rv` is durable, so that damage to it is known for damage."""
        self.append(transaction_line(rv, rv + 1, ()))

    def close(self) -> None:
        """Give the file back. All that counts was synced before: what a close says changes nothing."""
        with suppress(OSError):
            self._disk.close_file(self._handle)


def write_snapshot(disk: Disk, rv: int, tables: Mapping[str, Mapping[str, Entry]]) -> int:
    """Write everything up to `rv`; durable on return. Returns its size in bytes."""
    name = f"{SNAPSHOT}{rv}"
    handle = disk.create(name + TEMPORARY)
    try:
        try:
            size = _write_all(disk, handle, rv, tables)
            disk.sync(handle)
        finally:
            disk.close_file(handle)
        disk.rename(name + TEMPORARY, name)
    except OSError:
        _discard(disk, name + TEMPORARY)
        raise
    disk.sync_folder()
    return size


def begin_anew(
    disk: Disk, rv: int, tables: Mapping[str, Mapping[str, Entry]]
) -> tuple[Journal, int]:
    """After a write that failed: the journal to go on with, and the size of a new snapshot.

    Nothing is relied on but `tables`, everything up to `rv`. What a failed sync left of the old
    file is unknown, even to a sync that succeeds later; so everything is written again, into new
    files under names that are given again. Until both are durable the old ones stay; from then on
    the old one's end, of which nobody was told that it succeeded, is never read again.
    """
    journal = Journal.prepare(disk, rv + 1)
    try:
        size = write_snapshot(disk, rv, tables)
        # After the snapshot: a journal from `rv + 1` on must not be without it.
        Journal.publish(disk, rv + 1)
    except OSError:
        journal.close()
        _discard(disk, f"{JOURNAL}{rv + 1}{TEMPORARY}")
        raise
    try:
        remove_superseded(disk, rv)
    except OSError as error:
        logger.warning("files that are no longer needed are still in {}: {}", disk.where, error)
    return journal, size


def _discard(disk: Disk, name: str) -> None:
    """Remove an unfinished file, whose room may be just what is missing."""
    # It is overwritten by the next try, and removed at the next start.
    with suppress(OSError):
        disk.unlink(name)


def _write_all(disk: Disk, handle: int, rv: int, tables: Mapping[str, Mapping[str, Entry]]) -> int:
    piece = [snapshot_line(rv)]
    size = waiting = unsynced = records = 0
    for table, entries in tables.items():
        for id_, entry in entries.items():
            line = record_line(entry.rv, table, id_, entry.raw)
            piece.append(line)
            waiting += len(line)
            records += 1
            if waiting > _PIECE:
                disk.append(handle, b"".join(piece))
                size += waiting
                unsynced += waiting
                piece, waiting = [], 0
            if unsynced > _SYNC_EVERY:
                # One big sync at the end would hold up the journal's own.
                disk.sync(handle)
                unsynced = 0
    piece.append(end_line(records))
    disk.append(handle, b"".join(piece))
    return size + waiting


def remove_superseded(disk: Disk, rv: int) -> None:
    """Remove all that the durable snapshot of `rv` stands for."""
    names = disk.names()
    segments = numbered(names, JOURNAL)
    # A file ends where the next one begins; the last one is in use.
    old = [f"{JOURNAL}{first}" for first, following in pairwise(segments) if following <= rv + 1]
    old += [f"{SNAPSHOT}{other}" for other in numbered(names, SNAPSHOT) if other < rv]
    for name in old:
        disk.unlink(name)
