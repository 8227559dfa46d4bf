"""Time as an object, so that tests and simulations own it. The only place that reads a clock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """POSIX seconds that never step: what was reckoned an hour ago is still right.

    Whoever sets the machine's wall clock changes nothing for a controller that runs: were its
    clock to jump, leases would seem over that are not, and jobs would run twice.
    """

    def now(self) -> float:
        """POSIX seconds."""

    def mark(self, at: float) -> str:
        """The moment `at` in words that a later controller on this machine understands."""

    def marked(self, words: str) -> float | None:
        """The moment that `mark` meant, on this clock; None where it cannot be told (the machine
        was started anew since, and nobody knows how long that took).
        """


class SystemClock:
    """The wall clock as it was when this was made, carried on by the time since boot."""

    def __init__(self) -> None:
        self._boot = boot_id()
        self._offset = time.time() - _since_boot()

    def now(self) -> float:
        """POSIX seconds."""
        return self._offset + _since_boot()

    def mark(self, at: float) -> str:
        """See the protocol."""
        return f"{self._boot}/{at - self._offset:.3f}"

    def marked(self, words: str) -> float | None:
        """See the protocol."""
        boot, _, since_boot = words.rpartition("/")
        if not self._boot or boot != self._boot:
            return None
        try:
            return self._offset + float(since_boot)
        except ValueError:
            return None


class VirtualClock:
    """A clock that moves when it is told to, and never back."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """POSIX seconds."""
        return self._now

    def mark(self, at: float) -> str:
        """See the protocol."""
        return repr(at)

    def marked(self, words: str) -> float | None:
        """See the protocol."""
        return float(words) if words else None

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` >= 0."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._now += seconds


def boot_id(path: Path = _BOOT_ID) -> str:
    """What changes with each start of the machine; "" where it does not say."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _since_boot() -> float:
    """Seconds since the machine was started, those included in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
