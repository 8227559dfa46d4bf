"""Rules for an attempt that has, or had, a service: follow it, stop it, end it. Pure."""

from __future__ import annotations

from typing import Final

from ...crd_like_specs import checkpoint, outputs
from ...crd_like_specs.identity import NETWORK_EGRESS_CONFIG, NETWORK_ISOLATED_CONFIG
from ...crd_like_specs.job import GRACE_SECONDS, Cause, Phase
from ...crd_like_specs.lease import DISCONNECTED, EXPIRED, LeaseState, LeaseStatus
from . import share_words
from .actions import CollectLogs, Plan, PutLease, RemoveService
from .case import DRAINED, SUSPENDED, Case
from .observed import ServiceSeen, ServiceState
from .rules_lost import by_worker, ended_by_worker, silence, without_output
from .timing import (
    CLOCK_SLACK,
    CLOCKS_AGREE,
    LOGS_CEILING,
    LOGS_MOMENT,
    LOGS_PATIENCE,
    OVERRUN_PATIENCE,
    START_PATIENCE,
    STOP_PATIENCE,
    UNSTARTED_RETRY,
    earliest,
)

LAST_SIGNAL: Final = 64

_TOO_LARGE: Final = (checkpoint.TOO_LARGE, outputs.TOO_LARGE)

JOB_NETWORKS: Final = (NETWORK_ISOLATED_CONFIG, NETWORK_EGRESS_CONFIG)
UNPREPARED: Final = "WorkerUnprepared"
"""A node without its networks: its engine was started anew, and its agent is about to make them."""

MOST_UNPREPARED: Final = 10
"""Attempts that may find a node so, some seconds apart: then it is none that will be prepared."""


def note_service(case: Case) -> Plan | None:
    """A service there was must be on record before anything is done about it: an attempt that
    had one never gets another.
    """
    if case.service is None or case.status.phase.rank > Phase.LEASING.rank:
        return None
    return case.wait("note-service", case.now, phase=Phase.STARTING, expires_at=_lease_end(case))


def vanished(case: Case) -> Plan | None:
    """It had a service and has none: someone removed it, or the platform forgot it."""
    if case.service is not None or case.status.phase.rank <= Phase.LEASING.rank:
        return None
    if case.stopping:
        return case.stopped(case.stopping)
    if _lease_over(case):
        return _timed_out(case)
    if case.lease is not None and case.disconnected(case.lease):
        return ended_by_worker(case, DISCONNECTED)
    return case.end(
        "vanished",
        Phase.FAILED,
        cause=Cause.WORKER_LOST,
        reason="ServiceVanished",
        message="the service disappeared from the platform",
    )


def ended(case: Case) -> Plan | None:
    """The process is over: once its logs are safe, its result decides."""
    service = case.service
    if service is None or not service.state.ended:
        return None
    if service.state is ServiceState.REJECTED:
        return _rejected(case, service)
    waiting = _await_logs(case, service)
    if waiting is not None:
        return waiting
    reason = case.stopping
    if reason and not _finished_before_stop(case, service) and not _done_anyway(case, reason):
        return case.stopped(reason)
    if service.state is ServiceState.FAILED and _ended_with_lease(case, service):
        return _timed_out(case)
    if service.state is ServiceState.FAILED and _too_large(case):
        return _ended_for_size(case)
    lost = by_worker(case, service) if service.state is ServiceState.FAILED else ""
    return ended_by_worker(case, lost) if lost else _own_end(case, service)


def stop(case: Case) -> Plan | None:
    """Cancelled, deleted, suspended or superseded: the agent stops it, else the platform."""
    service, lease, reason = case.service, case.lease, case.stopping
    if service is None or not reason:
        return None
    if not case.status.stopping:  # on record before anything is done: it is carried through
        return case.wait("stopping", case.now, stopping=reason, reason=reason)
    if lease is None or not case.in_contact(lease) or service.state is ServiceState.PENDING:
        return case.act("stop", (RemoveService(service.name),))
    if not lease.spec.revoked:
        notice, grace = _time_given(case, reason)
        told = {"revoked": reason, "grace": grace, "notice": notice}
        revoked = lease.model_copy(update={"spec": lease.spec.model_copy(update=told)})
        patience = case.now + notice + grace + STOP_PATIENCE
        return case.act("stop", (PutLease(revoked),), patience, stop_by=patience)
    if _ended_for_good(case) and lease.spec.notice + lease.spec.grace > GRACE_SECONDS:
        told = {"grace": GRACE_SECONDS, "notice": 0.0}  # to save what nothing goes on from
        hurried = lease.model_copy(update={"spec": lease.spec.model_copy(update=told)})
        patience = case.now + GRACE_SECONDS + STOP_PATIENCE
        return case.act("hurry", (PutLease(hurried),), patience, stop_by=patience)
    left = case.status.stop_by - case.now
    most = lease.spec.notice + lease.spec.grace + STOP_PATIENCE
    if left <= 0 or left > most:  # the latter by a clock that was set back
        return case.act("stop-overdue", (RemoveService(service.name),))
    return case.wait("stop", case.status.stop_by)


def _ended_for_good(case: Case) -> bool:
    """What began as a pause, or a drain, is a cancel by now, or another spec came."""
    return case.stop_reason not in ("", SUSPENDED, DRAINED)


def _time_given(case: Case, reason: str) -> tuple[float, float]:
    """Seconds from the warning to SIGTERM, and from there to SIGKILL. A job that is to go on later
    is given its time to save: before SIGTERM where it can be warned, else after it.
    """
    kept = case.job.spec.checkpoint
    if reason not in (SUSPENDED, DRAINED) or not kept.size:
        return 0.0, GRACE_SECONDS
    if case.job.spec.code is None:
        return 0.0, max(GRACE_SECONDS, float(kept.grace))
    return float(kept.grace), GRACE_SECONDS


def overdue(case: Case) -> Plan | None:
    """The lease is over and the service still isn't: the agent should have ended it."""
    service, due, lease = case.service, _due(case), case.lease
    if service is None or due is None or case.now < due + OVERRUN_PATIENCE:
        return None
    if service.state is ServiceState.LOST:
        return None  # its node is out of reach: `lost` waits for the agent's own enforcement
    seen_again = case.seen.since.get(service.name, 0.0) + OVERRUN_PATIENCE
    if case.now < seen_again:  # its node is back: what became of it there is told in a moment
        return case.wait("seen-again", seen_again)
    remove = RemoveService(service.name)
    told = case.seen.logs.complete or (lease is not None and case.in_contact(lease))
    asked_since = max(due + OVERRUN_PATIENCE, seen_again)
    if told or case.now >= asked_since + LOGS_MOMENT:
        return case.act("overdue", (remove,))
    return case.act("overdue", (CollectLogs(service.name),))  # they go with the service


def follow(case: Case) -> Plan | None:
    """It starts or runs: note which, and look again when its lease ends."""
    service = case.service
    if service is None:
        return None
    end, due = _lease_end(case), _due(case)
    wake = due + OVERRUN_PATIENCE if due is not None else None
    if service.state is ServiceState.PENDING and case.status.phase is Phase.RUNNING:
        return case.wait("running", wake)  # an older listing; what was seen running was
    if service.state is ServiceState.PENDING:
        by = _held_at(case) + START_PATIENCE
        if case.now >= by:
            return case.end(
                "never-started",
                Phase.FAILED,
                cause=Cause.REJECTED,
                reason="NotStarted",
                message=service.message or "the platform did not start it",
            )
        return case.wait(
            "starting",
            earliest(by, wake),
            phase=Phase.STARTING,
            message=service.message,
            expires_at=end,
        )
    return case.wait(
        "running",
        wake,
        phase=Phase.RUNNING,
        **(silence(case) or _said(case)),
        started_at=case.status.started_at or service.started_at or case.now,
        expires_at=end,
    )


def _said(case: Case) -> dict[str, str]:
    """What its agent says of an attempt that runs, such as why its checkpoint is not kept."""
    lease = case.lease
    held = lease is not None and lease.status.state is LeaseState.HELD
    return {"reason": "", "message": lease.status.message if lease is not None and held else ""}


def _lease_end(case: Case) -> float:
    """When the lease ends by its worker's clock, POSIX seconds; 0.0 where it was never held."""
    return (case.lease.status.expires_at if case.lease else 0.0) or case.status.expires_at


def _due(case: Case) -> float | None:
    """When the service should be over by our clock; None where its lease was never held."""
    if case.lease is None:
        return case.status.expires_at or None
    return case.due_at(case.lease)


def _held_at(case: Case) -> float:
    """Since when the lease is held, by our clock."""
    lease = case.lease
    ends = case.times(lease).ends if lease else 0.0
    return ends - lease.spec.duration if lease and ends else case.now


def _lease_over(case: Case) -> bool:
    ends = case.times(case.lease).ends if case.lease else case.status.expires_at
    return bool(ends) and case.now >= ends


def _await_logs(case: Case, service: ServiceSeen) -> Plan | None:
    """None once every line is safe, or once no more will come."""
    if case.seen.logs.complete:
        return None
    since = case.seen.since.get(service.name) or service.finished_at or case.now
    waited = case.now - since
    if waited >= 2 * LOGS_CEILING:  # not even the end of what is there could be written down
        return None
    until = _agent_awaited(case, since)
    if case.now < until:
        return case.wait("await-logs", until)
    collect = CollectLogs(service.name, last=waited >= LOGS_CEILING)
    return case.act("collect-logs", (collect,))


def _agent_awaited(case: Case, since: float) -> float:
    """Until when its agent is given time to bring the rest of the output. One that was heard just
    now is about to be back: after a restart of the controller none is there yet, and what the
    platform gives meanwhile may be less than the agent has.
    """
    worker = case.worker(case.lease) if case.lease is not None else None
    if worker is None:
        return since
    until = since + LOGS_PATIENCE
    return until if worker.contact else min(until, worker.heard_at + LOGS_PATIENCE)


def _finished_before_stop(case: Case, service: ServiceSeen) -> bool:
    """True where it ended by itself, before anyone could have stopped it."""
    revoked = case.lease is not None and bool(case.lease.spec.revoked)
    at, seen_at = service.finished_at, case.seen.since.get(service.name)
    if seen_at is not None and abs(at - seen_at) > CLOCKS_AGREE:
        at = seen_at  # its engine's clock is not ours
    return not revoked or (0 < at < case.stop_since)


def _done_anyway(case: Case, reason: str) -> bool:
    """True where it was to go on later, but its result came before it was killed."""
    result = case.seen.logs.result
    return reason in (DRAINED, SUSPENDED) and result is not None and result.ok


def _ended_with_lease(case: Case, service: ServiceSeen) -> bool:
    end, lease = _lease_end(case), case.lease
    if not end:
        return False
    ends = case.times(lease).ends if lease else end
    seen_at = case.seen.since.get(service.name)
    state = lease.status.state if lease is not None else LeaseState.PENDING
    over = state is LeaseState.ENDING or state.freed
    if service.finished_at and (seen_at is None or _clocks_agree(service, seen_at, end, ends)):
        return service.finished_at >= end - CLOCK_SLACK
    if seen_at is not None:
        said = over and lease is not None and lease.status.reason == EXPIRED
        return seen_at >= ends - (CLOCKS_AGREE if said else CLOCK_SLACK)
    return over or case.now >= end


def _clocks_agree(service: ServiceSeen, seen_at: float, end: float, ends: float) -> bool:
    """Whether what the worker's clock said of the lease, and its engine's of the service, can be
    compared: neither is far from ours.
    """
    return abs(ends - end) < CLOCKS_AGREE and service.finished_at < seen_at + CLOCKS_AGREE


def _timed_out(case: Case) -> Plan:
    return case.end(
        "timed-out",
        Phase.TIMED_OUT,
        cause=Cause.TIMED_OUT,
        reason="DurationExceeded",
        message=f"exceeded its duration of {case.job.lasting.duration} s and was killed",
    )


def _too_large(case: Case) -> bool:
    return case.lease is not None and case.lease.status.reason in _TOO_LARGE


def _ended_for_size(case: Case) -> Plan:
    seen = case.lease.status if case.lease is not None else LeaseStatus()
    return case.end(
        "too-much-kept",
        Phase.FAILED,
        cause=Cause.ERROR,
        reason=seen.reason,
        message=seen.message,
    )


def _rejected(case: Case, service: ServiceSeen) -> Plan:
    message = service.message
    tried = sum(attempt.reason == UNPREPARED for attempt in case.status.attempts)
    if tried < MOST_UNPREPARED and any(name in message for name in JOB_NETWORKS):
        return case.unstarted("unprepared", UNPREPARED, message, UNSTARTED_RETRY)
    missing = "no such image" in service.message.lower()
    return case.end(
        "rejected",
        Phase.FAILED,
        cause=Cause.REJECTED,
        reason="ImageMissing" if missing else "Rejected",
        message=service.message or "the platform would not start it",
    )


def _own_end(case: Case, service: ServiceSeen) -> Plan:
    result, code = case.seen.logs.result, service.exit_code
    if service.state is ServiceState.COMPLETE:
        if case.job.spec.code is None or (result is not None and result.ok):
            return case.end("succeeded", Phase.SUCCEEDED)
        if result is None:
            return without_output(case, service) or case.end(
                "no-result",
                Phase.FAILED,
                cause=Cause.ERROR,
                reason="NoResult",
                message="ended with exit code 0 but without a result",
            )
    if service.out_of_memory:
        return case.end(
            "out-of-memory",
            Phase.FAILED,
            cause=Cause.OUT_OF_MEMORY,
            reason="OutOfMemory",
            message=f"used more than its memory limit and was killed (exit code {code})",
        )
    devices = case.devices
    crash = share_words.crashed(case.lease, devices, code)
    if result is not None and not result.ok:
        refused = share_words.refused(case.lease, devices, result)
        return case.end(
            "failed",
            Phase.FAILED,
            cause=Cause.ERROR,
            reason=share_words.EXCEEDED if refused else result.error_type or "Error",
            message=refused or crash or result.error,
        )
    number = code - 128 if code is not None else 0
    signalled = 0 < number <= LAST_SIGNAL
    reason = "Signalled" if signalled else "ExitCode"
    text = f"killed by signal {number}" if signalled else f"exit code {code}"
    return case.end(
        "failed",
        Phase.FAILED,
        cause=Cause.ERROR,
        reason=reason,
        message=service.message or crash or text,
    )
