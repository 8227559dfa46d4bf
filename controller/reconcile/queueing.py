"""Who is next: jobs that wait queue by priority, then age, and no large one starves. Pure.

Every lease has an end, so the time at which a waiting job fits somewhere at the latest is known.
The first of the queue are given a claim: the worker on which each fits earliest, from that time
on. Whoever is behind may take room there only if it gives it back before, or leaves what is
claimed alone. Since claims are only ever kept, a job at the head of the queue starts at the
latest when the leases that were running when it got there have ended, whatever comes after it.

This is backfilling as batch systems do it, with the difference that ends are enforced here rather
than guessed by users. A claim is no state: it is computed anew from what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .asking import Ask
from .fitting import booked
from .forecast import Forecast, clamped
from .observed import Booking, WorkerSeen

CLAIMS: Final = 16
"""So many of the queue's first jobs have one; those behind move up. Each claim keeps room idle
that later jobs might have used, and costs time to compute."""

Order = tuple[int, float, str]
"""(-priority, when submitted, name): smaller is nearer to the head."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that would start if there was room."""

    order: Order
    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Claim:
    """Room kept for a job; after: the job whose lease's end it waits for, "" where it fits now."""

    order: Order
    room: Booking
    after: str = ""


class Lineup:
    """Claims of the first of the queue, made one after the other as far as they are asked for, and
    kept for as long as they hold: claims depend on those ahead of them only.

    A claim that was made earlier stays safe when room has grown since: it is later than it had to
    be. Whoever owns this decides how old claims may be; see `clear`.
    """

    def __init__(self, forecast: Forecast, limit: int = CLAIMS) -> None:
        self._forecast = forecast
        self._limit = limit
        self._made: list[Claim] = []
        self._kept: dict[str, list[Booking]] = {}
        self._hopeless: dict[Ask, Order] = {}
        self.next: Order | None = None
        """Who is to be looked at next: the first of the queue not before this; None: the first."""

    @property
    def claims(self) -> Sequence[Claim]:
        """Those made so far, in order."""
        return self._made

    def clear(self) -> None:
        """Begin anew."""
        self._made, self._kept, self._hopeless, self.next = [], {}, {}, None

    def passed(self, stop: Order) -> None:
        """Nobody from `next` on to here waits for room."""
        if len(self._made) < self._limit and (self.next is None or self.next < stop):
            self.next = stop

    def left(self, order: Order) -> None:
        """Whoever was at this place in the queue left it: what was kept for it is free."""
        if any(claim.order == order for claim in self._made):
            self.came(order)

    def came(self, order: Order) -> None:
        """Somebody came to this place in the queue: forget what follows from who was there."""
        if self.next is None or order >= self.next:
            return
        self.next = order
        self._made = [claim for claim in self._made if claim.order < order]
        self._hopeless = {a: first for a, first in self._hopeless.items() if first < order}
        self._kept = {}
        for claim in self._made:
            self._kept.setdefault(claim.room.worker, []).append(claim.room)

    def started(self, order: Order, worker: str, devices: tuple[int, ...], now: float) -> None:
        """A job left the queue for this place. Where that is what was kept for it, from now on,
        nothing changes for those behind; whoever is behind all claims was placed beside them.
        """
        for index, claim in enumerate(self._made):
            room = claim.room
            as_kept = (room.worker, room.devices) == (worker, devices) and room.start <= now
            if claim.order == order and as_kept:
                del self._made[index]
                self._kept[worker].remove(room)
                if not self._kept[worker]:
                    del self._kept[worker]
                return
        self.came(order)

    def extend(
        self,
        waiting: Iterable[Waiting],
        workers: Sequence[WorkerSeen],
        now: float,
        within: Callable[[Waiting, Booking], bool] = lambda *_: True,
    ) -> None:
        """Go on with these, in order, from `next` on, until there are enough claims. within: whether
        a job's quota lets it have this room; who could start there but may not is given no claim.
        """
        for one in waiting:
            if len(self._made) >= self._limit:
                return
            self.next = (*one.order[:2], one.order[2] + "\0")
            if one.ask in self._hopeless:
                continue
            found = self._forecast.earliest(one.ask, workers, now, self._kept)
            if found is None:
                self._hopeless[one.ask] = one.order  # claims add up: those behind fit no better
                continue
            seen, start = found
            name = seen.worker.metadata.name
            room = booked(one.ask, one.name, name, start.devices, clamped(start, now))
            if not within(one, room):
                continue
            self._kept.setdefault(name, []).append(room)
            self._made.append(Claim(one.order, room, start.after))


def line_up(
    waiting: Iterable[Waiting],
    workers: Sequence[WorkerSeen],
    now: float,
    forecast: Forecast,
    limit: int = CLAIMS,
) -> tuple[Claim, ...]:
    """The claims of the first `limit` jobs that fit anywhere at all; `waiting`: in order."""
    made = Lineup(forecast, limit)
    made.extend(waiting, workers, now)
    return tuple(made.claims)


def ahead_of(order: Order, claims: Iterable[Claim]) -> dict[str, tuple[Booking, ...]]:
    """What is kept for those ahead, by worker."""
    found: dict[str, tuple[Booking, ...]] = {}
    for claim in claims:
        if claim.order < order:
            worker = claim.room.worker
            found[worker] = (*found.get(worker, ()), claim.room)
    return found
