"""`JournalStorage`: TinyDB's storage contract over the journal. Opens, compacts and closes it.

Instead of one read and one write of everything it offers transactions (`submit`, `commit`); `read`
and `write` remain for what TinyDB does beside its tables. Thread-safe. Used by `RecordDB`, `Store`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from loguru import logger
from tinydb.storages import Storage

from .committer import Committer
from .disk import Disk, LocalDisk
from .docs import Docs
from .journal import Journal, begin_anew, remove_superseded, write_snapshot
from .records import Entry, Indexes
from .recovery import recover
from .ring import BYTES_KEPT, EVENTS_KEPT, Ring
from .state import State
from .transaction import Work, replace_all

COMPACT_BYTES: Final = 64 * 1024 * 1024


class JournalStorage(Storage):
    """The records of one folder, or of none: then they live in memory only, without threads.

    compact_bytes: the journal is replaced by a snapshot once it is larger than this and than the
    last snapshot. clock: monotonic seconds. StoreError if the folder is damaged, unusable, or another process has it.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        indexes: Indexes | None = None,
        ring_events: int = EVENTS_KEPT,
        ring_bytes: int = BYTES_KEPT,
        compact_bytes: int = COMPACT_BYTES,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = State(indexes or {}, Ring(ring_events, ring_bytes))
        self._compact_bytes = compact_bytes
        self._snapshot_size = 0
        self._compaction: threading.Thread | None = None
        self._compact_now = False
        self._disk = LocalDisk(folder) if disk is None and folder is not None else disk
        self._journal: Journal | None = None
        if self._disk is not None:
            try:
                self._journal, self._snapshot_size = recover(self._disk, self.state)
            except BaseException:  # whatever it was: the folder's lock goes with us
                self._disk.close()
                raise
        # Bound late: the journal that is written to changes with each compaction.
        write = None if self._journal is None else self._write
        self.committer = Committer(self.state, write, self._maybe_compact, self._repair, clock)

    # TinyDB's contract

    def read(self) -> dict[str, dict[str, Any]] | None:
        """Lazy views of all tables that hold something; None if there are none."""
        views: dict[str, Any] = {name: Docs(self.state, name) for name in self.state.names()}
        return views or None

    def write(self, data: Mapping[str, Mapping[Any, Mapping[str, Any]]]) -> None:
        """Replace everything, in one transaction. O(n)."""
        self.commit(lambda transaction: replace_all(transaction, data))

    def close(self) -> None:
        """Commit what waits, say in the journal that all of it is durable, and let go."""
        if not self.committer.close():
            return
        self._join()
        if self._disk is None or self._journal is None:
            return
        try:
            if self.committer.healthy:
                self._journal.seal(self.state.rv)
            self._journal.close()
        except OSError as error:
            logger.error("closing the store in {}: {}", self._disk.where, error)
        self._disk.close()

    # Transactions

    def submit(self, work: Work) -> Future[int]:
        """Queue a transaction; see `Committer.submit`."""
        return self.committer.submit(work)

    def commit(self, work: Work) -> int:
        """Do a transaction; returns the version it left."""
        return self.committer.wait(work)

    # Compaction

    def compact(self) -> None:
        """Replace the journal by a snapshot now, and wait for that."""
        self._compact_now = self._journal is not None
        while self._compact_now:
            self._join()
            self.commit(lambda _: None)
        self._join()

    def _join(self) -> None:
        if self._compaction is not None:
            self._compaction.join()

    def _write(self, data: bytes) -> None:
        assert self._journal is not None
        self._journal.append(data)

    def _maybe_compact(self) -> None:
        """On the commit thread, between two batches. OSError makes the store read-only."""
        if self._journal is None or self._disk is None:
            return
        due = self._journal.size > max(self._compact_bytes, self._snapshot_size)
        busy = self._compaction is not None and self._compaction.is_alive()
        if busy or not (due or self._compact_now):
            return
        self._compact_now = False
        rv = self.state.rv
        try:
            journal = Journal.prepare(self._disk, rv + 1)
        except OSError as error:
            self._put_off(error)
            return
        try:
            Journal.publish(self._disk, rv + 1)
        except OSError:
            # It may be under its name: going on with the old file would leave two that overlap.
            journal.close()
            raise
        self._journal.close()
        self._journal = journal
        self._compaction = threading.Thread(
            target=self._snapshot,
            args=(self._disk, rv, self.state.copy()),
            name="store-compact",
            daemon=True,
        )
        self._compaction.start()

    def _snapshot(self, disk: Disk, rv: int, tables: Mapping[str, Mapping[str, Entry]]) -> None:
        try:
            self._snapshot_size = write_snapshot(disk, rv, tables)
            remove_superseded(disk, rv)
        except OSError as error:
            self._put_off(error)

    def _repair(self) -> None:
        """On the commit thread, after a write or a sync that failed; OSError as long as that lasts."""
        assert self._journal is not None
        assert self._disk is not None
        self._join()
        tables = self.state.copy()
        journal, self._snapshot_size = begin_anew(self._disk, self.state.rv, tables)
        self._journal.close()
        self._journal = journal
        self._compact_now = False

    def _put_off(self, error: OSError) -> None:
        """The journal still has everything: try again when it has grown by as much again."""
        assert self._journal is not None
        logger.warning("the journal could not be compacted, it goes on growing: {}", error)
        self._snapshot_size = max(self._snapshot_size, self._journal.size + self._compact_bytes)
