"""`Store`: the facade that the controller uses. Thread-safe; it never hands out what it keeps.

Reads are from memory and see durable state only. Writes return when they are durable; `submit`
returns a future instead, for asyncio. Without a folder everything is in memory and synchronous,
with the same semantics: no threads, no I/O, and the same run gives the same versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeAlias

from ...crd_like_specs.errors import ValidationError
from .codec import check_name, encode
from .database import RecordDB
from .records import Change, Delete, Doc, Event, Indexes, Op, Put, Record
from .ring import BYTES_KEPT, EVENTS_KEPT, Unsubscribe, Watcher
from .storage import COMPACT_BYTES, JournalStorage
from .transaction import Transaction, Work

# Named here, because inside the class `list` is the method.
Records: TypeAlias = list[Record]
Ids: TypeAlias = list[str]
Events: TypeAlias = list[Event]


class Store:
    """See the module docstring; open it by `Store.open`."""

    def __init__(self, storage: JournalStorage, db: RecordDB) -> None:
        self.db = db
        """The same records through TinyDB's API."""
        self._storage = storage
        self._state = storage.state
        self._committer = storage.committer

    @classmethod
    def open(
        cls,
        folder: Path | None,
        indexes: Indexes | None = None,
        *,
        ring_events: int = EVENTS_KEPT,
        ring_bytes: int = BYTES_KEPT,
        compact_bytes: int = COMPACT_BYTES,
    ) -> Store:
        """Open or make the store in `folder`; None keeps everything in memory.

        indexes: table → index name → function from a document to the values it is found under.
        ring_events, ring_bytes: how many changes are kept for watchers.
        compact_bytes: size of the journal from which on it is replaced by a snapshot.
        StoreError if another process has the folder (names both), or if its files are damaged.
        """
        db = RecordDB(
            folder,
            indexes=indexes,
            ring_events=ring_events,
            ring_bytes=ring_bytes,
            compact_bytes=compact_bytes,
        )
        storage = db.storage
        assert isinstance(storage, JournalStorage)
        return cls(storage, db)

    # Reading

    @property
    def version(self) -> int:
        """Version of the last change."""
        return self._state.rv

    @property
    def healthy(self) -> bool:
        """False once a write failed: reads go on, writes raise StoreError until one succeeds again."""
        return self._committer.healthy

    def trouble(self) -> str:
        """Why writes are refused, in words; empty if they are not. Begins a try to go on, if due."""
        return self._committer.trouble()

    def get(self, table: str, id_: str) -> Record | None:
        """The record, or None."""
        entry = self._state.entries(table).get(id_)
        return None if entry is None else Record(table, id_, *entry)

    def list(self, table: str) -> tuple[Records, int]:
        """Every record, and the version at which these were all."""
        entries, rv = self._state.listing(table)
        return [Record(table, id_, *entry) for id_, entry in entries], rv

    def ids(self, table: str) -> Ids:
        """Ids of every record."""
        return [id_ for id_, _ in self._state.listing(table)[0]]

    def by(self, table: str, index: str, value: str) -> Records:
        """Records under a value of an index; LookupError if there is no such index."""
        found = self._state.found(table, index, value)
        return [Record(table, id_, *entry) for id_, entry in found]

    def ids_by(self, table: str, index: str, value: str) -> Ids:
        """Their ids alone."""
        return self._state.found_ids(table, index, value)

    def count(self, table: str, index: str, value: str) -> int:
        """How many there are, without reading them."""
        return self._state.number(table, index, value)

    # Writing

    def put(self, table: str, id_: str, doc: Doc, expect: int | None = None) -> int:
        """Write a whole document; returns its version, which stays if nothing changed.

        expect: the version it must be at, 0 for must not exist, else ConflictError. ValidationError
        for what JSON cannot hold, StoreError if the write failed.
        """
        return self._committer.wait(_work([Put(table, id_, doc, expect)]))

    def delete(self, table: str, id_: str, expect: int | None = None) -> int:
        """Remove a record; returns the version of the deletion. NotFoundError, ConflictError."""
        return self._committer.wait(_work([Delete(table, id_, expect)]))

    def submit(self, ops: Iterable[Op]) -> Future[int]:
        """Do all of it or nothing. The future has the highest version among the records written.

        ValidationError at once for a bad document or two operations on one record; the other errors
        of `put` and `delete` are in the future. In memory it is done on return.
        """
        return self._committer.submit(_work(list(ops)))

    # Following

    def watch(self, since: int | None = None, tables: frozenset[str] | None = None) -> Watcher:
        """Changes after version `since` (None: from now on) in these tables (None: all).

        ExpiredError if they are no longer kept, or if there never was such a version.
        """
        with self._state.lock:
            start = self._state.rv if since is None else since
            self._state.ring.check(start)
        return Watcher(self._state.ring, self._state.lock, start, tables)

    def snapshot_and_watch(self, table: str) -> tuple[Records, Watcher]:
        """Every record of a table, and a watcher of exactly what happens to it afterwards."""
        records, rv = self.list(table)
        return records, Watcher(self._state.ring, self._state.lock, rv, frozenset({table}))

    def subscribe(self, callback: Callable[[int], None]) -> Unsubscribe:
        """Call with the highest version after each commit; returns what ends it.

        Called on the committing thread, so it must be quick: `loop.call_soon_threadsafe(…)`. One
        that raises is dropped.
        """
        return self._committer.add_wake(callback)

    def on_commit(self, callback: Callable[[Events], None]) -> Unsubscribe:
        """Call with the events of each commit, once durable, before the writers are acknowledged.

        For caches in this process. Called on the committing thread. If it raises, the store is
        read-only from then on, since the cache can no longer be trusted.
        """

        def commit(changes: Sequence[Change]) -> None:
            callback([Event.of(change) for change in changes])

        return self._committer.add_commit(commit)

    # The end

    def compact(self) -> None:
        """Replace the journal by a snapshot now; it happens by itself, beside the writers."""
        self._storage.compact()

    def close(self) -> None:
        """Commit what waits and let another process have the folder. Can be called again."""
        self._storage.close()


def _work(ops: Sequence[Op]) -> Work:
    """Encode here, in the caller's thread, so that the commit only moves bytes."""
    seen: set[tuple[str, str]] = set()
    made: list[tuple[Op, bytes]] = []
    for op in ops:
        where = f"{check_name(op.table, 'table name')}/{check_name(op.id, 'record id')}"
        if (op.table, op.id) in seen:
            raise ValidationError(f"{where}: one transaction has two operations on it")
        seen.add((op.table, op.id))
        made.append((op, encode(op.doc, where) if isinstance(op, Put) else b""))

    def work(transaction: Transaction) -> None:
        for op, raw in made:
            if isinstance(op, Put):
                transaction.put(op.table, op.id, raw, op.expect)
            else:
                transaction.delete(op.table, op.id, op.expect)

    return work
