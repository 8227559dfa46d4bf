"""What a viewer is told of a fleet that others use too: that there are other jobs, not their names.

Words about waiting are made of bookings, which name jobs; for who does not see such a job its
name is replaced before any words are made. Reads only; called by `views.py` and `world.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.job import Job
from ..reconcile.observed import Booking, Claims, WorkerSeen
from ..reconcile.queueing import Claim
from .records import Records

OTHER: Final = "another job"


class Discretion:
    """What one viewer may read. Who sees everything is given what came, and so nothing is copied."""

    def __init__(self, records: Records, viewer: Viewer) -> None:
        self._records = records
        self._viewer = viewer

    def claims(self, claims: Claims) -> Claims:
        """Room that is kept, by worker."""
        if not self._viewer.own_only or not claims:
            return claims
        return {worker: self._bookings(there) for worker, there in claims.items()}

    def claim(self, claim: Claim | None) -> Claim | None:
        """Room that is kept for a job which the viewer sees."""
        if claim is None or not self._viewer.own_only:
            return claim
        return replace(claim, after=self.name(claim.after))

    def workers(self, workers: Sequence[WorkerSeen]) -> Sequence[WorkerSeen]:
        """The fleet, with what is held there."""
        if not self._viewer.own_only:
            return workers
        return [replace(seen, held=self._bookings(seen.held)) for seen in workers]

    def _bookings(self, bookings: Sequence[Booking]) -> tuple[Booking, ...]:
        return tuple(replace(one, job=self.name(one.job)) for one in bookings)

    def name(self, job: str) -> str:
        """A job's name, or other words for it."""
        known = self._records.job(job) if job else None
        seen = known is not None and self._viewer.sees(known.metadata)
        return job if seen or not job else OTHER


def of_owner(records: Records, job: Job) -> Discretion:
    """For words that are stored with the job, which its owner reads: of nobody's jobs only who sees
    everything.
    """
    owner = job.metadata.owner
    return Discretion(records, Viewer(owner, own_only=True) if owner else EVERYTHING)
