"""The table of jobs: one row each, in the order in which they matter. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ....crd_like_specs.job import Job, Phase
from ....crd_like_specs.units import format_seconds
from .words import BUSY, because, share, state, tone

_MOST = 10_000_000_000.0  # later than any time that is shown


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job. group: busy, wait or ended; sort: rows stand in its order; start, end: of the bar
    that shows how much of the lease has passed, 0.0 where there is none; since: the moment that its
    age counts from.
    """

    id: str
    sort: str
    name: str
    owner: str
    group: str
    phase: str
    tone: str
    note: str
    attempt: int
    place: str
    share: str
    duration: str
    since: float
    start: float
    end: float
    took: str


def job_row(job: Job) -> JobRow:
    """The row of a job."""
    meta, status = job.metadata, job.status
    group = _group(status.phase)
    running = status.phase is Phase.RUNNING
    took = status.finished_at - status.started_at if status.phase.terminal else 0.0
    return JobRow(
        id=f"job-{meta.name}",
        sort=_sort(job, group),
        name=meta.name,
        owner=meta.owner,
        group=group,
        phase=state(job),
        tone=tone(status.phase.value),
        note=because(status.reason, status.message),
        attempt=status.attempt,
        place=_place(job),
        share=share(job.spec),
        duration=format_seconds(job.lasting.duration),
        since=status.finished_at or status.started_at or status.submitted_at,
        start=status.started_at if running else 0.0,
        end=status.expires_at if running else 0.0,
        took=format_seconds(round(took)) if status.started_at and took > 0 else "",
    )


def _group(phase: Phase) -> str:
    if phase.terminal:
        return "ended"
    return "busy" if phase in BUSY else "wait"


def _place(job: Job) -> str:
    """`gpu-1:0,1`: the worker and its devices."""
    status = job.status
    devices = ",".join(str(index) for index in status.devices)
    return f"{status.worker}:{devices}" if status.worker and devices else status.worker


def _sort(job: Job, group: str) -> str:
    """Busy ones the oldest first, then the queue as it is, then what ended, the newest first."""
    status, name = job.status, job.metadata.name
    if group == "busy":
        return f"0 {status.submitted_at:017.3f} {name}"
    if group == "wait":
        return f"1 {1000 - job.spec.priority:04d} {status.submitted_at:017.3f} {name}"
    return f"2 {_MOST - status.finished_at:017.3f} {name}"
