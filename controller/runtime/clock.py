"""Time as an object, so that tests and simulations own it. The only place that reads a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in POSIX seconds."""

    def now(self) -> float:
        """POSIX seconds."""


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> float:
        """POSIX seconds."""
        return time.time()


class VirtualClock:
    """A clock that moves when it is told to, and never back."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """POSIX seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` >= 0."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._now += seconds
