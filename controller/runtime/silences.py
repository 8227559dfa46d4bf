"""Which agents have been silent for so long that they count for less: without asking all of them
each time. In memory only; owned by `world.py`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from typing import Final

CONTACT_SECONDS: Final = 5.0
"""An agent not heard for so long is out of contact (it speaks every second)."""

KNOWN_SECONDS: Final = 120.0
"""A worker silent for less is expected back, so a job that fits it waits rather than fails."""


class Silences:
    """One alarm per worker that is watched, set anew where it turns out to be too early."""

    def __init__(self) -> None:
        self._alarms: list[tuple[float, str]] = []
        self._watched: set[str] = set()

    def watch(self, worker: str, now: float) -> None:
        """Tell when it falls silent; once is enough."""
        if worker not in self._watched:
            self._watched.add(worker)
            heapq.heappush(self._alarms, (now, worker))

    def over(self, now: float, heard: Mapping[str, float], started: float) -> Iterator[str]:
        """Workers whose silence passed one of the limits since last asked.

        heard: when each was last heard, `started` for those not heard yet; POSIX seconds.
        """
        while self._alarms and self._alarms[0][0] <= now:
            _, worker = heapq.heappop(self._alarms)
            last = heard.get(worker, started)
            silent = now - last
            if silent >= CONTACT_SECONDS:
                yield worker
            left = [limit for limit in (CONTACT_SECONDS, KNOWN_SECONDS) if silent < limit]
            if left:
                again = max(last + left[0], math.nextafter(now, math.inf))
                heapq.heappush(self._alarms, (again, worker))
            else:
                self._watched.discard(worker)  # until it is looked at again
