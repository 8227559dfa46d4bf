"""The newest events: a ring in memory, bounded by number and age, written behind to a journal.

Whoever has something to tell calls `note`, which costs a moment and waits for nothing; readers go
through the ring, and those who watch are woken. What is told is made in `happenings.py`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from loguru import logger

from ...api.happened import EventQuery, Happened
from ...api.viewer import EVERYTHING, Viewer
from .clock import Clock
from .event_journal import EventJournal

KEPT: Final = 20_000
"""Events in memory and on disk, at most."""

KEPT_SECONDS: Final = 7 * 86400.0
"""Older ones go."""

FLUSH_SECONDS: Final = 0.25
"""Between two writes to the journal."""

PIECE: Final = 500
"""Events looked through in one go; others have their turn in between."""


class Events:
    """journal: None keeps them in memory only (tests)."""

    def __init__(self, clock: Clock, journal: EventJournal | None = None, kept: int = KEPT) -> None:
        self._clock = clock
        self._journal = journal
        self._ring: deque[Happened] = deque(maxlen=kept)
        self._unwritten: list[Happened] = []
        self._news = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        self._failing = False
        self._lock = threading.Lock()
        self._written = 0  # the last sequence number that the journal was given
        self._oldest = 0  # the first that is kept
        if journal is not None:
            self._ring.extend(journal.read())
        last = self._ring[-1].sequence if self._ring else 0
        # What an earlier controller could not write any more may have been read by somebody.
        self._next = max(last + 1, int(clock.now() * 1000))

    def note(self, event: Happened) -> None:
        """Something happened now."""
        event = replace(event, sequence=self._next, time=self._clock.now())
        self._next += 1
        self._ring.append(event)
        if self._journal is not None:
            self._unwritten.append(event)
        self._news.set()
        for watcher in self._watchers:
            watcher.set()

    def note_all(self, events: Iterable[Happened]) -> None:
        """Each of them, in order."""
        for event in events:
            self.note(event)

    async def read(self, query: EventQuery, viewer: Viewer = EVERYTHING) -> AsyncIterator[Happened]:
        """Those asked for that the viewer may see, oldest first; endless where it watches."""
        news = asyncio.Event()
        self._watchers.add(news)
        try:
            last = self._next - 1
            found = await self._found(query, viewer)
            for event in found[-query.tail :] if query.tail else found:
                yield event
            while query.watch:
                news.clear()
                fresh, last = replace(query, after=max(query.after, last)), self._next - 1
                for event in await self._found(fresh, viewer):
                    yield event
                await news.wait()
        finally:
            self._watchers.discard(news)

    async def run(self) -> None:
        """Until cancelled: write what is new, forget what is old."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(FLUSH_SECONDS)
            self._forget()
            await self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._write(self._unwritten)

    async def _found(self, query: EventQuery, viewer: Viewer) -> list[Happened]:
        """As of now; a watcher looks at what is new only."""
        found: list[Happened] = []
        newer = max(0, self._next - 1 - query.after)
        for count, event in enumerate([*islice(reversed(self._ring), newer)][::-1], start=1):
            if count % PIECE == 0:
                await asyncio.sleep(0)
            if query.takes(event) and _sees(viewer, event):
                found.append(event)
        return found

    def _forget(self) -> None:
        oldest = self._clock.now() - KEPT_SECONDS
        while self._ring and self._ring[0].time < oldest:
            self._ring.popleft()
        self._oldest = self._ring[0].sequence if self._ring else self._next

    async def _flush(self) -> None:
        events = self._unwritten[:]
        await asyncio.to_thread(self._write, events)
        del self._unwritten[: len(events)]

    def _write(self, events: list[Happened]) -> None:
        """From whichever thread; what was written is not written again."""
        with self._lock:
            fresh = [event for event in events if event.sequence > self._written]
            if self._journal is None or not fresh:
                return
            self._written = fresh[-1].sequence
            try:
                self._journal.write(fresh)
                self._journal.expire(self._oldest)
            except OSError as error:
                if not self._failing:
                    logger.error("events are kept in memory only: {}", error)
                self._failing = True
            else:
                self._failing = False


def _sees(viewer: Viewer, event: Happened) -> bool:
    """Workers are everybody's; tokens are of those who see everything."""
    if event.kind == "Worker":
        return True
    return viewer.sees_owner(event.owner) if event.kind != "Token" else not viewer.own_only
