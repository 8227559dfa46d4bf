"""How the client names what it speaks of to the server. PURE."""

from __future__ import annotations

from ..crd_like_specs.job import Job


def name_of(job: Job | str) -> str:
    """The uid of a job that has one, else its name; text is taken as it is."""
    return job if isinstance(job, str) else job.metadata.uid or job.metadata.name
