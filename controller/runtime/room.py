"""Who is looked at when room may have come: jobs that wait, the most urgent and oldest first.

Only puts keys on the queue; the plan places. Told by the executor (a lease is gone), the
reconciler (a job left the queue, so others moved up) and by whoever sees workers come, go or
change. There may be very many that wait: what they ask for is looked at once per kind of ask, and
what is told during a round makes one more, not many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ..reconcile.asking import Ask
from ..reconcile.placement import Placement, find
from ..reconcile.queueing import ahead_of
from .clock import Clock
from .records import InLine, Records
from .world import World

PIECE: Final = 1000
"""Jobs read in one go; others have their turn in between."""

OF_A_KIND: Final = 16
"""Of jobs that ask for the same and fit so many are looked at in a round; each that is placed
makes another round."""


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
            tried: dict[Ask, int] = {}
            for count, one in enumerate(list(self._world.line.waiting(self._clock.now())), start=1):
                if count % PIECE == 0:
                    await asyncio.sleep(0)
                of_a_kind = tried.get(one.ask, 0)
                if of_a_kind == OF_A_KIND:
                    continue
                if self._fits(one):
                    tried[one.ask] = of_a_kind + 1
                    self._add(one.name)
                else:  # who is behind and asks for the same has no better a chance
                    tried[one.ask] = OF_A_KIND

    def _fits(self, one: InLine) -> bool:
        now = self._clock.now()
        workers, claims = self._world.workers(now), self._world.line.claims(now)
        return isinstance(find(one.ask, workers, now, ahead_of(one.order, claims)), Placement)
