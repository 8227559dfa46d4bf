"""When and where an ask fits earliest, as leases end. Pure. Asked by `queueing` and by `outlook`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .asking import Ask
from .fitting import (
    Ledger,
    Profile,
    away,
    devices_for,
    frees_at,
    outlasts_rental,
    short,
    takes,
    unable,
    usable,
)
from .fleet import Change, Fleet, Follower
from .observed import Booking, Claims, Free, WorkerSeen
from .timing import SOON

NEVER = float("inf")


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
    """Where asks fit earliest. Of a `Fleet` it remembers that per ask and worker, so that among
    very many workers only those that changed are looked at again.
    """

    def __init__(self, *, best_fit: bool = False) -> None:
        self._best_fit = best_fit
        self._starts: dict[Ask, _Starts] = {}

    def earliest(
        self, ask: Ask, workers: Sequence[WorkerSeen], now: float, claims: Claims
    ) -> tuple[WorkerSeen, Start] | None:
        """The worker and when, respecting these claims; None where it fits nowhere as things are.

        Workers that are away count as not there: nobody knows when they come back. Of several
        that overrun, the one that was due first stays the one; of equals, the first by name.
        """
        if isinstance(workers, Fleet):
            known = self._starts.pop(ask) if ask in self._starts else None
            starts = known or _Starts(ask, best_fit=self._best_fit)
            self._starts[ask] = starts  # the one that was asked for last is forgotten last
            return starts.earliest(workers, now, claims)
        best: tuple[WorkerSeen, Start] | None = None
        soonest = (NEVER, 0.0)
        for seen in workers:
            there = claims.get(seen.worker.metadata.name, ())
            start = self._on(ask, seen, now, there)
            if start is None:
                continue
            at = clamped(start, now)
            if (at, start.at) < soonest and not outlasts_rental(ask, seen.worker, at):
                best, soonest = (seen, start), (at, start.at)
        return best

    def keep(self, limit: int) -> None:
        """Forget what was looked at first where it is of more than `limit` different asks."""
        for ask in list(self._starts)[:-limit]:
            del self._starts[ask]

    def _on(
        self, ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]
    ) -> Start | None:
        if claims:
            return start_on(ask, seen, now, claims, best_fit=self._best_fit)
        return start_unclaimed(ask, seen, best_fit=self._best_fit)


class _Starts:
    """For one ask: when it fits on each worker of a fleet, were there no claims.

    `_at`: as in `Start`, `NEVER` where it doesn't fit; where `_stale` is set, it is that late at
    least, and looked at when that is the earliest of all.
    """

    def __init__(self, ask: Ask, *, best_fit: bool) -> None:
        self._ask = ask
        self._best_fit = best_fit
        self._follower = Follower()
        self._starts: list[Start | None] = []
        self._at: list[float] = []
        self._stale = bytearray()

    def earliest(self, fleet: Fleet, now: float, claims: Claims) -> tuple[WorkerSeen, Start] | None:
        """See `Forecast.earliest`."""
        self._hear(fleet)
        at, hidden = self._at, {}
        best: tuple[tuple[float, float, int], Start] | None = None
        places = [place for name in claims if (place := fleet.place_of(name)) is not None]
        for place in places:
            hidden[place], at[place] = at[place], NEVER
        try:
            while (place := self._first(fleet, now)) is not None:
                start = self._starts[place]
                assert start is not None, "it fits there some day"
                when = clamped(start, now)
                if not outlasts_rental(self._ask, fleet[place].worker, when):
                    best = (when, start.at, place), start
                    break
                self._hide_rented(fleet, now, hidden)
        finally:
            for place, moment in hidden.items():
                at[place] = moment
        # Claims only make it later than this; where a lease overruns, its end is no bound.
        for key in sorted((max(at[place], now), 0.0, place) for place in places):
            if key[0] == NEVER or (best is not None and key >= best[0]):
                break
            found = self._claimed(fleet[key[2]], now, claims)
            if found is not None:
                later = (clamped(found, now), found.at, key[2])
                if best is None or later < best[0]:
                    best = later, found
        return None if best is None else (fleet[best[0][2]], best[1])

    def _first(self, fleet: Fleet, now: float) -> int | None:
        """The place where it is earliest; None where that is nowhere."""
        at = self._at
        while (least := min(at, default=NEVER)) != NEVER:
            if least > now or not least:
                place = at.index(least)
            else:  # some overrun: they come in a moment, and others may come before
                for place, moment in enumerate(at):
                    if moment <= now and self._stale[place]:
                        self._look(fleet, place)
                overrun = min((moment for moment in at if moment <= now), default=NEVER)
                later = min((moment for moment in at if moment > now), default=NEVER)
                first = later if overrun and later < now + SOON else min(overrun, later)
                if first == NEVER:
                    return None
                place = at.index(first)
            if not self._stale[place]:
                return place
            self._look(fleet, place)
        return None

    def _look(self, fleet: Fleet, place: int) -> None:
        """At one worker, as it is now."""
        start = start_unclaimed(self._ask, fleet[place], best_fit=self._best_fit)
        self._starts[place] = start
        self._at[place] = NEVER if start is None else start.at
        self._stale[place] = 0

    def _claimed(self, seen: WorkerSeen, now: float, claims: Claims) -> Start | None:
        there = claims[seen.worker.metadata.name]
        start = start_on(self._ask, seen, now, there, best_fit=self._best_fit)
        if start is None or outlasts_rental(self._ask, seen.worker, clamped(start, now)):
            return None
        return start

    def _hide_rented(self, fleet: Fleet, now: float, hidden: dict[int, float]) -> None:
        """Leave those out whose rental would not last."""
        for seen in fleet.rented:
            place = fleet.place_of(seen.worker.metadata.name)
            assert place is not None, "it is of this fleet"
            if place in hidden:
                continue
            if self._stale[place]:
                self._look(fleet, place)
            start = self._starts[place]
            if start is not None and outlasts_rental(self._ask, seen.worker, clamped(start, now)):
                hidden[place], self._at[place] = self._at[place], NEVER

    def _hear(self, fleet: Fleet) -> None:
        """Note which workers changed since."""
        news = self._follower.news(fleet)
        if news is None:
            size = len(fleet)
            self._starts, self._at = [None] * size, [0.0] * size
            self._stale = bytearray(b"\1") * size
            return
        for place, change in news:
            self._stale[place] = 1
            if change is not Change.LESS:
                self._at[place] = 0.0


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
    if not outlasts_rental(ask, seen.worker, now) and not short(ask, seen.worker, seen.free):
        free = usable(ask, seen, now, claims)
        if short(ask, seen.worker, free) is None:
            devices = devices_for(ask, seen.worker, free, best_fit=best_fit)
            assert devices is not None, "nothing is short"
            return Start(0.0, devices)
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


def start_unclaimed(ask: Ask, seen: WorkerSeen, *, best_fit: bool) -> Start | None:
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
