"""Lets a job last longer: notes the wish where it can be kept. Writes one record, acts on nothing.

One part of what `service.JobsService` offers the API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loguru import logger

from ...api.viewer import Viewer
from ...crd_like_specs.errors import ConflictError, Problem, ValidationError
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import LONGEST, Job
from ...crd_like_specs.lease import Lease, LeaseState
from ...crd_like_specs.units import format_seconds
from ..reconcile.asking import ask_of
from ..reconcile.extending import refusal
from ..reconcile.fleet import named
from ..reconcile.placement import could_ever
from ..reconcile.quota import no_longer
from .bookings import booking
from .clock import Clock
from .discretion import Discretion
from .events import Events
from .happenings import of_job
from .quotas import held_by
from .records import Records, over
from .world import World

_OVER: Final = (LeaseState.ENDING, LeaseState.ENDED, LeaseState.FAILED)


class Extending:
    """add(key): put a job on the queue."""

    def __init__(
        self,
        records: Records,
        world: World,
        clock: Clock,
        events: Events,
        add: Callable[[str], None],
    ) -> None:
        self._records = records
        self._world = world
        self._clock = clock
        self._events = events
        self._add = add

    async def extend(self, name: str, seconds: int, viewer: Viewer) -> Job:
        """See `api.ports.JobsPort.extend`."""
        if seconds < 1:
            raise ValidationError(
                [Problem(f"{seconds} s is given, expected at least 1 s", "seconds")]
            )
        while True:
            job = self._records.find_job(name, viewer)
            self._check(job, seconds, viewer)
            extension = job.metadata.extension + seconds
            meta = job.metadata.model_copy(update={"extension": extension})
            wanted = job.model_copy(update={"metadata": meta})
            try:
                stored = await self._records.put_job(wanted, job.metadata.resource_version)
            except ConflictError:
                continue  # its status moved meanwhile: look at the newer version
            words = f"by {format_seconds(seconds)}, to {format_seconds(stored.lasting.duration)}"
            self._events.note(of_job(stored, "Extended", words, by=viewer.who))
            logger.bind(job_id=stored.metadata.uid, job=stored.metadata.name).info(
                "extended {}", words
            )
            self._add(stored.metadata.name)
            return stored

    def _check(self, job: Job, seconds: int, viewer: Viewer) -> None:
        """ConflictError with the reason where it cannot be kept, ValidationError for too much."""
        meta, status = job.metadata, job.status
        if over(job):
            raise _no(
                job, f"has ended as {status.phase.value}: apply a longer duration to run it anew"
            )
        if (
            meta.deletion_timestamp is not None
            or meta.cancellation_timestamp is not None
            or status.stopping
            or status.phase.terminal
        ):
            raise _no(job, "is being ended")
        noted = not status.attempt or status.observed_generation == meta.generation
        if not noted and job.spec.run_hash() != status.run_hash:
            raise _no(job, "was just changed: what runs now is replaced")
        total = job.lasting.duration + seconds
        if total > LONGEST:
            text = f"{format_seconds(total)} in all, expected at most {format_seconds(LONGEST)}"
            raise ValidationError([Problem(text, "seconds")], job_id=meta.uid)
        lease = self._records.leases.get(unit_name(meta.uid, max(1, status.attempt)))
        if lease is None:
            self._check_waiting(job, seconds)
        else:
            self._check_lease(job, lease, seconds, viewer)

    def _check_waiting(self, job: Job, seconds: int) -> None:
        now = self._clock.now()
        spec = job.lasting.model_copy(update={"duration": job.lasting.duration + seconds})
        fleet = [seen.worker for seen in self._world.workers(now)]
        if fleet and not any(could_ever(ask_of(spec), worker, now) for worker in fleet):
            raise _no(job, "waits for a worker, and none could take it for so long")

    def _check_lease(self, job: Job, lease: Lease, seconds: int, viewer: Viewer) -> None:
        if lease.status.state in _OVER or lease.metadata.deletion_timestamp is not None:
            raise _no(job, "has a lease that is being ended")
        now, name = self._clock.now(), lease.spec.worker
        seen = named(self._world.workers(now), name)
        if seen is None:
            raise _no(job, f"runs on worker {name}, which is gone")
        kept = Discretion(self._records, viewer).claims(self._world.line.kept(now))
        why = refusal(booking(lease), seen, kept.get(name, ()), seconds, now)
        quota = self._world.quotas.seen(job.metadata.owner, now)
        if not why and quota is not None:
            why = no_longer(quota, held_by(lease, now), seconds, now)
        if why:
            raise _no(job, f"cannot be extended by {format_seconds(seconds)}: {why}")


def _no(job: Job, why: str) -> ConflictError:
    return ConflictError(f"job {job.metadata.name!r} {why}", job_id=job.metadata.uid)
