"""Recent changes, shared by all watchers, who hold nothing but a cursor. No I/O.

The ring is bounded by number and bytes; a watcher that fell behind it gets ExpiredError and has to
list again. Written where changes are applied, under the state's lock; watchers read under it too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ...crd_like_specs.errors import ExpiredError
from .records import Change, Event

EVENTS_KEPT: Final = 20_000
BYTES_KEPT: Final = 64 * 1024 * 1024


class Ring:
    """version → change, for the versions `floor + 1` to `head`, without gaps.

    A watcher whose cursor is at least `floor` misses nothing.
    """

    def __init__(self, events: int = EVENTS_KEPT, size: int = BYTES_KEPT) -> None:
        self._changes: dict[int, Change] = {}
        self._events_kept = events
        self._bytes_kept = size
        self._bytes = 0
        self.floor = 0
        self.head = 0

    def start_after(self, rv: int) -> None:
        """Forget everything; the next change has version `rv + 1`."""
        self._changes.clear()
        self._bytes = 0
        self.floor = self.head = rv

    def append(self, change: Change) -> None:
        """The next change; the oldest ones go when there are too many."""
        self._changes[change.rv] = change
        self._bytes += len(change.raw)
        self.head = change.rv
        while len(self._changes) > self._events_kept or self._bytes > self._bytes_kept:
            self.floor += 1
            self._bytes -= len(self._changes.pop(self.floor).raw)

    def check(self, since: int) -> None:
        """ExpiredError unless every change after `since` is still here."""
        if since < self.floor:
            raise ExpiredError(
                f"version {since} is too old: changes up to {self.floor} are no longer kept; "
                "list again and watch from there"
            )
        if since > self.head:
            raise ExpiredError(
                f"version {since} is from the future (the newest is {self.head}): "
                "list again and watch from there"
            )

    def at(self, rv: int) -> Change:
        """The change of this version, which must be kept."""
        return self._changes[rv]


class Watcher:
    """A cursor into the ring; made by `Store.watch` and `Store.snapshot_and_watch`.

    One thread at a time may poll. It never blocks: wake up by `Store.subscribe`.
    """

    def __init__(
        self, ring: Ring, lock: threading.Lock, since: int, tables: frozenset[str] | None
    ) -> None:
        self._ring = ring
        self._lock = lock
        self._tables = tables
        self.cursor = since
        """Everything up to this version has been handed out, or was not asked for."""

    def poll(self, limit: int) -> list[Event]:
        """Up to `limit` events after the cursor, oldest first; [] if nothing happened.

        One BOOKMARK more closes the list where the cursor moved past changes in other tables, so
        that a client can resume after them. Call until [] to have everything. ExpiredError if
        changes after the cursor are gone.
        """
        found: list[Change] = []
        with self._lock:
            self._ring.check(self.cursor)
            cursor = self.cursor
            while cursor < self._ring.head and len(found) < limit:
                cursor += 1
                change = self._ring.at(cursor)
                if self._tables is None or change.table in self._tables:
                    found.append(change)
        last = found[-1].rv if found else self.cursor
        self.cursor = cursor
        events = [Event.of(change) for change in found]
        if cursor > last:
            events.append(Event.bookmark(cursor))
        return events


Unsubscribe = Callable[[], None]
