"""One job in full, for the panel beside the page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ....crd_like_specs.job import Attempt, Job, JobSpec, WorkerReason
from ....crd_like_specs.meta import Condition
from ....crd_like_specs.units import format_bytes, format_cpus, format_seconds, show_bytes
from ...frames import Why
from ...happened import Happened
from ...outputs import Output
from .words import because, share, state, tone

Facts = tuple[tuple[str, str], ...]

OUTPUTS: Final = 50
"""Shown at most; the rest is for `cumulusctl outputs`."""


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One file that a job left. size: for people; url: of its download."""

    path: str
    role: str
    size: str
    attempt: int
    url: str


@dataclass(frozen=True, slots=True)
class JobDetail:
    """why: in the words of `cumulusctl why`; reasons: the table under it; waits: whether that is
    the question. times: name and moment, those that are known; events: the newest first; outputs: of
    the newest attempt that left any, the first ones, and how many there are beyond.
    """

    name: str
    uid: str
    phase: str
    tone: str
    waits: bool
    why: str
    reasons: tuple[WorkerReason, ...]
    attempt: int
    facts: Facts
    times: tuple[tuple[str, float], ...]
    start: float
    end: float
    labels: Facts
    attempts: tuple[tuple[Attempt, str, str], ...]
    conditions: tuple[Condition, ...]
    events: tuple[Happened, ...] = ()
    outputs: tuple[OutputRow, ...] = ()
    more_outputs: int = 0


def job_detail(
    answer: Why, events: Sequence[Happened] = (), outputs: Sequence[Output] = ()
) -> JobDetail:
    """Everything about a job, with why it is where it is, what happened, oldest first, and what it
    left.
    """
    job = answer.job
    meta, status = job.metadata, job.status
    live = not status.phase.terminal
    return JobDetail(
        name=meta.name,
        uid=meta.uid,
        phase=state(job),
        tone=tone(status.phase.value),
        waits=live and status.phase.rank == 0,
        why=answer.summary,
        reasons=answer.workers,
        attempt=max(1, status.attempt),
        facts=tuple(_facts(job)),
        times=tuple(_times(job)),
        start=status.started_at if live else 0.0,
        end=status.expires_at if live else 0.0,
        labels=tuple(sorted(meta.labels.items())),
        attempts=tuple(
            (one, because(one.reason, one.message), _ran(one)) for one in status.attempts
        ),
        conditions=status.conditions,
        events=tuple(reversed(events)),
        outputs=tuple(map(_output, outputs[:OUTPUTS])),
        more_outputs=max(0, len(outputs) - OUTPUTS),
    )


def _output(one: Output) -> OutputRow:
    url = f"/ui/job/{one.job}/outputs/{one.attempt}/{quote(one.path)}"
    return OutputRow(one.path, one.role.value, show_bytes(one.size), one.attempt, url)


def _facts(job: Job) -> list[tuple[str, str]]:
    spec, status = job.spec, job.status
    retries = ", ".join(cause.value for cause in spec.retry.on)
    devices = ", ".join(str(index) for index in status.devices)
    found = [
        ("Runs", _what(spec)),
        ("Worker", status.worker),
        ("Devices", devices),
        ("GPU", _gpu(spec)),
        ("Resources", _resources(spec)),
        ("Duration", format_seconds(job.lasting.duration)),
        ("Network", spec.network),
        ("Retries", f"{spec.retry.limit} on {retries}" if spec.retry.limit else ""),
        ("Priority", str(spec.priority) if spec.priority else ""),
        ("Exit code", "" if status.exit_code is None else str(status.exit_code)),
        ("Owner", job.metadata.owner),
        ("Generation", str(job.metadata.generation)),
    ]
    return [(name, value) for name, value in found if value]


def _times(job: Job) -> list[tuple[str, float]]:
    status = job.status
    live = not status.phase.terminal
    found = [
        ("Submitted", status.submitted_at),
        ("Started", status.started_at),
        ("Finished", status.finished_at),
        ("Lease ends", status.expires_at if live else 0.0),
        ("Next attempt", status.retry_at if live else 0.0),
    ]
    return [(name, moment) for name, moment in found if moment]


def _what(spec: JobSpec) -> str:
    if spec.image is not None:
        return " ".join([spec.image, *spec.command])
    assert spec.code is not None
    return f"code {spec.code.digest or ''}".strip()


def _gpu(spec: JobSpec) -> str:
    if spec.gpu is None:
        return ""
    kind = f" of type {spec.gpu.type}" if spec.gpu.type else ""
    return f"{share(spec)} of a device{kind}"


def _resources(spec: JobSpec) -> str:
    limits = spec.resources
    return (
        f"{format_cpus(limits.cpus)} cpus, {format_bytes(limits.memory)} memory, "
        f"{limits.pids} processes"
    )


def _ran(one: Attempt) -> str:
    took = one.finished_at - one.started_at
    return format_seconds(round(took)) if one.started_at and one.finished_at else ""
