"""Rules for an attempt whose worker, or whose lease, was lost: never start it twice. Pure.

Two are to be told apart: a worker whose agent is silent (`contact` is False), and a node that the
platform cannot reach (its services show Lost). Either may be so without the other; what may be
concluded is in `certainty.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ...crd_like_specs.job import GRACE_SECONDS, Cause, Phase
from ...crd_like_specs.lease import DISCONNECTED, RESTARTED, WORKER_LOST, Lease, LeaseState
from .actions import Plan, PutLease
from .case import Case
from .observed import ServiceSeen, ServiceState
from .timing import DISCONNECT_SLACK, LOGS_PATIENCE

FOUND_DEAD: Final = 255
"""What an engine says of a container that it finds dead at its own start: after a power cut it is
there before the agent is, which would tell.
"""


TERMINATED: Final = "Terminated"
"""What the runner says of a job that SIGTERM ended: not whose doing that was."""


def fenced(case: Case) -> Plan | None:
    """An operator vouches that nothing runs on its worker."""
    lease = case.lease
    if case.service is None or lease is None or not case.fenced(lease):
        return None
    text = f"worker {lease.spec.worker} was fenced: an operator vouches that nothing runs there"
    return _over(case, "fenced", "Fenced", text)


def lost(case: Case) -> Plan | None:
    """The node is down. The job is elsewhere only once it can't be running there any more."""
    service, lease = case.service, case.lease
    if service is None or service.state is not ServiceState.LOST:
        return None
    if lease is not None and lease.status.state is LeaseState.FAILED:
        return None  # `lease_lost` decides
    over = case.over_at(lease) if lease is not None else 0.0
    if over is not None and case.now >= over:
        return _over(case, "lost", WORKER_LOST, f"worker {case.status.worker} went down")
    if lease is not None and over is None:
        return _tell(case, lease)
    return case.wait("lost", over, reason=WORKER_LOST, message=_until(case, over))


def _tell(case: Case, lease: Lease) -> Plan:
    """Its agent is in contact all the same. What the platform has given up it kills as soon as it
    reaches the node again: so the agent ends it now, and says when it is gone.
    """
    message = (
        f"the platform lost the node of worker {lease.spec.worker}: its agent ends the job there, "
        "then it can go elsewhere"
    )
    told = {"reason": WORKER_LOST, "message": message}
    if lease.spec.revoked:
        return case.wait("lost", None, **told)
    spec = lease.spec.model_copy(update={"revoked": WORKER_LOST, "grace": GRACE_SECONDS})
    revoked = lease.model_copy(update={"spec": spec})
    return case.act("lost", (PutLease(revoked),), None, **told)


def lease_lost(case: Case) -> Plan | None:
    """Its lease is gone or can't be held: nothing may use a device without one."""
    lease = case.lease
    if case.service is None or (lease is not None and lease.status.state is not LeaseState.FAILED):
        return None
    message = lease.status.message if lease else "the lease's record is gone"
    return _over(case, "lease-lost", "LeaseLost", message)


def silence(case: Case) -> dict[str, str]:
    """Reason and message of a job whose agent is silent, while the job itself goes on; else none."""
    lease = case.lease
    if lease is None or case.in_contact(lease):
        return {}
    return {"reason": DISCONNECTED, "message": _until(case, case.alone_at(lease))}


def by_worker(case: Case, service: ServiceSeen) -> str:
    """Why the end of a failed service is its worker's doing and not the job's, or ""."""
    lease, result = case.lease, case.seen.logs.result
    if lease is None or (result is not None and result.error_type != TERMINATED):
        return ""
    said = lease.status.reason
    if said in (DISCONNECTED, RESTARTED):
        return said
    if WORKER_LOST in (lease.spec.revoked, case.status.reason):
        return WORKER_LOST
    if service.exit_code == FOUND_DEAD and not case.in_contact(lease):
        return WORKER_LOST
    killed = service.exit_code is None or service.exit_code > 128
    cut = case.disconnected_at(lease)
    seen_at = case.seen.since.get(service.name, case.now)
    return DISCONNECTED if killed and cut and seen_at >= cut - DISCONNECT_SLACK else ""


def ended_by_worker(case: Case, reason: str) -> Plan:
    """The attempt was ended by what became of its worker."""
    words = {
        DISCONNECTED: "lost contact and ended the job, as its stopAfterDisconnect says",
        RESTARTED: "was started anew",
        WORKER_LOST: "was lost to the platform",
    }
    return _over(case, "ended-by-worker", reason, f"worker {case.status.worker} {words[reason]}")


def without_output(case: Case, service: ServiceSeen) -> Plan | None:
    """It ended well, but nobody has its result: where its worker is silent the two went together.
    Whether it is shows only a while after its last word.
    """
    lease = case.lease
    if lease is None:
        return None
    if case.in_contact(lease):
        since = case.seen.since.get(service.name) or service.finished_at or case.now
        certain = since + 2 * LOGS_PATIENCE
        return case.wait("await-output", certain) if case.now < certain else None
    text = f"worker {case.status.worker} was lost with the job's result"
    return _over(case, "output-lost", WORKER_LOST, text)


def _over(case: Case, rule: str, reason: str, message: str) -> Plan:
    """The attempt is over through no fault of its own."""
    if case.stopping:
        return case.stopped(case.stopping)
    return case.end(rule, Phase.FAILED, cause=Cause.WORKER_LOST, reason=reason, message=message)


def _until(case: Case, over: float | None) -> str:
    lease = case.lease
    worker = case.worker(lease) if lease is not None else None
    silent = (
        f"worker {case.status.worker} has been silent since {_clock(worker.heard_at)}"
        if worker is not None
        else f"worker {case.status.worker} is gone"
    )
    if over is None:
        return silent
    return f"{silent}; it ends the job alone, so that it may run elsewhere from {_clock(over)}"


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
