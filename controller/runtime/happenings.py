"""What is worth an event: changes of jobs, leases and workers, in words. Pure.

Called by whoever has just written the change down; `events.py` keeps what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ...api.happened import Happened
from ...crd_like_specs.instants import show_instant
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import DISCONNECTED, EXPIRED, RESTARTED, Lease, LeaseState
from ...crd_like_specs.units import format_fraction, format_seconds
from ...crd_like_specs.worker import Worker
from .readiness import READY

MESSAGE_CHARS: Final = 500
"""Of an event's message; a longer one is cut."""

_ENDS: Final = {
    Phase.SUCCEEDED: "Succeeded",
    Phase.FAILED: "Failed",
    Phase.TIMED_OUT: "TimedOut",
    Phase.CANCELLED: "Cancelled",
}
_BAD: Final = frozenset({Phase.FAILED, Phase.TIMED_OUT})
_STEPS: Final = {Phase.LEASING: "Placed", Phase.STARTING: "Starting", Phase.RUNNING: "Running"}
_WAITS: Final = frozenset({"WaitingForRoom", "NoWorkers", "OverQuota"})
_LEASES: Final = {
    LeaseState.HELD: "LeaseHeld",
    LeaseState.ENDING: "LeaseEnding",
    LeaseState.ENDED: "LeaseEnded",
    LeaseState.FAILED: "LeaseFailed",
}
_LEASE_WARNINGS: Final = frozenset({EXPIRED, DISCONNECTED, RESTARTED})


def of_status(old: Job, new: Job) -> Iterator[Happened]:
    """A status was written over another."""
    was, now = old.status, new.status
    if now.attempt > 1 and now.attempt > was.attempt and now.attempts != was.attempts:
        yield of_job(new, "Retrying", now.message or now.reason, warning=True)
    if now.phase is not was.phase and now.phase is not Phase.PENDING:
        yield _turned(new)
    elif now.reason != was.reason and now.reason in _WAITS:
        yield of_job(new, "Waiting", now.message)
    elif now.reason == "Suspended" != was.reason:
        yield of_job(new, "Suspended", now.message)
    if now.stopping and not was.stopping:
        yield of_job(new, "Stopping", f"is being stopped: {now.stopping}")


def _turned(job: Job) -> Happened:
    """It came to the phase that it is in."""
    status = job.status
    if status.phase in _STEPS:
        return of_job(job, _STEPS[status.phase], _step(job))
    text = status.message or status.reason
    if status.phase is Phase.SUCCEEDED and status.started_at:
        ran = max(0, round(status.finished_at - status.started_at))
        text = f"ran {format_seconds(ran)}"
    return of_job(job, _ENDS[status.phase], text, warning=status.phase in _BAD)


def of_job(
    job: Job, type_: str, message: str = "", *, warning: bool = False, by: str = ""
) -> Happened:
    """Something happened to a job, or somebody asked for it."""
    return Happened(
        type=type_,
        kind="Job",
        name=job.metadata.name,
        message=_cut(message),
        warning=warning,
        uid=job.metadata.uid,
        attempt=job.status.attempt,
        worker=job.status.worker,
        by=by,
        owner=job.metadata.owner,
    )


def of_lease(old: Lease, new: Lease) -> Iterator[Happened]:
    """A lease's state may be another one now."""
    seen, spec = new.status, new.spec
    type_ = _LEASES.get(seen.state)
    if type_ is None or seen.state is old.status.state:
        return
    words = ": ".join(part for part in (seen.reason, seen.message) if part)
    if seen.state is LeaseState.HELD:
        words = f"{_share(new)} until {show_instant(seen.expires_at)}"
    bad = seen.state is LeaseState.FAILED or (
        seen.state is LeaseState.ENDING and seen.reason in _LEASE_WARNINGS
    )
    yield Happened(
        type=type_,
        kind="Lease",
        name=spec.job_name,
        message=_cut(words),
        warning=bad,
        uid=spec.job,
        attempt=spec.attempt,
        worker=spec.worker,
        owner=new.metadata.owner,
    )


def of_worker(
    name: str, type_: str, message: str = "", *, by: str = "", warning: bool = False
) -> Happened:
    """Something happened to a worker, or somebody asked for it."""
    return Happened(type_, "Worker", name, _cut(message), warning, worker=name, by=by)


@dataclass(frozen=True, slots=True)
class _Known:
    ready: bool | None
    reason: str


class WorkersSeen:
    """Which workers there were, and whether they took jobs, as last told."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self._workers = workers
        self._known = {name: _known(worker) for name, worker in workers.items()}

    def changed(self, name: str) -> Iterator[Happened]:
        """The worker's record is another one now, or gone."""
        worker, old = self._workers.get(name), self._known.get(name)
        if worker is None:
            if self._known.pop(name, None) is not None:
                yield of_worker(name, "WorkerRemoved")
            return
        now = self._known[name] = _known(worker)
        if old is None:
            count = len(worker.status.devices)
            yield of_worker(name, "WorkerJoined", f"with {count} device(s)")
        if old == now or now.ready is None:
            return
        condition = worker.status.condition(READY)
        text = condition.message if condition is not None else ""
        if now.ready:
            yield of_worker(name, "WorkerReady", "takes jobs")
        else:
            yield of_worker(name, "WorkerLost", text or now.reason, warning=True)


def _known(worker: Worker) -> _Known:
    condition = worker.status.condition(READY)
    if condition is None:
        return _Known(None, "")
    return _Known(condition.status, condition.reason)


def _step(job: Job) -> str:
    status = job.status
    if status.phase is Phase.LEASING:
        gpu = job.spec.gpu
        if gpu is None:
            return f"on {status.worker}"
        devices = ",".join(map(str, status.devices))
        return f"on {status.worker}, {format_fraction(gpu.memory):g} of device {devices}"
    return f"on {status.worker}" if status.worker else ""


def _share(lease: Lease) -> str:
    spec = lease.spec
    if not spec.devices:
        return f"on {spec.worker}"
    devices = ",".join(map(str, spec.devices))
    return f"{format_fraction(spec.memory_milli):g} of device {devices} on {spec.worker}"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MESSAGE_CHARS else f"{flat[: MESSAGE_CHARS - 1]}…"
