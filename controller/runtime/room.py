"""Who is looked at when room may have come: jobs that wait, the most urgent and oldest first.

Only puts keys on the queue; the plan places. Told by the executor (a lease is gone), and by
whoever sees workers come, go or change. There may be very many that wait, so a round reads them
in pieces, and what is told during a round makes one more, not many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ..reconcile.placement import Placement, place
from .clock import Clock
from .records import Records
from .world import World

PIECE: Final = 100
"""Jobs read in one go; others have their turn in between."""


class Room:
    """add(key): puts a job on the queue."""

    def __init__(
        self, records: Records, world: World, clock: Clock, add: Callable[[str], None]
    ) -> None:
        self._records = records
        self._world = world
        self._clock = clock
        self._add = add
        self._round: asyncio.Task[None] | None = None
        self._again = False

    def freed(self) -> None:
        """A lease is gone: jobs that fit now are looked at."""
        self._again = True
        if self._round is None or self._round.done():
            self._round = asyncio.get_running_loop().create_task(self._rounds())

    def workers_changed(self) -> None:
        """Every job that waits is looked at: its reasons for waiting may be others now."""
        for name in self._records.waiting():
            self._add(name)

    def close(self) -> None:
        """End a round that is under way."""
        if self._round is not None:
            self._round.cancel()

    async def settled(self) -> None:
        """Return once no round is under way."""
        if self._round is not None:
            await asyncio.wait({self._round})

    async def _rounds(self) -> None:
        while self._again:
            self._again = False
            for count, name in enumerate(self._records.waiting(), start=1):
                if count % PIECE == 0:
                    await asyncio.sleep(0)
                if self._fits(name):
                    self._add(name)

    def _fits(self, name: str) -> bool:
        job, now = self._records.job(name), self._clock.now()
        return job is not None and isinstance(
            place(job.spec, self._world.workers(now), now), Placement
        )
