"""The queue of jobs that wait for room, as the plan is told of it: what is kept for whom. In memory
only; what is decided is `reconcile/queueing.py`.

Owned by `world.py`, which says when anything it is computed from has moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import Lease
from ..reconcile.observed import Claims, WorkerSeen
from ..reconcile.placement import NOTHING
from ..reconcile.queueing import Claim, Forecast, Waiting, ahead_of, line_up
from .records import InLine, Records, in_line

FRESH_SECONDS: Final = 1.0
"""Some of it changes with time alone (leases overrun, agents fall silent): so long it is kept."""

ASKS_KEPT: Final = 64
"""Forecasts are kept for so many different asks, which is more than the queue's first jobs have."""


class Fleet(Protocol):
    """What the queue must know of the world."""

    best_fit: bool

    def workers(self, now: float) -> Sequence[WorkerSeen]:
        """By name."""

    def leases_of(self, uid: str) -> tuple[Lease, ...]:
        """Of one job."""


class Line:
    """See the module docstring."""

    def __init__(self, records: Records, fleet: Fleet) -> None:
        self._records = records
        self._fleet = fleet
        self._forecast = Forecast(best_fit=fleet.best_fit)
        self._claims: tuple[Claim, ...] = ()
        self._made_at = 0.0
        self._made_of = -1
        self._moved = True

    def moved(self) -> None:
        """A worker or lease is another one now."""
        self._moved = True

    def ahead_of(self, job: Job, now: float) -> Claims:
        """Room kept for those ahead of a job that has no lease yet."""
        if job.status.phase is not Phase.PENDING:
            return NOTHING
        return ahead_of(in_line(job).order, self.claims(now))

    def claim_of(self, job: Job, now: float) -> Claim | None:
        """What is kept for the job itself; None where it is not among the first that wait."""
        order = in_line(job).order
        return next((claim for claim in self.claims(now) if claim.order == order), None)

    def waiting(self, now: float) -> Iterator[InLine]:
        """Jobs that would start now if there was room, in order."""
        for one in self._records.line():
            if one.since is not None and one.since <= now and not self._fleet.leases_of(one.uid):
                yield one

    def claims(self, now: float) -> tuple[Claim, ...]:
        """Room kept for the first jobs that wait, in order."""
        version = self._records.line_version
        aged = not self._made_at <= now < self._made_at + FRESH_SECONDS
        if self._moved or aged or version != self._made_of:
            self._forecast.keep(ASKS_KEPT)
            waiting = (Waiting(one.order, one.name, one.ask) for one in self.waiting(now))
            self._claims = line_up(waiting, self._fleet.workers(now), now, self._forecast)
            self._made_at, self._made_of, self._moved = now, version, False
        return self._claims
