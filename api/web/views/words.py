"""Small words that several views use. Pure."""

from __future__ import annotations

from typing import Final

from ....crd_like_specs.job import Job, JobSpec, Phase
from ....crd_like_specs.units import format_fraction

BUSY: Final = (Phase.LEASING, Phase.STARTING, Phase.RUNNING)

_TONES: Final = {
    Phase.PENDING.value: "wait",
    Phase.LEASING.value: "start",
    Phase.STARTING.value: "start",
    Phase.RUNNING.value: "run",
    Phase.SUCCEEDED.value: "good",
    Phase.FAILED.value: "bad",
    Phase.TIMED_OUT.value: "late",
}


def tone(phase: str) -> str:
    """The class of colours for a phase: wait, start, run, good, bad, late, or off."""
    return _TONES.get(phase, "off")


def state(job: Job) -> str:
    """The phase, or what is being done to the job, as `cumulusctl get jobs` says it."""
    if not job.status.phase.terminal:
        if job.metadata.deletion_timestamp is not None:
            return "Deleting"
        if job.metadata.cancellation_timestamp is not None:
            return "Cancelling"
        if job.spec.suspend:
            return "Suspended"
    return job.status.phase.value


def share(spec: JobSpec) -> str:
    """`0.5`, `2 x 0.5`, or "" for a job without GPU."""
    if spec.gpu is None:
        return ""
    part = f"{format_fraction(spec.gpu.memory):g}"
    return part if spec.gpu.count == 1 else f"{spec.gpu.count} x {part}"


def because(reason: str, message: str) -> str:
    """`Reason: message`, or whichever there is."""
    return ": ".join(part for part in (reason, message) if part)


def percent(part: int, whole: int) -> int:
    """Rounded; 0 of nothing."""
    return round(100 * part / whole) if whole else 0
