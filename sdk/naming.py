"""How the client names what it speaks of to the server. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ..crd_like_specs.job import Job


@runtime_checkable
class Held(Protocol):
    """A handle: see handle.py."""

    job_id: str


def name_of(job: Job | Held | str) -> str:
    """The uid where it is known, else the name."""
    if isinstance(job, str):
        return job
    if isinstance(job, Held):
        return job.job_id
    return job.metadata.uid or job.metadata.name
