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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .asking import Ask
from .fitting import (
    Ledger,
    Profile,
    away,
    booked,
    devices_for,
    frees_at,
    outlasts_rental,
    short,
    takes,
    unable,
)
from .observed import Booking, Claims, Free, WorkerSeen
from .timing import SOON

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


@dataclass(frozen=True, slots=True)
class Start:
    """Where and when something fits. at: POSIX seconds, 0.0 at once; it may be in the past where
    a lease overruns, see `clamped`. after: as in `Claim`.
    """

    at: float
    devices: tuple[int, ...]
    after: str = ""


def clamped(start: Start, now: float) -> float:
    """`at` as of now: what should be free already is so in a moment."""
    if not start.at:
        return now
    return start.at if start.at > now else now + SOON


class Forecast:
    """Where an ask fits earliest. Remembers per ask and worker, for as long as the worker stays
    the very same; so that among many workers only those that changed are looked at again.
    """

    def __init__(self, *, best_fit: bool = False) -> None:
        self._best_fit = best_fit
        self._known: dict[Ask, dict[str, tuple[_Stamp, Start | None]]] = {}

    def earliest(
        self, ask: Ask, workers: Sequence[WorkerSeen], now: float, claims: Claims
    ) -> tuple[WorkerSeen, Start] | None:
        """The worker and when, respecting these claims; None where it fits nowhere as things are.

        Workers that are away count as not there: nobody knows when they come back.
        """
        best: tuple[WorkerSeen, Start] | None = None
        soonest = (float("inf"), 0.0)
        known = self._known[ask] = self._known.pop(ask, {})
        for seen in workers:
            name = seen.worker.metadata.name
            there = claims.get(name)
            if there:
                start = start_on(ask, seen, now, there, best_fit=self._best_fit)
            else:
                stamp = (seen.worker, seen.free, seen.held, seen.ready)
                entry = known.get(name)
                if entry is None or not _same(entry[0], stamp):
                    start = _start_unclaimed(ask, seen, best_fit=self._best_fit)
                    known[name] = (stamp, start)
                else:
                    start = entry[1]
            if start is None:
                continue
            at = clamped(start, now)
            # Of several that overrun, the one that was due first stays the one.
            if (at, start.at) < soonest and not outlasts_rental(ask, seen.worker, at):
                best, soonest = (seen, start), (at, start.at)
                if at <= now:
                    break
        return best

    def keep(self, limit: int) -> None:
        """Forget what was looked at first where it is of more than `limit` different asks."""
        for ask in list(self._known)[:-limit]:
            del self._known[ask]


def line_up(
    waiting: Iterable[Waiting],
    workers: Sequence[WorkerSeen],
    now: float,
    forecast: Forecast,
    limit: int = CLAIMS,
) -> tuple[Claim, ...]:
    """The claims of the first `limit` jobs that fit anywhere at all; `waiting`: in order."""
    kept: dict[str, list[Booking]] = {}
    made: list[Claim] = []
    hopeless: set[Ask] = set()
    for one in waiting:
        if len(made) == limit:
            break
        if one.ask in hopeless:
            continue
        found = forecast.earliest(one.ask, workers, now, kept)
        if found is None:
            hopeless.add(one.ask)  # claims only add up: those behind fit no better
            continue
        seen, start = found
        name = seen.worker.metadata.name
        room = booked(one.ask, one.name, name, start.devices, clamped(start, now))
        kept.setdefault(name, []).append(room)
        made.append(Claim(one.order, room, start.after))
    return tuple(made)


def ahead_of(order: Order, claims: Iterable[Claim]) -> dict[str, tuple[Booking, ...]]:
    """What is kept for those ahead, by worker."""
    found: dict[str, tuple[Booking, ...]] = {}
    for claim in claims:
        if claim.order < order:
            worker = claim.room.worker
            found[worker] = (*found.get(worker, ()), claim.room)
    return found


def start_on(
    ask: Ask,
    seen: WorkerSeen,
    now: float,
    claims: Sequence[Booking],
    *,
    best_fit: bool = False,
) -> Start | None:
    """When it fits on this worker at the latest, respecting claims; None: not as things are."""
    if unable(ask, seen.worker) or away(seen):
        return None
    after = {frees_at(lease, now): lease.job for lease in reversed(seen.held)}
    after |= {claim.end: claim.job for claim in claims}
    profile = Profile(seen, claims, now)
    for index, moment in enumerate(profile.times):
        if outlasts_rental(ask, seen.worker, moment):
            return None
        if short(ask, seen.worker, profile.at(index)):
            continue
        free = profile.during(index, moment + takes(ask))
        if short(ask, seen.worker, free) is None:
            devices = devices_for(ask, seen.worker, free, best_fit=best_fit)
            assert devices is not None, "nothing is short"
            return Start(moment if index else 0.0, devices, after.get(moment, ""))
    return None


def _start_unclaimed(ask: Ask, seen: WorkerSeen, *, best_fit: bool) -> Start | None:
    """`start_on` without claims and without a clock: room only grows, lease by lease."""
    if unable(ask, seen.worker) or away(seen):
        return None
    free: Free | Ledger = seen.free
    if short(ask, seen.worker, free) is None:
        devices = devices_for(ask, seen.worker, free, best_fit=best_fit)
        assert devices is not None, "nothing is short"
        return Start(0.0, devices)
    left = Ledger(seen.free)
    for lease in sorted(seen.held, key=lambda lease: (lease.end, lease.job)):
        left.add(lease, 1)
        if short(ask, seen.worker, left) is None:
            devices = devices_for(ask, seen.worker, left, best_fit=best_fit)
            assert devices is not None, "nothing is short"
            return Start(lease.end, devices, lease.job)
    return None


_Stamp = tuple[object, Free, tuple[Booking, ...], bool]


def _same(one: _Stamp, other: _Stamp) -> bool:
    return one[0] is other[0] and one[1] is other[1] and one[2] is other[2] and one[3] == other[3]
