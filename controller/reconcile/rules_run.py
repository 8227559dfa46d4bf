"""Rules for an attempt that has, or had, a service: follow it, stop it, end it. Pure."""

from __future__ import annotations

from ...crd_like_specs.job import GRACE_SECONDS, Cause, Phase
from ...crd_like_specs.lease import LeaseState
from . import share_words
from .actions import CollectLogs, Plan, PutLease, RemoveService
from .case import DRAINED, Case
from .observed import ServiceSeen, ServiceState
from .timing import (
    CLOCK_SLACK,
    FORGET_MARGIN,
    LOGS_CEILING,
    LOGS_PATIENCE,
    OVERRUN_PATIENCE,
    START_PATIENCE,
    STOP_PATIENCE,
    earliest,
)


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
        return _stopped(case, case.stopping)
    if _lease_over(case):
        return _timed_out(case)
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
        return _stopped(case, reason)
    if service.state is ServiceState.FAILED and _ended_with_lease(case, service):
        return _timed_out(case)
    return _own_end(case, service)


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
        spec = lease.spec.model_copy(update={"revoked": reason, "grace": GRACE_SECONDS})
        revoked = lease.model_copy(update={"spec": spec})
        patience = case.now + GRACE_SECONDS + STOP_PATIENCE
        return case.act("stop", (PutLease(revoked),), patience, stop_by=patience)
    if case.now >= case.status.stop_by:
        return case.act("stop-overdue", (RemoveService(service.name),))
    return case.wait("stop", case.status.stop_by)


def overdue(case: Case) -> Plan | None:
    """The lease is over and the service still isn't: the agent should have ended it."""
    service, end = case.service, _lease_end(case)
    if service is None or not end or case.now < end + OVERRUN_PATIENCE:
        return None
    if service.state is ServiceState.LOST:
        return None  # its node is out of reach: `lost` waits for the agent's own enforcement
    return case.act("overdue", (RemoveService(service.name),))


def lost(case: Case) -> Plan | None:
    """The node is down. The job is elsewhere only once it can't be running there any more."""
    service, lease = case.service, case.lease
    if service is None or service.state is not ServiceState.LOST:
        return None
    end = _lease_end(case)
    gone = lease is None or lease.status.state is LeaseState.ENDED
    over = end + FORGET_MARGIN if end else case.now
    if not gone and case.now < over:
        return case.wait(
            "lost",
            over,
            reason="WorkerLost",
            message=f"worker {case.status.worker} is down; its agent ends the lease by itself "
            f"in {over - case.now:.0f} s, then the job can go elsewhere",
        )
    return case.end(
        "lost",
        Phase.FAILED,
        cause=Cause.WORKER_LOST,
        reason="WorkerLost",
        message=f"worker {case.status.worker} went down",
    )


def lease_lost(case: Case) -> Plan | None:
    """Its lease is gone or can't be held: nothing may use a device without one."""
    lease = case.lease
    if case.service is None or (lease is not None and lease.status.state is not LeaseState.FAILED):
        return None
    message = lease.status.message if lease else "the lease's record is gone"
    return case.end(
        "lease-lost", Phase.FAILED, cause=Cause.WORKER_LOST, reason="LeaseLost", message=message
    )


def follow(case: Case) -> Plan | None:
    """It starts or runs: note which, and look again when its lease ends."""
    service = case.service
    if service is None:
        return None
    end = _lease_end(case)
    wake = end + OVERRUN_PATIENCE if end else None
    if service.state is ServiceState.PENDING and case.status.phase is Phase.RUNNING:
        return case.wait("running", wake)  # an older listing; what was seen running was
    if service.state is ServiceState.PENDING:
        lease = case.lease
        by = (lease.status.held_at if lease else case.now) + START_PATIENCE
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
        reason="",
        message="",
        started_at=case.status.started_at or service.started_at or case.now,
        expires_at=end,
    )


def _lease_end(case: Case) -> float:
    """When the lease ends, POSIX seconds; 0.0 where it was never held."""
    return (case.lease.status.expires_at if case.lease else 0.0) or case.status.expires_at


def _lease_over(case: Case) -> bool:
    end = _lease_end(case)
    return bool(end) and case.now >= end


def _await_logs(case: Case, service: ServiceSeen) -> Plan | None:
    """None once every line is safe, or once no more will come."""
    if case.seen.logs.complete:
        return None
    since = service.finished_at or case.now
    waited = case.now - since
    if waited >= LOGS_CEILING:
        return None
    reachable = case.lease is not None and case.in_contact(case.lease)
    if reachable and waited < LOGS_PATIENCE:
        return case.wait("await-logs", since + LOGS_PATIENCE)
    return case.act("collect-logs", (CollectLogs(service.name),), since + LOGS_CEILING)


def _finished_before_stop(case: Case, service: ServiceSeen) -> bool:
    """True where it ended by itself, before anyone could have stopped it."""
    revoked = case.lease is not None and bool(case.lease.spec.revoked)
    return not revoked or (0 < service.finished_at < case.stop_since)


def _done_anyway(case: Case, reason: str) -> bool:
    """True where it had to go elsewhere, but its result came before it was killed."""
    result = case.seen.logs.result
    return reason == DRAINED and result is not None and result.ok


def _ended_with_lease(case: Case, service: ServiceSeen) -> bool:
    end = _lease_end(case)
    if not end:
        return False
    if service.finished_at:
        return service.finished_at >= end - CLOCK_SLACK
    over = case.lease is not None and case.lease.status.state in (
        LeaseState.ENDING,
        LeaseState.ENDED,
    )
    return over or case.now >= end


def _timed_out(case: Case) -> Plan:
    return case.end(
        "timed-out",
        Phase.TIMED_OUT,
        cause=Cause.TIMED_OUT,
        reason="DurationExceeded",
        message=f"exceeded its duration of {case.job.spec.duration} s and was killed",
    )


def _stopped(case: Case, reason: str) -> Plan:
    if reason == "Suspended":
        return case.unstarted("suspended", reason, "suspended; it starts anew when resumed", 0.0)
    if reason == "Superseded":
        return case.unstarted("superseded", reason, "a changed spec was applied", 0.0)
    if reason == DRAINED:
        message = f"worker {case.status.worker} is drained; it starts anew elsewhere"
        return case.unstarted("drained", reason, message, 0.0)
    return case.end("stopped", Phase.CANCELLED, reason=reason, message="was stopped on request")


def _rejected(case: Case, service: ServiceSeen) -> Plan:
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
            return case.end(
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
    reason = "Signalled" if code is not None and code > 128 else "ExitCode"
    text = (
        f"killed by signal {code - 128}" if reason == "Signalled" and code else f"exit code {code}"
    )
    return case.end(
        "failed",
        Phase.FAILED,
        cause=Cause.ERROR,
        reason=reason,
        message=service.message or crash or text,
    )
