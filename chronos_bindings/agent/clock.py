"""The machine's clocks behind `ports.Clock`. The only place of the agent that reads them."""

from __future__ import annotations

import asyncio
import time
from typing import Final

LONGEST_SLEEP: Final = 1.0
"""Seconds between looks at the clock: the loop's own timers stand still while the machine sleeps."""


class SystemClock:
    """CLOCK_BOOTTIME counts from boot, the time included in which the machine slept: the controller
    reckons so, and a lease is over there by then. All processes share it, so that a deadline that
    was written down by one agent is valid for the next one of the same boot.
    """

    def monotonic(self) -> float:
        """See `ports.Clock`."""
        return _since_boot()

    def wall(self) -> float:
        """See `ports.Clock`."""
        return time.time()

    async def sleep_until(self, deadline: float) -> None:
        """See `ports.Clock`."""
        while True:
            left = deadline - _since_boot()
            await asyncio.sleep(min(max(0.0, left), LONGEST_SLEEP))
            if left <= LONGEST_SLEEP:
                return  # early by the loop's resolution at most, which the caller's next look absorbs


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
