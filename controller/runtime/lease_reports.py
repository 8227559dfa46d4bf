"""What an agent's report says of leases, and what it does not. Pure but for the log line.

Called by `agents.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from loguru import logger

from ...api.frames import LeaseReport, NodeReport
from ...crd_like_specs.errors import Problem, ValidationError
from ...crd_like_specs.lease import RESTARTED, Lease, LeaseState, LeaseStatus
from ...crd_like_specs.worker import UNITS_KNOWN
from .lease_clock import ENDS

MESSAGE_CHARS: Final = 4096
"""Of a lease's message; a longer one is cut."""

MOST: Final = 64
"""Variables, mounts and partitions that one lease may come with."""

LEASE_CHARS: Final = 64 << 10
"""Of all that an agent says of one lease, beside its message."""

WORKER_CHARS: Final = 1 << 20
"""Of all that it says of its worker, labels included."""

_RANK: Final = {state: rank for rank, state in enumerate(LeaseState)}


def observed(
    lease: Lease, seen: LeaseStatus | None, mark: Callable[[float], str], now: float
) -> Lease:
    """The lease with what its worker says of it; as it was where that tells nothing new.

    seen: None where it is not held there. mark: see `Clock.mark`; now: POSIX seconds.
    """
    old = lease.status
    if seen is None:
        if lease.metadata.deletion_timestamp is None:
            return lease  # not created there yet
        seen = old.model_copy(update={"state": LeaseState.ENDED})
    elif _RANK[seen.state] < _RANK[old.state]:
        return lease  # a restarted agent is on its way to where this lease was
    meta = lease.metadata
    if seen.expires_at and ENDS not in meta.annotations:
        # It is held since now at the latest, whatever its worker's clock says.
        ends = mark(now + lease.spec.duration)
        meta = meta.model_copy(update={"annotations": {**meta.annotations, ENDS: ends}})
    return lease.model_copy(update={"metadata": meta, "status": seen})


def bounded(report: NodeReport) -> NodeReport:
    """The report as it may be stored, long messages cut: records are kept and sent to every watcher.

    ValidationError where it holds more than any agent has to say.
    """
    size = len(report.status.model_dump_json())
    size += sum(len(key) + len(value) for key, value in report.labels.items())
    problems = _too_much("status and labels", size, WORKER_CHARS)
    leases = []
    for lease in report.leases:
        seen = lease.status
        if len(seen.message) > MESSAGE_CHARS:
            cut = f"{seen.message[: MESSAGE_CHARS - 1]}…"
            seen = seen.model_copy(update={"message": cut})
        where = f"leases.{lease.name[:64]}"
        for name in ("env", "mounts", "partition_ids"):
            problems += _too_much(f"{where}.{name}", len(getattr(seen, name)), MOST, "entries")
        chars = len(seen.model_dump_json(exclude={"message"}))
        problems += _too_much(where, chars, LEASE_CHARS)
        leases.append(LeaseReport(lease.name, seen))
    if problems:
        raise ValidationError(problems)
    return replace(report, leases=tuple(leases))


def _too_much(path: str, size: int, most: int, what: str = "characters") -> list[Problem]:
    if size <= most:
        return []
    return [Problem(f"{size} {what} are reported, expected at most {most}", path)]


def log_lease(old: LeaseStatus, new: Lease) -> None:
    """A line for a lease that came to another state."""
    spec, seen = new.spec, new.status
    log = logger.bind(
        job_id=spec.job,
        job=spec.job_name,
        attempt=spec.attempt,
        worker=spec.worker,
        reason=seen.reason,
        detail=seen.message,
    )
    log.info("lease {} -> {}", old.state.value, seen.state.value)


def has_looked(report: NodeReport) -> bool:
    """Whether the agent knows what runs there; if not, what it does not list may be there."""
    looked = report.status.condition(UNITS_KNOWN)
    return looked is None or looked.status


def of_former_boot(lease: Lease) -> LeaseStatus | None:
    """Of a lease that was held before its machine was started anew, and is not known there now."""
    if lease.status.state not in (LeaseState.HELD, LeaseState.ENDING):
        return None
    words = "its machine was started anew"
    changes = {"state": LeaseState.ENDED, "reason": RESTARTED, "message": words}
    return lease.status.model_copy(update=changes)
