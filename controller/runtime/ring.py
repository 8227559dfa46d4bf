"""The newest lines of something: in memory, bounded by number and age, written behind to a journal.

Whoever has something to tell calls `note`, which costs a moment and waits for nothing; readers go
through the ring, and those who watch are woken. Of events in `events.py`, of calls in `audit.py`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

from loguru import logger

from .clock import Clock
from .event_journal import Journal, Line

T = TypeVar("T", bound=Line)

FLUSH_SECONDS: Final = 0.25
"""Between two writes to the journal."""

PIECE: Final = 500
"""Lines looked through in one go; others have their turn in between."""


class Query(Protocol):
    """What a reader asks for, a frozen dataclass."""

    @property
    def after(self) -> int:
        """Only what is behind this sequence number."""

    @property
    def tail(self) -> int:
        """Only the last so many, 0: all."""

    @property
    def watch(self) -> bool:
        """Go on with each new one."""

    def takes(self, line: Any, /) -> bool:
        """Whether it is asked for."""


class Ring(Generic[T]):
    """journal: None keeps them in memory only (tests); kept: lines at most, in memory and on disk;
    seconds: older ones go; what: of which log lines speak.
    """

    def __init__(
        self, clock: Clock, journal: Journal[T] | None, *, kept: int, seconds: float, what: str
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._seconds = seconds
        self._what = what
        self._ring: deque[T] = deque(maxlen=kept)
        self._unwritten: list[T] = []
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

    def note(self, line: T) -> None:
        """Something happened now."""
        plain: Any = line
        line = replace(plain, sequence=self._next, time=self._clock.now())
        self._next += 1
        self._ring.append(line)
        if self._journal is not None:
            self._unwritten.append(line)
        self._news.set()
        for watcher in self._watchers:
            watcher.set()

    async def lines(self, query: Query, sees: Callable[[T], bool]) -> AsyncIterator[T]:
        """Those asked for that may be seen, oldest first; endless where it watches."""
        news = asyncio.Event()
        self._watchers.add(news)
        try:
            last = self._next - 1
            found = await self._found(query, sees)
            for line in found[-query.tail :] if query.tail else found:
                yield line
            while query.watch:
                news.clear()
                plain: Any = query
                fresh, last = replace(plain, after=max(query.after, last)), self._next - 1
                for line in await self._found(fresh, sees):
                    yield line
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

    async def _found(self, query: Query, sees: Callable[[T], bool]) -> list[T]:
        """As of now; a watcher looks at what is new only."""
        found: list[T] = []
        newer = max(0, self._next - 1 - query.after)
        for count, line in enumerate([*islice(reversed(self._ring), newer)][::-1], start=1):
            if count % PIECE == 0:
                await asyncio.sleep(0)
            if query.takes(line) and sees(line):
                found.append(line)
        return found

    def _forget(self) -> None:
        oldest = self._clock.now() - self._seconds
        while self._ring and self._ring[0].time < oldest:
            self._ring.popleft()
        self._oldest = self._ring[0].sequence if self._ring else self._next

    async def _flush(self) -> None:
        lines = self._unwritten[:]
        await asyncio.to_thread(self._write, lines)
        del self._unwritten[: len(lines)]

    def _write(self, lines: list[T]) -> None:
        """From whichever thread; what was written is not written again."""
        with self._lock:
            fresh = [line for line in lines if line.sequence > self._written]
            if self._journal is None or not fresh:
                return
            self._written = fresh[-1].sequence
            try:
                self._journal.write(fresh)
                self._journal.expire(self._oldest)
            except OSError as error:
                if not self._failing:
                    logger.error("{} are kept in memory only: {}", self._what, error)
                self._failing = True
            else:
                self._failing = False
