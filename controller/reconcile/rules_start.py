"""Rules for an attempt whose service does not exist yet: admit, wait, place, lease, start. Pure."""

from __future__ import annotations

from dataclasses import replace

from ...crd_like_specs.errors import NO_WORKERS
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Cause, Phase
from ...crd_like_specs.lease import DISCONNECTED, RESTARTED, Lease, LeaseSpec, LeaseState
from ...crd_like_specs.meta import ObjectMeta
from .actions import CreateService, Plan, PutLease
from .asking import ask_of, asked
from .case import DRAINED, Case
from .fitting import rental_left
from .fleet import rented, with_room
from .observed import WorkerSeen
from .placement import Placement, Refusals, could_ever, find, largest
from .rules_image import image_name, in_order, job_image, on_its_way
from .service_spec import service_spec
from .timing import (
    CLOCK_SLACK,
    LEASE_PATIENCE,
    RENTAL_END,
    STRAY_PATIENCE,
    UNSTARTED_RETRY,
    earliest,
    retry_delay,
)

PREPARATION_REASONS = frozenset(
    {
        *("RequirementsFailed", "BadCode", "CodeMissing", "ImageMissing"),
        *("CheckpointMissing", "CheckpointUnsafe"),
        *("DatasetMissing", "DatasetUnsafe"),
    }
)
"""Why an agent could not stage an attempt that would fail anywhere: the job's own fault."""

REASONS_KEPT = 10
"""Workers whose reasons a waiting job's status holds; `why` has all of them."""


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
            message=_paused(case),
            retry_at=0.0,
        )
    if reason == "Superseded":
        return case.unstarted("superseded", reason, "a changed spec was applied", 0.0)
    if reason == DRAINED:
        assert case.lease is not None, "only a lease is of a worker"
        message = f"worker {case.lease.spec.worker} is drained; it starts elsewhere"
        return case.unstarted("drained", reason, message, 0.0)
    return case.end(
        "stop-unstarted", Phase.CANCELLED, reason=reason, message="ended before it started"
    )


def _paused(case: Case) -> str:
    kept = case.status.checkpoints
    if not kept:
        return "spec.suspend is true"
    return (
        f"paused: it goes on from the checkpoint of attempt {kept[-1].attempt} once it is resumed"
    )


def clean_first(case: Case) -> Plan | None:
    """Nothing new starts while anything of an earlier attempt is left: nothing runs twice."""
    if not case.stale_services and not case.stale_leases:
        return None
    actions, wake = case.remains(current=False)
    return case.act("clean-first", actions, wake)


def back_off(case: Case) -> Plan | None:
    """The time between attempts. One that is further away than any back-off of this job was
    reckoned by a clock that has been set back since.
    """
    retry, left = case.job.spec.retry, case.status.retry_at - case.now
    longest = max(retry_delay(retry.backoff, retry.limit + 1), UNSTARTED_RETRY, STRAY_PATIENCE)
    if case.lease is not None or left <= 0 or left > longest + CLOCK_SLACK:
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
    """A place by the policy, else the reason per worker; `Fail` jobs are told at once where there
    is nothing they could run on.
    """
    assert case.lease is None, "await-lease decides"
    assert case.service is None, "follow decides"
    seen, ask = case.seen, ask_of(case.job.lasting)
    workers, image = seen.workers, image_name(case)
    if image:  # among many workers only those with room are looked at for the image
        workers = in_order(with_room(ask, workers), image, seen.image)
    found = find(ask, workers, case.now, seen.claims, best_fit=seen.best_fit)
    if isinstance(found, Placement):
        return _take(case, found)
    if image:
        found = replace(found, workers=in_order(seen.workers, image, seen.image))
    impossible = _impossible(case, found) if case.job.spec.when_unschedulable == "Fail" else None
    return impossible or _wait_for_room(case, found)


def _impossible(case: Case, found: Refusals) -> Plan | None:
    """The end of a job that no worker can take; None where waiting may help.

    Whoever has just submitted it is told of the fleet as it is now. A job that was accepted once
    is not given up because its workers are away or closed for a while.
    """
    workers, fresh = case.seen.workers, _first_look(case)
    pool = (w.worker for w in workers if w.known or not fresh)
    hopeless = not any(could_ever(found.ask, worker, case.now) for worker in pool)
    known = tuple(w for w in workers if w.known) if hopeless else ()
    if (hopeless and not known) or (fresh and not any(_in_pool(w, case.now) for w in workers)):
        return case.end("no-workers", Phase.FAILED, reason="NoWorkers", message=NO_WORKERS)
    if not hopeless:
        return None
    return case.end(
        "unschedulable",
        Phase.FAILED,
        reason="Unschedulable",
        message=f"asks for {asked(found.ask)}; "
        f"the largest that exists: {largest(found.ask, known, case.now)}",
    )


def _first_look(case: Case) -> bool:
    """Whether the job's submitter still waits to hear if it can run at all."""
    return case.status.attempt == case.status.first_attempt and not case.status.reason


def _in_pool(seen: WorkerSeen, now: float) -> bool:
    """Whether the worker counts as available: heard lately, open to work, rented for a while."""
    wanted = seen.worker.spec
    closed = wanted.cordoned or wanted.drain or wanted.fenced
    return seen.known and not closed and rental_left(seen.worker, now) != 0


def _take(case: Case, found: Placement) -> Plan:
    spec, meta, status = case.job.spec, case.job.metadata, case.status
    worker = found.worker
    newest = status.checkpoints[-1] if status.checkpoints else None
    lease = Lease(
        metadata=ObjectMeta(
            name=unit_name(meta.uid, status.attempt),
            uid=meta.uid,
            owner=meta.owner,
            creation_timestamp=case.now,
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
            pids=spec.resources.pids,
            duration=case.job.lasting.duration,
            not_before=case.now,
            stop_after_disconnect=spec.stop_after_disconnect,
            checkpoint=newest.digest if newest and spec.checkpoint.size else "",
            checkpoint_size=spec.checkpoint.size,
            checkpoint_interval=spec.checkpoint.interval,
            outputs_size=spec.outputs.size,
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
    reasons, count = found.some(REASONS_KEPT), len(found.workers)
    named = "; ".join(f"{r.worker} {r.reason}" for r in reasons[:3])
    more = f"; and {count - 3} more" if count > 3 else ""
    return case.wait(
        "wait-for-room",
        _next_rental(case),
        retry_at=0.0,
        reason="WaitingForRoom" if reasons else "NoWorkers",
        message=f"{named}{more}" if reasons else NO_WORKERS,
        waiting_for=reasons,
    )


def _next_rental(case: Case) -> float | None:
    """When the next worker's rental becomes too short for this job: then the reasons change."""
    duration = case.job.lasting.duration
    left = (rental_left(w.worker, case.now) for w in rented(case.seen.workers))
    return earliest(*(case.now + n - duration + 1 for n in left if n is not None and n >= duration))


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
    assert case.status.phase.rank <= Phase.LEASING.rank, "it had a service: vanished decides"
    if state is LeaseState.FAILED:
        return _refused(case, lease)
    worker = case.worker(lease)
    lost = _lost(case, lease, worker)
    if lost is not None:
        return lost
    if state is LeaseState.ENDING or state.freed:
        return case.end(
            "expired-unstarted",
            Phase.TIMED_OUT,
            cause=Cause.TIMED_OUT,
            reason="DurationExceeded",
            message="the lease ended before the job could start",
        )
    assert worker is not None, "one without a worker was lost, or has ended"
    if state is not LeaseState.HELD or not worker.ready:
        preparing = "preparing on its worker" if state is LeaseState.PREPARING else ""
        image = case.seen.image.reference
        said = (lease.status.message or on_its_way(worker.worker, image)) if preparing else ""
        preparing = f"{preparing}: {said}" if said else preparing
        return case.wait("await-lease", case.now + LEASE_PATIENCE, message=preparing)
    until = worker.worker.spec.available_until
    if until is not None and lease.status.expires_at + RENTAL_END > until:
        message = (
            f"preparing took too long: the lease would outlast the rental of {lease.spec.worker}"
        )
        return case.unstarted("outlasts-rental", "RentalEnds", message, 0.0)
    service = service_spec(case.job, lease, worker.worker, job_image(case))
    return case.act(
        "start",
        (CreateService(service),),
        case.now,
        phase=Phase.STARTING,
        reason="",
        message="",
        expires_at=lease.status.expires_at,
    )


def _lost(case: Case, lease: Lease, worker: WorkerSeen | None) -> Plan | None:
    """Its worker was lost before the job could start there: it starts elsewhere, uncounted."""
    name, said = lease.spec.worker, lease.status.reason
    if case.fenced(lease):
        message = f"worker {name} was fenced before the job started"
        return case.unstarted("worker-fenced", "Fenced", message, 0.0)
    if said in (DISCONNECTED, RESTARTED):
        message = f"worker {name} was lost before the job started"
        return case.unstarted("worker-lost", said, message, 0.0)
    if lease.status.state is LeaseState.ENDING or lease.status.state.freed:
        return None
    if worker is not None and worker.ready:
        return None
    if worker is None or _unready_for(case, lease, worker) > LEASE_PATIENCE:
        message = f"worker {name} was out of reach before the job started"
        return case.unstarted("worker-silent", "WorkerSilent", message, 0.0)
    return None


def _unready_for(case: Case, lease: Lease, worker: WorkerSeen) -> float:
    """Seconds that it is silent, or that it is there and yet not ready. One that just came back, as
    all do after a restart of the controller, still has to tell what it has.
    """
    if not worker.contact:
        return worker.silent_for(case.now)
    came = worker.contact_since if worker.node_up else 0.0
    return case.now - max(lease.spec.not_before, came)


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
