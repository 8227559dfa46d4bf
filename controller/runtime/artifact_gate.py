"""Which worker may bring or fetch what an attempt leaves. Implements `api.ports.ArtifactsPort`.

A worker may bring what an attempt left whose lease is on record as its own: also after the lease
was given back, until its record is gone, since by then the next attempt may have begun without it.
It may fetch what a lease that is wanted on it names. Everything here runs on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...api.frames import Received
from ...crd_like_specs.checkpoint import archive_limit
from ...crd_like_specs.errors import ForbiddenError, NotFoundError, ValidationError
from ...crd_like_specs.lease import Lease
from .artifacts import Artifacts, ArtifactUpload
from .records import Records


class ArtifactGate:
    """See the module docstring."""

    def __init__(self, records: Records, artifacts: Artifacts) -> None:
        self._records = records
        self._artifacts = artifacts

    async def find(self, worker: str, unit: str, digest: str, size: int) -> Received:
        """See the port."""
        lease = self._left_by(worker, unit, size)
        there = self._artifacts.size(lease.spec.job, digest)
        if there is not None:
            return Received(there, complete=True)
        return Received(self._artifacts.received(lease.spec.job, digest), complete=False)

    async def receive(
        self, worker: str, unit: str, digest: str, size: int, offset: int
    ) -> ArtifactUpload:
        """See the port."""
        lease = self._left_by(worker, unit, size)
        job = self._records.job(lease.spec.job_name)
        known = [] if job is None else [kept.digest for kept in job.status.checkpoints]
        seen = lease.status.checkpoint
        # What it sent before and was never noted goes: a worker cannot fill the disk with those.
        self._artifacts.keep_only(
            lease.spec.job, [*known, lease.spec.checkpoint, digest, seen.digest if seen else ""]
        )
        return self._artifacts.receive(lease.spec.job, digest, size, offset)

    async def size(self, worker: str, unit: str, digest: str) -> int:
        """See the port."""
        lease = self._records.leases.get(unit)
        wanted = lease is not None and lease.metadata.deletion_timestamp is None
        if lease is None or not wanted or worker not in ("", lease.spec.worker):
            raise ForbiddenError(f"{unit} is not wanted on worker {worker or '?'}")
        if not digest or lease.spec.checkpoint != digest:
            raise ForbiddenError(f"{digest} is not what {unit} begins with", job_id=lease.spec.job)
        size = self._artifacts.size(lease.spec.job, digest)
        if size is None:
            raise NotFoundError(f"checkpoint {digest} is not here any more", job_id=lease.spec.job)
        return size

    def read(self, unit: str, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """See the port."""
        return self._artifacts.read(self._records.leases[unit].spec.job, digest, offset=offset)

    def _left_by(self, worker: str, unit: str, size: int) -> Lease:
        lease = self._records.leases.get(unit)
        if lease is None:
            raise NotFoundError(f"{unit} is over: nothing of it is taken any more")
        if worker not in ("", lease.spec.worker):
            raise ForbiddenError(f"{unit} is not on worker {worker}", job_id=lease.spec.job)
        most = archive_limit(lease.spec.checkpoint_size) if lease.spec.checkpoint_size else 0
        if not 0 < size <= most:
            raise ValidationError(
                f"{size} bytes are announced, expected at most {most} by checkpoint.size",
                job_id=lease.spec.job,
            )
        return lease
