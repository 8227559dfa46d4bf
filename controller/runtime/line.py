"""The queue of jobs that wait for room, as the plan is told of it: what is kept for whom. In memory
only; what is decided is `reconcile/queueing.py`.

Owned by `world.py`, which says when anything it is computed from has moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final, Protocol

from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import Lease
from ..reconcile.asking import Ask
from ..reconcile.forecast import Forecast
from ..reconcile.observed import Booking, Claims, WorkerSeen
from ..reconcile.placement import NOTHING
from ..reconcile.queueing import Claim, Lineup, Order, Waiting, ahead_of
from ..reconcile.quota import Held, QuotaSeen, over_quota, within_quota
from .quotas import Quotas
from .records import InLine, Records, in_line

FRESH_SECONDS: Final = 1.0
"""What is kept is computed anew after so long: some of it changes with time alone."""

MOVES: Final = 8
"""It is computed anew once an eighth as many leases moved as there are workers: with few workers
at each move. Until then it may be later than it had to be, but whoever respects it delays nobody.
"""

ASKS_KEPT: Final = 64
"""Forecasts are kept for so many different asks, which is more than the queue's first jobs have."""

BEHIND_ALL: Final[Order] = (1 << 31, 0.0, "")
"""The place in the queue behind every other."""

_BEHIND_ALL: Final[Order] = (1 << 30, float("inf"), "")


class World(Protocol):
    """What the queue must know."""

    best_fit: bool
    quotas: Quotas

    def workers(self, now: float) -> Sequence[WorkerSeen]:
        """By name."""

    def holds(self, uid: str) -> bool:
        """Whether the job has a lease, or is just being given one."""


class Line:
    """See the module docstring."""

    def __init__(self, records: Records, world: World) -> None:
        self._records = records
        self._world = world
        self._forecast = Forecast(best_fit=world.best_fit)
        self._lineup = Lineup(self._forecast)
        self._made_at = float("-inf")
        self._moves = 0
        records.came_to_line.append(self._lineup.came)
        records.left_line.append(self._lineup.left)

    def moved(self) -> None:
        """A worker or lease is another one now."""
        self._moves += 1

    def quota_moved(self) -> None:
        """A project with limits was given something back, or has other limits."""
        self._made_at = float("-inf")

    def started(self, lease: Lease) -> None:
        """A job is given this lease."""
        spec = lease.spec
        one = self._records.in_line(spec.job_name)
        if one is not None and one.uid == spec.job:
            self._lineup.started(one.order, spec.worker, spec.devices, spec.not_before)

    def ahead_of(self, job: Job, now: float) -> Claims:
        """Room kept for those ahead of a job that has no lease yet."""
        if job.status.phase is not Phase.PENDING:
            return NOTHING
        one = in_line(job)
        may_start = one.since is not None and one.since <= now
        return self.before(one.order, now) if may_start else NOTHING

    def before(self, order: Order, now: float) -> Claims:
        """Room kept for those ahead of this place."""
        return ahead_of(order, self._claims(order, now))

    def kept(self, now: float) -> Claims:
        """Room kept for whoever waits."""
        return self.before(_BEHIND_ALL, now)

    def claim_of(self, job: Job, now: float) -> Claim | None:
        """What is kept for the job itself; None where it is not among the first that wait."""
        order = in_line(job).order
        claims = self._claims((*order[:2], order[2] + "\0"), now)
        return next((claim for claim in claims if claim.order == order), None)

    def planned(self, now: float) -> Sequence[Claim]:
        """Room kept for all of the first that wait, in order."""
        return tuple(self._claims(BEHIND_ALL, now))

    def quota_of(self, job: Job, now: float, beside: Sequence[Booking] = ()) -> QuotaSeen | None:
        """What the plan of a job that has no lease yet is told of its project's quota."""
        if job.status.phase is not Phase.PENDING or not self._world.quotas.limited(
            job.metadata.owner
        ):
            return None
        return self._quota(in_line(job), now, beside)

    def within(self, one: InLine, now: float, beside: Sequence[Booking] = ()) -> bool:
        """Whether its project's quota lets it start. beside: what others of the project are about to
        be given, whose claims may not be known yet.
        """
        if not self._world.quotas.limited(one.owner):
            return True
        seen = self._quota(one, now, beside)
        return seen is None or over_quota(one.ask, seen, now) is None

    def _quota(self, one: InLine, now: float, beside: Sequence[Booking]) -> QuotaSeen | None:
        ahead = list(self._ahead(one, self._claims(one.order, now)))
        known = {room.job for room in ahead}
        ahead += [room for room in beside if room.job not in known]
        return self._seen(one, ahead, now)

    def _seen(self, one: InLine, ahead: Sequence[Booking], now: float) -> QuotaSeen | None:
        held = [Held(room.start, room.end, room.milli * len(room.devices)) for room in ahead]
        return self._world.quotas.seen(one.owner, now, held)

    def _ahead(self, one: InLine, claims: Sequence[Claim]) -> Iterator[Booking]:
        """What is kept for its project's jobs that are ahead of it."""
        for claim in claims:
            if claim.order < one.order:
                other = self._records.in_line(claim.order[2])
                if other is not None and other.owner == one.owner:
                    yield claim.room

    def waits(self, one: InLine, now: float) -> bool:
        """Whether it would start now if there was room."""
        return one.since is not None and one.since <= now and not self._world.holds(one.uid)

    def _claims(self, stop: Order, now: float) -> Sequence[Claim]:
        """Room kept for the first jobs that wait, as far as they are ahead of `stop`."""
        workers = self._world.workers(now)
        aged = not self._made_at <= now < self._made_at + FRESH_SECONDS
        if aged or self._moves * MOVES > len(workers):
            self._forecast.keep(ASKS_KEPT)
            self._lineup.clear()
            self._made_at, self._moves = now, 0
        start = self._lineup.next
        if start is None or start < stop:

            def within(one: Waiting, room: Booking) -> bool:
                return self._may_have(one, room, now)

            self._lineup.extend(self._waiting(start, stop, now), workers, now, within)
            self._lineup.passed(stop)
        return self._lineup.claims

    def _may_have(self, one: Waiting, room: Booking, now: float) -> bool:
        """Whether its project's quota lets a job have this room, beside what is kept ahead of it."""
        known = self._records.in_line(one.name)
        if known is None or not self._world.quotas.limited(known.owner):
            return True
        seen = self._seen(known, list(self._ahead(known, self._lineup.claims)), now)
        return seen is None or within_quota(one.ask, seen, now, room.start)

    def _waiting(self, start: Order | None, stop: Order, now: float) -> Iterator[Waiting]:
        """Those that would start if there was room. Who is over quota is none of them: room that is
        kept for as many of a project as may run is all that it can use.
        """
        over: set[tuple[str, Ask]] = set()
        full: set[str] = set()
        for one in takewhile(lambda one: one.order < stop, self._records.line(start)):
            if one.owner in full or not self.waits(one, now):
                continue
            if self._world.quotas.limited(one.owner):
                if (one.owner, one.ask) in over:
                    continue  # claims only add up
                ahead = list(self._ahead(one, self._lineup.claims))
                seen = self._seen(one, ahead, now)
                found = None if seen is None else over_quota(one.ask, seen, now)
                if found is not None:
                    over.add((one.owner, one.ask))
                    if found.full:
                        full.add(one.owner)
                    continue
            yield Waiting(one.order, one.name, one.ask)
