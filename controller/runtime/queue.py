"""The queue of keys: who must be looked at, and when. Why never matters.

A key is in the queue at most once, is handed out to one worker at a time, and comes again if it
was added meanwhile. Pure but for the wake-up event; time is an argument. Used by `loop.py`.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict

BACKOFF_FIRST = 0.1
BACKOFF_CEILING = 30.0


class KeyQueue:
    """Keys that are due now, keys that are due later, and how often each failed in a row."""

    def __init__(self) -> None:
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._later: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._serial = itertools.count()

    def __len__(self) -> int:
        return len(self._ready) + len(self._busy)

    def add(self, key: str) -> None:
        """Look at it as soon as possible, again if it is being looked at just now."""
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None

    def add_at(self, key: str, when: float) -> None:
        """Look at it at `when` (POSIX seconds); the earliest time asked for holds."""
        if when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        heapq.heappush(self._later, (when, next(self._serial), key))

    def retry(self, key: str, now: float, *, first_at_once: bool = False) -> float:
        """It failed: look again after a back-off that doubles each time. Returns the delay.

        first_at_once: a first failure in a row waits for nothing.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if first_at_once and failures == 1:
            self.add(key)
            return 0.0
        delay = min(BACKOFF_FIRST * 2.0 ** min(failures - 1, 20), BACKOFF_CEILING)
        self.add_at(key, now + delay)
        return delay

    def forgive(self, key: str) -> None:
        """It went well: the next failure backs off from the start."""
        self._failures.pop(key, None)

    def take(self, now: float) -> str | None:
        """The next due key, now busy until `done`; None where nothing is due."""
        while self._later and self._later[0][0] <= now:
            when, _, key = heapq.heappop(self._later)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        if not self._ready:
            return None
        key, _ = self._ready.popitem(last=False)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        """The worker is through with it."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._ready[key] = None

    def next_due(self) -> float | None:
        """When `take` will next have something, None if it never will; -inf: now."""
        if self._ready:
            return float("-inf")
        while self._later and self._due.get(self._later[0][2]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None
