"""Which worker may read which dataset. Implements `api.ports.GivenPort`; on the event loop.

A worker reads what a lease names that is wanted on it: its job was submitted by somebody who has
the dataset, and the record of the job says which one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ...crd_like_specs.errors import ForbiddenError, NotFoundError
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from .records import Records


class DatasetBytes(Protocol):
    """The bytes of all datasets, by digest."""

    def size(self, digest: str) -> int | None:
        """How many, or None where it is not here, whole."""

    def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """From an offset on, in pieces of at most 1 MiB."""


class DatasetGate:
    """See the module docstring."""

    def __init__(self, records: Records, held: DatasetBytes) -> None:
        self._records = records
        self._held = held

    async def size(self, worker: str, unit: str, digest: str) -> int:
        """See the port."""
        lease = self._records.leases.get(unit)
        wanted = lease is not None and lease.metadata.deletion_timestamp is None
        if lease is None or not wanted or worker not in ("", lease.spec.worker):
            raise ForbiddenError(f"{unit} is not wanted on worker {worker or '?'}")
        if digest not in _read_by(self._job_of(lease)):
            raise ForbiddenError(f"{unit} reads no dataset {digest}", job_id=lease.spec.job)
        size = self._held.size(digest)
        if size is None:
            raise NotFoundError(f"dataset {digest} is not here any more", job_id=lease.spec.job)
        return size

    def read(self, unit: str, digest: str, *, offset: int) -> AsyncIterator[bytes]:  # noqa: ARG002 (asked of `size`)
        """See the port."""
        return self._held.read(digest, offset=offset)

    def _job_of(self, lease: Lease) -> Job | None:
        job = self._records.job(lease.spec.job_name)
        return job if job is not None and job.metadata.uid == lease.spec.job else None


def _read_by(job: Job | None) -> frozenset[str]:
    """Digests of the datasets that the job reads."""
    return (
        frozenset(mount.digest for mount in job.spec.datasets if mount.digest)
        if job
        else frozenset()
    )
