"""Rules for an attempt whose service does not exist yet: admit, wait, place, lease, start. Pure."""

from __future__ import annotations

from ...crd_like_specs.errors import NO_WORKERS
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Cause, Phase
from ...crd_like_specs.lease import Lease, LeaseSpec, LeaseState
from ...crd_like_specs.meta import ObjectMeta
from .actions import CreateService, Plan, PutLease
from .case import Case
from .placement import Placement, Refusals, asked, largest, place
from .service_spec import service_spec
from .timing import LEASE_PATIENCE, UNSTARTED_RETRY

PREPARATION_REASONS = frozenset({"RequirementsFailed", "BadCode", "CodeMissing", "ImageMissing"})
"""Why an agent could not stage an attempt that would fail anywhere: the job's own fault."""


def admit(case: Case) -> Plan | None:
    """A job seen for the first time gets its first attempt."""
    if case.status.attempt:
        return None
    return case.again("admit", None, retry_at=0.0, reason="", message="")


def follow_generation(case: Case) -> Plan | None:
    """A change that defines no other run (suspend, priority, ttl) is noted, nothing more."""
    generation = case.job.metadata.generation
    if case.status.observed_generation == generation or case.redefined:
        return None
    return case.wait("follow-generation", case.now, observed_generation=generation)


def supersede(case: Case) -> Plan | None:
    """A changed spec begins a new run once nothing of the old one goes on."""
    if not case.redefined or case.stop_reason != "Superseded":
        return None
    if not case.status.phase.terminal and case.anything_left:
        return None  # `stop` ends it first
    return case.again("supersede", None, retry_at=0.0, reason="", message="")


def stop_unstarted(case: Case) -> Plan | None:
    """Stopped before any service was there."""
    reason = case.stop_reason
    if not reason or case.service is not None:
        return None
    if reason == "Suspended":
        if case.lease is not None:
            return case.unstarted("suspend", "Suspended", "suspended before it started", 0.0)
        actions, wake = case.remains(current=False)
        return case.act(
            "suspended",
            actions,
            wake,
            reason="Suspended",
            message="spec.suspend is true",
            retry_at=0.0,
        )
    if reason == "Superseded":
        return case.unstarted("superseded", reason, "a changed spec was applied", 0.0)
    return case.end(
        "stop-unstarted", Phase.CANCELLED, reason=reason, message="ended before it started"
    )


def clean_first(case: Case) -> Plan | None:
    """Nothing new starts while anything of an earlier attempt is left: nothing runs twice."""
    if not case.stale_services and not case.stale_leases:
        return None
    actions, wake = case.remains(current=False)
    return case.act("clean-first", actions, wake)


def back_off(case: Case) -> Plan | None:
    """The time between attempts."""
    if case.lease is not None or case.now >= case.status.retry_at:
        return None
    return case.wait("back-off", case.status.retry_at)


def code_missing(case: Case) -> Plan | None:
    """The code was never uploaded, or is gone."""
    code = case.job.spec.code
    if case.seen.blob_present or code is None or case.lease is not None:
        return None
    message = f"code {code.digest} is not here: upload it and apply again"
    return case.end("code-missing", Phase.FAILED, reason="CodeMissing", message=message)


def find_place(case: Case) -> Plan | None:
    """First fit, else the reason per worker; `Fail` jobs that could never fit end here."""
    if case.lease is not None or case.service is not None:
        return None
    spec, workers = case.job.spec, case.seen.workers
    found = place(spec, workers, case.now)
    if isinstance(found, Placement):
        return _take(case, found)
    if found.hopeless and spec.when_unschedulable == "Fail":
        if not any(w.known for w in workers):
            return case.end("no-workers", Phase.FAILED, reason="NoWorkers", message=NO_WORKERS)
        return case.end(
            "unschedulable",
            Phase.FAILED,
            reason="Unschedulable",
            message=f"asks for {asked(spec)}; the largest that exists: {largest(workers)}",
        )
    return _wait_for_room(case, found)


def _take(case: Case, found: Placement) -> Plan:
    spec, meta, status = case.job.spec, case.job.metadata, case.status
    worker = found.worker
    lease = Lease(
        metadata=ObjectMeta(
            name=unit_name(meta.uid, status.attempt), uid=meta.uid, creation_timestamp=case.now
        ),
        spec=LeaseSpec(
            job=meta.uid,
            job_name=meta.name,
            attempt=status.attempt,
            worker=worker.metadata.name,
            devices=found.devices,
            memory_milli=spec.gpu.memory if spec.gpu else 0,
            cpus=spec.resources.cpus,
            memory=spec.resources.memory,
            duration=spec.duration,
            not_before=case.now,
        ),
    )
    return case.act(
        "place",
        (PutLease(lease),),
        case.now + LEASE_PATIENCE,
        phase=Phase.LEASING,
        reason="",
        message="",
        worker=worker.metadata.name,
        devices=found.devices,
        waiting_for=(),
    )


def _wait_for_room(case: Case, found: Refusals) -> Plan:
    named = "; ".join(f"{r.worker} {r.reason}" for r in found.reasons[:3])
    more = f"; and {len(found.reasons) - 3} more" if len(found.reasons) > 3 else ""
    rented = [w.worker.spec.available_until for w in case.seen.workers]
    return case.wait(
        "wait-for-room",
        case.now + 60.0 if any(rented) else None,
        reason="WaitingForRoom" if found.reasons else "NoWorkers",
        message=f"{named}{more}" if found.reasons else NO_WORKERS,
        waiting_for=found.reasons,
    )


def await_lease(case: Case) -> Plan | None:
    """The lease is wanted; what the agent says of it decides."""
    lease = case.lease
    if lease is None or case.service is not None:
        return None
    state = lease.status.state
    if case.status.phase is Phase.PENDING:  # written before the status was, or before a crash
        return case.wait(
            "await-lease",
            case.now,
            phase=Phase.LEASING,
            worker=lease.spec.worker,
            devices=lease.spec.devices,
        )
    if case.status.phase.rank > Phase.LEASING.rank:
        return None  # it had a service: `vanished` decides
    if state is LeaseState.FAILED:
        return _refused(case, lease)
    if state in (LeaseState.ENDING, LeaseState.ENDED):
        return case.end(
            "expired-unstarted",
            Phase.TIMED_OUT,
            cause=Cause.TIMED_OUT,
            reason="DurationExceeded",
            message="the lease ended before the job could start",
        )
    worker = case.worker(lease)
    if worker is None or (not worker.ready and worker.agent_silent_for > LEASE_PATIENCE):
        message = f"worker {lease.spec.worker} fell silent before the job started"
        return case.unstarted("worker-silent", "WorkerSilent", message, 0.0)
    if state is not LeaseState.HELD or not worker.ready:
        preparing = "preparing on its worker" if state is LeaseState.PREPARING else ""
        return case.wait("await-lease", case.now + LEASE_PATIENCE, message=preparing)
    service = service_spec(case.job, lease, worker.worker, case.seen.default_image)
    return case.act(
        "start",
        (CreateService(service),),
        case.now,
        phase=Phase.STARTING,
        reason="",
        message="",
        expires_at=lease.status.expires_at,
    )


def _refused(case: Case, lease: Lease) -> Plan:
    reason, message = lease.status.reason or "LeaseFailed", lease.status.message
    if reason in PREPARATION_REASONS:
        return case.end(
            "preparation-failed",
            Phase.FAILED,
            cause=Cause.PREPARATION,
            reason=reason,
            message=message,
        )
    return case.unstarted("lease-refused", reason, message, UNSTARTED_RETRY)
