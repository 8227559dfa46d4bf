"""Who is looked at when room may have come: jobs that wait, the most urgent and oldest first.

Only puts keys on the queue; the plan places. Told by the executor (a lease is gone), the
reconciler (a job left the queue, so others moved up) and by whoever sees workers come, go or
change. There may be very many that wait: a round goes through what they ask for, kind by kind, and
what is told during a round makes one more, not many.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from typing import Final

from ..reconcile.asking import Ask
from ..reconcile.fitting import booked
from ..reconcile.observed import Booking
from ..reconcile.placement import Placement, could_ever, find
from ..reconcile.queueing import Order
from .clock import Clock
from .records import InLine, Records
from .world import World

PIECE: Final = 32
"""Jobs that are found room for in one go; others have their turn in between."""

OF_A_KIND: Final = 16
"""Of jobs that ask for the same and fit so many are looked at in a round; each that is placed
makes another round."""

TOLD: Final = 200
"""Of those that wait for what they cannot have now, so many are told what changed with the workers;
whoever wants to know of the others asks why."""


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
        """Jobs that fit now are looked at, those that no worker can take any more, and the first
        of all: their reasons for waiting may be others now.
        """
        first = self._records.waiting(TOLD)
        for name in first:
            self._add(name)
        if len(first) < TOLD:
            return
        for name in self._hopeless():
            self._add(name)
        self.freed()

    def close(self) -> None:
        """End a round that is under way."""
        if self._round is not None:
            self._round.cancel()

    async def settled(self) -> None:
        """Return once no round is under way."""
        if self._round is not None:
            await asyncio.wait({self._round})

    def _hopeless(self) -> Iterator[str]:
        """Jobs that are not to wait for what does not exist."""
        now = self._clock.now()
        workers = self._world.workers(now)
        for ask, orders in self._records.kinds.items():
            if not any(could_ever(ask, seen.worker, now) for seen in workers):
                kind = (self._records.in_line(name) for _, _, name in orders)
                yield from (one.name for one in kind if one is not None and one.fails)

    async def _rounds(self) -> None:
        while self._again:
            self._again = False
            given: list[tuple[InLine, Booking]] = []
            heads = [(orders[0], ask, 0) for ask, orders in self._records.kinds.items()]
            heapq.heapify(heads)
            while heads:
                first, ask, count = heapq.heappop(heads)
                one = self._next(ask, first, given)
                if one is None:
                    continue
                if one.order != first:  # others of the heap may come before it
                    heapq.heappush(heads, (one.order, ask, count))
                    continue
                room = self._room_for(one, given)
                if room is None:
                    continue  # who is behind and asks for the same has no better a chance
                self._add(one.name)
                given.append((one, room))
                if count + 1 < OF_A_KIND:
                    heapq.heappush(heads, (_behind(one.order), ask, count + 1))
                if len(given) % PIECE == 0:
                    await asyncio.sleep(0)
                    given = [(one, room) for one, room in given if self._still_waits(one)]

    def _next(self, ask: Ask, start: Order, given: list[tuple[InLine, Booking]]) -> InLine | None:
        """The first that asks for it from there on, waits, and is within its project's quota."""
        now, line, over = self._clock.now(), self._world.line, set[str]()
        for one in self._records.of_kind(ask, start):
            if one.owner in over or not line.waits(one, now):
                continue
            beside = [room for other, room in given if other.owner == one.owner]
            if line.within(one, now, beside):
                return one
            over.add(one.owner)  # whoever is behind and asks for the same is over it too
        return None

    def _room_for(self, one: InLine, given: list[tuple[InLine, Booking]]) -> Booking | None:
        """Where it would be placed now, beside those that this round has found room for."""
        now = self._clock.now()
        workers = self._world.workers(now)
        if not isinstance(find(one.ask, workers, now), Placement):
            return None
        claims = dict(self._world.line.before(one.order, now))
        known = {claim.job for there in claims.values() for claim in there}
        for other, room in given:
            if other.name not in known and other.order < one.order:
                claims[room.worker] = (*claims.get(room.worker, ()), room)
        found = find(one.ask, workers, now, claims, best_fit=self._world.best_fit)
        if isinstance(found, Placement):
            name = found.worker.metadata.name
            return booked(one.ask, one.name, name, found.devices, now)
        return None

    def _still_waits(self, one: InLine) -> bool:
        return self._records.in_line(one.name) is one and not self._world.holds(one.uid)


def _behind(order: Order) -> Order:
    """The place right behind."""
    return (*order[:2], order[2] + "\0")
