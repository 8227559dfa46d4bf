"""The machine's clocks behind `ports.Clock`. The only place of the agent that reads them."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """CLOCK_MONOTONIC counts from boot and is shared by all processes, so that a deadline that was
    written down by one agent is valid for the next one of the same boot.
    """

    def monotonic(self) -> float:
        """See `ports.Clock`."""
        return time.monotonic()

    def wall(self) -> float:
        """See `ports.Clock`."""
        return time.time()

    async def sleep_until(self, deadline: float) -> None:
        """See `ports.Clock`."""
        # The loop's own timers run on the same clock; asyncio never wakes early by more than its
        # resolution, which the caller's next look at the clock absorbs.
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
