"""Which worker may bring or fetch what an attempt leaves. Implements `api.ports.ArtifactsPort`.

A worker may bring what an attempt left whose lease is on record as its own: also after the lease
was given back, until its record is gone, since by then the next attempt may have begun without it.
It may fetch what a lease that is wanted on it names. Everything here runs on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from ...api.frames import Received
from ...api.outputs import ArtifactKind
from ...crd_like_specs.checkpoint import archive_limit
from ...crd_like_specs.errors import ForbiddenError, NotFoundError, ValidationError
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from .artifacts import Artifacts, ArtifactUpload
from .left import Left
from .records import Records


class ArtifactGate:
    """See the module docstring."""

    def __init__(self, records: Records, left: Left) -> None:
        self._records = records
        self._checkpoints = left.checkpoints
        self._kinds = {
            ArtifactKind.CHECKPOINT: _Kind(left.checkpoints, _checkpoint_limit, _checkpoints_known),
            ArtifactKind.OUTPUTS: _Kind(left.outputs, _outputs_limit, _outputs_known),
        }

    async def find(
        self,
        worker: str,
        unit: str,
        digest: str,
        size: int,
        kind: ArtifactKind = ArtifactKind.CHECKPOINT,
    ) -> Received:
        """See the port."""
        lease, artifacts = self._left_by(worker, unit, size, kind), self._kinds[kind].artifacts
        there = artifacts.size(lease.spec.job, digest)
        if there is not None:
            return Received(there, complete=True)
        return Received(artifacts.received(lease.spec.job, digest), complete=False)

    async def receive(
        self,
        worker: str,
        unit: str,
        digest: str,
        size: int,
        offset: int,
        kind: ArtifactKind = ArtifactKind.CHECKPOINT,
    ) -> ArtifactUpload:
        """See the port."""
        lease, of_kind = self._left_by(worker, unit, size, kind), self._kinds[kind]
        job = self._records.job(lease.spec.job_name)
        # What it sent before and was never noted goes: a worker cannot fill the disk with those.
        of_kind.artifacts.keep_only(lease.spec.job, [*of_kind.known(job, lease), digest])
        return of_kind.artifacts.receive(lease.spec.job, digest, size, offset)

    async def size(self, worker: str, unit: str, digest: str) -> int:
        """See the port."""
        lease = self._records.leases.get(unit)
        wanted = lease is not None and lease.metadata.deletion_timestamp is None
        if lease is None or not wanted or worker not in ("", lease.spec.worker):
            raise ForbiddenError(f"{unit} is not wanted on worker {worker or '?'}")
        if not digest or lease.spec.checkpoint != digest:
            raise ForbiddenError(f"{digest} is not what {unit} begins with", job_id=lease.spec.job)
        size = self._checkpoints.size(lease.spec.job, digest)
        if size is None:
            raise NotFoundError(f"checkpoint {digest} is not here any more", job_id=lease.spec.job)
        return size

    def read(self, unit: str, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """See the port."""
        return self._checkpoints.read(self._records.leases[unit].spec.job, digest, offset=offset)

    def _left_by(self, worker: str, unit: str, size: int, kind: ArtifactKind) -> Lease:
        lease = self._records.leases.get(unit)
        if lease is None:
            raise NotFoundError(f"{unit} is over: nothing of it is taken any more")
        if worker not in ("", lease.spec.worker):
            raise ForbiddenError(f"{unit} is not on worker {worker}", job_id=lease.spec.job)
        most, by = self._kinds[kind].limit(lease)
        if not 0 < size <= most:
            raise ValidationError(
                f"{size} bytes are announced, expected at most {most} by {by}",
                job_id=lease.spec.job,
            )
        return lease


@dataclass(frozen=True, slots=True)
class _Kind:
    """limit: bytes that the archive of a lease's attempt may have, and what says so; known: digests
    that its job, where there is one, and the lease still name.
    """

    artifacts: Artifacts
    limit: Callable[[Lease], tuple[int, str]]
    known: Callable[[Job | None, Lease], list[str]]


def _checkpoint_limit(lease: Lease) -> tuple[int, str]:
    size = lease.spec.checkpoint_size
    return (archive_limit(size) if size else 0), "checkpoint.size"


def _outputs_limit(lease: Lease) -> tuple[int, str]:
    size = lease.spec.outputs_size
    return (archive_limit(size) if size else 0), "outputs.size"


def _checkpoints_known(job: Job | None, lease: Lease) -> list[str]:
    known = [] if job is None else [kept.digest for kept in job.status.checkpoints]
    seen = lease.status.checkpoint
    return [*known, lease.spec.checkpoint, seen.digest if seen else ""]


def _outputs_known(job: Job | None, lease: Lease) -> list[str]:
    known = [] if job is None else [kept.digest for kept in job.status.outputs]
    seen = lease.status.outputs
    return [*known, seen.digest if seen else ""]
