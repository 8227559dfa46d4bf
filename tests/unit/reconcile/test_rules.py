"""Every rule by its situations: what the plan decides, does, and writes down."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.actions import (
    CollectJob,
    CollectLogs,
    CreateService,
    ForgetLease,
    PutLease,
    ReleaseLease,
    RemoveService,
)
from cumulus.controller.reconcile.observed import LogsSeen, ServiceState
from cumulus.controller.reconcile.plan import plan, plan_failure
from cumulus.controller.reconcile.quota import Limits, QuotaSeen
from cumulus.controller.reconcile.timing import RENTAL_MARGIN, STRAY_PATIENCE
from cumulus.crd_like_specs.errors import Permanent
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Attempt, Cause, Job, Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import BAD, EMPTY, OK, UID, T, job, lease, seen, service, worker, worker_seen

UNIT = unit_name(UID, 1)
RUN, PEND, DONE, FAIL, REJ, LOST = (
    ServiceState.RUNNING,
    ServiceState.PENDING,
    ServiceState.COMPLETE,
    ServiceState.FAILED,
    ServiceState.REJECTED,
    ServiceState.LOST,
)
CANCELLED = {"cancellation_timestamp": T + 5}
STOPPING = {"stopping": "Cancelled"}
DELETED = {"deletion_timestamp": T + 5}
AWAY = (worker_seen(ready=False, silent=60.0),)
BACK = (worker_seen(ready=False),)  # heard at T: of a controller just started nobody was yet
GONE = (worker_seen(ready=False, known=False, silent=600.0),)
DRAIN = (worker_seen(worker(drain=True)), worker_seen(worker("n2")))
MOVING = {"stopping": "Drained", "worker": "n1"}
CLOSED = (worker_seen(worker(cordoned=True)), worker_seen(worker("n2", drain=True)))
SMALL = (worker_seen(worker(devices=0)), *GONE)
NO_NETWORKS = 'configuration network "cumulus-isolated-config" does not exist'
UNPREPARED = (Attempt(number=1, phase=Phase.FAILED, reason="WorkerUnprepared"),) * 10


def quota(**limits: int) -> QuotaSeen:
    return QuotaSeen("vision", Limits(**limits))


def fresh() -> Job:
    return job(status={"attempt": 0, "first_attempt": 0, "observed_generation": 0, "run_hash": ""})


# job, what is seen, now → rule, actions (types), phase, other status fields
CASES: dict[str, tuple[Job, Any, float, str, tuple[type, ...], Phase | None, dict[str, Any]]] = {
    "first sight": (fresh(), seen(), T, "admit", (), Phase.PENDING, {"attempt": 1, "first_attempt": 1}),
    "place": (job(), seen(), T, "place", (PutLease,), Phase.LEASING, {"worker": "n1", "devices": (0,)}),
    "no workers": (job(), seen(workers=()), T, "no-workers", (), Phase.FAILED, {"reason": "NoWorkers", "message": "No GPU workers available"}),
    "too large": (job(gpu={"count": 64}), seen(), T, "unschedulable", (), Phase.FAILED, {"reason": "Unschedulable"}),
    "too large but waits": (job(gpu={"count": 64}, whenUnschedulable="Wait"), seen(), T, "wait-for-room", (), None, {"reason": "WaitingForRoom"}),
    "no room now": (job(), seen(workers=(worker_seen(milli={0: 499}),)), T, "wait-for-room", (), None, {"reason": "WaitingForRoom"}),
    "known worker away": (job(), seen(workers=AWAY), T, "wait-for-room", (), None, {"reason": "WaitingForRoom"}),
    "all workers gone": (job(), seen(workers=GONE), T, "no-workers", (), Phase.FAILED, {"reason": "NoWorkers", "message": "No GPU workers available"}),
    "all workers gone, but it was accepted": (job(status={"reason": "WaitingForRoom"}), seen(workers=GONE), T, "wait-for-room", (), None, {}),
    "all workers gone, and it waits": (job(whenUnschedulable="Wait"), seen(workers=GONE), T, "wait-for-room", (), None, {}),
    "no worker at all, and it waits": (job(whenUnschedulable="Wait"), seen(workers=()), T, "wait-for-room", (), None, {"reason": "NoWorkers", "message": "No GPU workers available"}),
    "too large for all that ever were": (job(status={"reason": "WaitingForRoom"}, gpu={"count": 64}), seen(workers=GONE), T, "no-workers", (), Phase.FAILED, {"reason": "NoWorkers"}),
    "all workers closed": (job(), seen(workers=CLOSED), T, "no-workers", (), Phase.FAILED, {"message": "No GPU workers available"}),
    "all workers fenced": (job(), seen(workers=(worker_seen(worker(fenced=True)),)), T, "no-workers", (), Phase.FAILED, {"reason": "NoWorkers"}),
    "all rentals over": (job(), seen(workers=(worker_seen(worker(available_until=T)),)), T, "no-workers", (), Phase.FAILED, {"reason": "NoWorkers"}),
    "all workers closed since it was accepted": (job(status={"reason": "WaitingForRoom"}), seen(workers=CLOSED), T, "wait-for-room", (), None, {}),
    "all workers closed, a later attempt": (job(status={"attempt": 2}), seen(workers=CLOSED), T, "wait-for-room", (), None, {}),
    "the only one large enough is closed": (job(), seen(workers=(*CLOSED, SMALL[0])), T, "wait-for-room", (), None, {"reason": "WaitingForRoom"}),
    "the only one large enough is gone": (job(), seen(workers=SMALL), T, "unschedulable", (), Phase.FAILED, {"reason": "Unschedulable"}),
    "longer than any rental": (job(), seen(workers=(worker_seen(worker(available_until=T + 100)),)), T, "unschedulable", (), Phase.FAILED, {"message": "asks for 1 x 0.5 GPU, 1 CPU, 1Gi memory for 1m; the largest that exists: worker n1 with 1 device(s) (nvidia H200), 8 CPU, 32Gi memory, rented until 00:18 UTC"}),
    "over its quota for now": (job(), seen(quota=quota(running=0)), T, "over-quota", (), None, {"reason": "OverQuota", "message": "project vision runs 0 of 0 jobs"}),
    "over its quota on any day": (job(), seen(quota=quota(gpu=1)), T, "over-quota", (), Phase.FAILED, {"reason": "Unschedulable"}),
    "over its quota on any day, and it waits": (job(whenUnschedulable="Wait"), seen(quota=quota(gpu=1)), T, "over-quota", (), None, {"reason": "OverQuota"}),
    "within its quota": (job(), seen(quota=quota(running=1)), T, "place", (PutLease,), Phase.LEASING, {}),
    "code missing": (job(), seen(blob_present=False), T, "code-missing", (), Phase.FAILED, {"reason": "CodeMissing"}),
    "back-off": (job(status={"retry_at": T + 9}), seen(), T, "back-off", (), None, {}),
    "back-off by a clock that was set back": (job(status={"retry_at": T + 3600}), seen(), T, "place", (PutLease,), Phase.LEASING, {}),
    "suspended": (job(suspend=True), seen(), T, "suspended", (), None, {"reason": "Suspended"}),
    "earlier attempt's service": (job(status={"attempt": 2}), seen(service(RUN)), T, "clean-first", (RemoveService,), None, {}),
    "earlier attempt's lease": (job(status={"attempt": 2}), seen(lease()), T, "clean-first", (ReleaseLease,), None, {}),
    "earlier lease ended": (job(status={"attempt": 2}), seen(lease(LeaseState.ENDED, released=True)), T, "clean-first", (ForgetLease,), None, {}),
    "earlier lease ending": (job(status={"attempt": 2}), seen(lease(released=True)), T, "clean-first", (), None, {}),
    "earlier lease, worker away": (job(status={"attempt": 2}), seen(lease(released=True), workers=AWAY), T + 64, "clean-first", (), None, {}),
    "earlier lease, worker away and over": (job(status={"attempt": 2}), seen(lease(released=True), workers=AWAY), T + 71, "clean-first", (ForgetLease,), None, {}),
    "lease written before a crash": (job(), seen(lease(LeaseState.PENDING)), T, "await-lease", (), Phase.LEASING, {"worker": "n1"}),
    "lease fetching": (job(Phase.LEASING), seen(lease(LeaseState.PREPARING, status={"message": "dataset x: 1 of 2Gi"})), T, "await-lease", (), None, {"message": "preparing on its worker: dataset x: 1 of 2Gi"}),
    "lease preparing": (job(Phase.LEASING), seen(lease(LeaseState.PREPARING)), T, "await-lease", (), None, {"message": "preparing on its worker"}),
    "lease held": (job(Phase.LEASING), seen(lease()), T, "start", (CreateService,), Phase.STARTING, {"expires_at": T + 60}),
    "lease cannot be staged": (job(Phase.LEASING), seen(lease(LeaseState.FAILED, status={"reason": "RequirementsFailed", "message": "no such package"})), T, "preparation-failed", (), Phase.FAILED, {"reason": "RequirementsFailed"}),
    "lease refused": (job(Phase.LEASING), seen(lease(LeaseState.FAILED, status={"reason": "NoCapacity"})), T, "lease-refused", (), Phase.PENDING, {"attempt": 2, "retry_at": T + 2}),
    "lease over before start": (job(Phase.LEASING), seen(lease(LeaseState.ENDED)), T + 61, "expired-unstarted", (), Phase.TIMED_OUT, {}),
    "worker silent before start": (job(Phase.LEASING), seen(lease(LeaseState.PENDING), workers=AWAY), T, "worker-silent", (), Phase.PENDING, {"attempt": 2, "reason": "WorkerSilent"}),
    "service pending": (job(Phase.STARTING), seen(service(PEND), lease()), T + 1, "starting", (), None, {"expires_at": T + 60}),
    "service never started": (job(Phase.STARTING, duration=600), seen(service(PEND, message="no suitable node"), lease(duration=600)), T + 61, "never-started", (), Phase.FAILED, {"reason": "NotStarted", "message": "no suitable node"}),
    "service running": (job(Phase.STARTING), seen(service(RUN, started_at=T + 1), lease()), T + 2, "running", (), Phase.RUNNING, {"started_at": T + 1}),
    "logs outstanding": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease()), T + 3, "await-logs", (), None, {}),
    "logs late": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease()), T + 9, "collect-logs", (CollectLogs,), None, {}),
    "logs, agent away": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), workers=AWAY), T + 3, "collect-logs", (CollectLogs,), None, {}),
    "logs, agent about to be back": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 1), lease(), workers=BACK), T + 3, "await-logs", (), None, {}),
    "logs, agent not back": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), workers=BACK), T + 6, "collect-logs", (CollectLogs,), None, {}),
    "logs never came": (job(Phase.RUNNING), seen(service(FAIL, exit_code=3, finished_at=T + 3), lease()), T + 34, "collect-logs", (CollectLogs,), None, {}),
    "logs that cannot be ended": (job(Phase.RUNNING), seen(service(FAIL, exit_code=3, finished_at=T + 3), lease()), T + 64, "failed", (), Phase.FAILED, {"reason": "ExitCode", "exit_code": 3}),
    "success": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), OK), T + 3, "succeeded", (), Phase.SUCCEEDED, {"finished_at": T + 3, "result_size": 10, "exit_code": 0}),
    "success of an image": (job(Phase.RUNNING, image="x"), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), EMPTY), T + 3, "succeeded", (), Phase.SUCCEEDED, {}),
    "success, its result lost with its worker": (job(Phase.RUNNING, retry={"limit": 1}), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), EMPTY, workers=AWAY), T + 9, "output-lost", (), Phase.PENDING, {"attempt": 2, "reason": "Retrying"}),
    "success without a result": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), EMPTY), T + 13, "no-result", (), Phase.FAILED, {"reason": "NoResult"}),
    "success without a result yet": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), EMPTY), T + 12, "await-output", (), None, {}),
    "an error told with exit code 0": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 3), lease(), BAD), T + 3, "failed", (), Phase.FAILED, {"reason": "ValueError", "message": "x"}),
    "exception": (job(Phase.RUNNING), seen(service(FAIL, exit_code=1, finished_at=T + 3), lease(), BAD), T + 3, "failed", (), Phase.FAILED, {"reason": "ValueError", "message": "x"}),
    "signal": (job(Phase.RUNNING), seen(service(FAIL, exit_code=139, finished_at=T + 3), lease(), EMPTY), T + 3, "failed", (), Phase.FAILED, {"reason": "Signalled", "message": "killed by signal 11"}),
    "out of memory": (job(Phase.RUNNING), seen(service(FAIL, exit_code=137, finished_at=T + 3, out_of_memory=True), lease(), EMPTY), T + 3, "out-of-memory", (), Phase.FAILED, {"reason": "OutOfMemory"}),
    "killed at the lease's end": (job(Phase.RUNNING), seen(service(FAIL, exit_code=143, finished_at=T + 60.1), lease(LeaseState.ENDED), EMPTY), T + 60.2, "timed-out", (), Phase.TIMED_OUT, {"reason": "DurationExceeded"}),
    "failed just before the lease's end": (job(Phase.RUNNING), seen(service(FAIL, exit_code=3, finished_at=T + 59), lease(LeaseState.ENDING), EMPTY), T + 60.2, "failed", (), Phase.FAILED, {"reason": "ExitCode"}),
    "done at the very end": (job(Phase.RUNNING), seen(service(DONE, exit_code=0, finished_at=T + 60.1), lease(LeaseState.ENDED), OK), T + 60.2, "succeeded", (), Phase.SUCCEEDED, {}),
    "end of unknown time": (job(Phase.RUNNING), seen(service(FAIL, exit_code=143), lease(LeaseState.ENDED), EMPTY), T + 60.2, "timed-out", (), Phase.TIMED_OUT, {}),
    "overrun": (job(Phase.RUNNING), seen(service(RUN), lease(LeaseState.ENDING)), T + 63.1, "overdue", (RemoveService,), None, {}),
    "image missing": (job(Phase.STARTING), seen(service(REJ, message="No such image: x"), lease()), T, "rejected", (), Phase.FAILED, {"reason": "ImageMissing"}),
    "rejected by a node without its networks": (job(Phase.STARTING), seen(service(REJ, message=NO_NETWORKS), lease()), T, "unprepared", (), Phase.PENDING, {"attempt": 2, "reason": "WorkerUnprepared", "retry_at": T + STRAY_PATIENCE}),
    "rejected so for the last time": (job(Phase.STARTING, status={"attempts": UNPREPARED[1:]}), seen(service(REJ, message=NO_NETWORKS), lease()), T, "unprepared", (), Phase.PENDING, {"reason": "WorkerUnprepared"}),
    "rejected so too often": (job(Phase.STARTING, status={"attempts": UNPREPARED}), seen(service(REJ, message=NO_NETWORKS), lease()), T, "rejected", (), Phase.FAILED, {"reason": "Rejected"}),
    "rejected": (job(Phase.STARTING), seen(service(REJ, message="bind source"), lease()), T, "rejected", (), Phase.FAILED, {"reason": "Rejected"}),
    "vanished": (job(Phase.RUNNING), seen(lease()), T + 5, "vanished", (), Phase.FAILED, {"reason": "ServiceVanished"}),
    "vanished after its end": (job(Phase.RUNNING), seen(lease(LeaseState.ENDED)), T + 61, "timed-out", (), Phase.TIMED_OUT, {}),
    "vanished on request": (job(Phase.RUNNING, meta=CANCELLED), seen(lease()), T + 6, "stopped", (), Phase.CANCELLED, {}),
    "node down": (job(Phase.RUNNING, status={"worker": "n1"}), seen(service(LOST), lease(), workers=AWAY), T + 5, "lost", (), None, {"reason": "WorkerLost"}),
    "node down, lease over": (job(Phase.RUNNING), seen(service(LOST), lease(), workers=AWAY), T + 71, "lost", (), Phase.FAILED, {"reason": "WorkerLost"}),
    "node down, agent ended it": (job(Phase.RUNNING), seen(service(LOST), lease(LeaseState.ENDED)), T + 5, "lost", (), Phase.FAILED, {"reason": "WorkerLost"}),
    "lease gone": (job(Phase.RUNNING), seen(service(RUN)), T + 5, "lease-lost", (), Phase.FAILED, {"reason": "LeaseLost"}),
    "lease failed": (job(Phase.RUNNING), seen(service(RUN), lease(LeaseState.FAILED, status={"message": "gone"})), T + 5, "lease-lost", (), Phase.FAILED, {"message": "gone"}),
    "cancel before placing": (job(meta=CANCELLED), seen(), T + 6, "stop-unstarted", (), Phase.CANCELLED, {"reason": "Cancelled"}),
    "cancel while leasing": (job(Phase.LEASING, meta=CANCELLED), seen(lease()), T + 6, "stop-unstarted", (), Phase.CANCELLED, {}),
    "cancel begins": (job(Phase.STARTING, meta=CANCELLED), seen(service(RUN), lease()), T + 6, "stopping", (), None, {"stopping": "Cancelled", "reason": "Cancelled"}),
    "service unrecorded": (job(Phase.LEASING, meta=CANCELLED), seen(service(RUN), lease()), T + 6, "note-service", (), Phase.STARTING, {}),
    "stop goes on though not wished any more": (job(Phase.STARTING, status=STOPPING), seen(service(RUN), lease()), T + 6, "stop", (PutLease,), None, {}),
    "stopped though not wished any more": (job(Phase.STARTING, status={"stopping": "Suspended"}), seen(lease()), T + 6, "suspended", (), Phase.PENDING, {"attempt": 2, "stopping": ""}),
    "cancel while starting": (job(Phase.STARTING, meta=CANCELLED, status=STOPPING), seen(service(PEND), lease()), T + 6, "stop", (RemoveService,), None, {}),
    "cancel while running": (job(Phase.RUNNING, meta=CANCELLED, status=STOPPING), seen(service(RUN), lease()), T + 6, "stop", (PutLease,), None, {"stop_by": T + 21}),
    "cancel under way": (job(Phase.RUNNING, meta=CANCELLED, status={**STOPPING, "stop_by": T + 21}), seen(service(RUN), lease(revoked="Cancelled")), T + 9, "stop", (), None, {}),
    "cancel by a clock that was set back": (job(Phase.RUNNING, meta=CANCELLED, status={**STOPPING, "stop_by": T + 3600}), seen(service(RUN), lease(revoked="Cancelled")), T + 21, "stop-overdue", (RemoveService,), None, {}),
    "cancel overdue": (job(Phase.RUNNING, meta=CANCELLED, status={**STOPPING, "stop_by": T + 21}), seen(service(RUN), lease(revoked="Cancelled")), T + 21, "stop-overdue", (RemoveService,), None, {}),
    "cancel, agent away": (job(Phase.RUNNING, meta=CANCELLED, status=STOPPING), seen(service(RUN), lease(), workers=AWAY), T + 6, "stop", (RemoveService,), None, {}),
    "cancel worked": (job(Phase.RUNNING, meta=CANCELLED), seen(service(FAIL, exit_code=143, finished_at=T + 6), lease(revoked="Cancelled"), EMPTY), T + 7, "stopped", (), Phase.CANCELLED, {"exit_code": 143}),
    "cancel too late": (job(Phase.RUNNING, meta=CANCELLED), seen(service(DONE, exit_code=0, finished_at=T + 4), lease(), OK), T + 6, "succeeded", (), Phase.SUCCEEDED, {}),
    "cancel too late, by an engine's clock that is ahead": (job(Phase.RUNNING, meta=CANCELLED), seen(service(DONE, exit_code=0, finished_at=T + 900), lease(revoked="Cancelled"), OK, since={UNIT: T + 4}), T + 6, "succeeded", (), Phase.SUCCEEDED, {}),
    "cancel in time, by an engine's clock that is behind": (job(Phase.RUNNING, meta=CANCELLED), seen(service(FAIL, exit_code=137, finished_at=T - 900), lease(revoked="Cancelled"), EMPTY, since={UNIT: T + 6}), T + 7, "stopped", (), Phase.CANCELLED, {}),
    "suspend while running": (job(Phase.RUNNING, suspend=True), seen(service(RUN), lease()), T + 6, "stopping", (), None, {"stopping": "Suspended"}),
    "suspend worked": (job(Phase.RUNNING, suspend=True), seen(service(FAIL, exit_code=143), lease(revoked="Suspended"), EMPTY), T + 7, "suspended", (), Phase.PENDING, {"attempt": 2}),
    "drain while leasing": (job(Phase.LEASING), seen(lease(), workers=DRAIN), T + 6, "drained", (), Phase.PENDING, {"attempt": 2, "reason": "Drained"}),
    "drain while running": (job(Phase.RUNNING), seen(service(RUN), lease(), workers=DRAIN), T + 6, "stopping", (), None, {"stopping": "Drained"}),
    "drain revokes": (job(Phase.RUNNING, status=MOVING), seen(service(RUN), lease(), workers=DRAIN), T + 6, "stop", (PutLease,), None, {"stop_by": T + 51}),
    "drain worked": (job(Phase.RUNNING, status=MOVING), seen(service(FAIL, exit_code=143, finished_at=T + 7), lease(revoked="Drained"), EMPTY, workers=DRAIN), T + 8, "drained", (), Phase.PENDING, {"attempt": 2, "reason": "Drained", "message": "worker n1 is drained; it starts anew elsewhere"}),
    "drain vanished": (job(Phase.RUNNING, status=MOVING), seen(lease(revoked="Drained"), workers=DRAIN), T + 8, "drained", (), Phase.PENDING, {"attempt": 2}),
    "drain goes on though taken back": (job(Phase.RUNNING, status=MOVING), seen(service(RUN), lease()), T + 6, "stop", (PutLease,), None, {}),
    "drain came too late": (job(Phase.RUNNING, status=MOVING), seen(service(DONE, exit_code=0, finished_at=T + 7), lease(revoked="Drained"), OK, workers=DRAIN), T + 8, "succeeded", (), Phase.SUCCEEDED, {}),
    "drain, an image stops with 0": (job(Phase.RUNNING, status=MOVING, image="x"), seen(service(DONE, exit_code=0, finished_at=T + 7), lease(revoked="Drained"), EMPTY, workers=DRAIN), T + 8, "drained", (), Phase.PENDING, {"attempt": 2}),
    "failed by itself while draining": (job(Phase.RUNNING, retry={"limit": 1}), seen(service(FAIL, exit_code=1, finished_at=T + 3), lease(), BAD, workers=DRAIN), T + 3, "failed", (), Phase.PENDING, {"attempt": 2, "reason": "Retrying"}),
    "cancelled while draining": (job(Phase.RUNNING, meta=CANCELLED), seen(service(RUN), lease(), workers=DRAIN), T + 6, "stopping", (), None, {"stopping": "Cancelled"}),
    "drained, then elsewhere": (job(status={"attempt": 2, "reason": "Drained"}), seen(workers=DRAIN), T + 9, "place", (PutLease,), Phase.LEASING, {"worker": "n2"}),
    "drained, nowhere else": (job(status={"attempt": 2, "reason": "Drained"}), seen(workers=DRAIN[:1]), T + 9, "wait-for-room", (), None, {"reason": "WaitingForRoom"}),
    "suspend while leasing": (job(Phase.LEASING, suspend=True), seen(lease()), T + 6, "suspend", (), Phase.PENDING, {"attempt": 2}),
    "priority changed": (job(Phase.RUNNING, meta={"generation": 2}, priority=5), seen(service(RUN), lease()), T, "follow-generation", (), None, {"observed_generation": 2}),
    "spec changed while running": (job(Phase.RUNNING, meta={"generation": 2}, status={"run_hash": "old"}), seen(service(RUN), lease()), T, "stopping", (), None, {"stopping": "Superseded"}),
    "spec changed while leasing": (job(Phase.LEASING, meta={"generation": 2}, status={"run_hash": "old"}), seen(lease()), T, "superseded", (), Phase.PENDING, {"attempt": 2, "first_attempt": 2, "observed_generation": 2}),
    "spec changed while waiting": (job(meta={"generation": 2}, status={"run_hash": "old"}), seen(), T, "supersede", (), Phase.PENDING, {"attempt": 2, "first_attempt": 2}),
    "spec changed after the end": (job(Phase.SUCCEEDED, meta={"generation": 2}, status={"run_hash": "old"}), seen(), T, "supersede", (), Phase.PENDING, {"attempt": 2}),
    "old run stopped": (job(Phase.RUNNING, meta={"generation": 2}, status={"run_hash": "old"}), seen(service(FAIL, exit_code=143), lease(revoked="Superseded"), EMPTY), T, "superseded", (), Phase.PENDING, {"attempt": 2, "first_attempt": 2}),
    "over: service first": (job(Phase.SUCCEEDED), seen(service(DONE), lease()), T, "clean-up", (RemoveService,), None, {}),
    "over: lease second": (job(Phase.SUCCEEDED), seen(lease()), T, "clean-up", (ReleaseLease,), None, {}),
    "over: lease seen gone": (job(Phase.SUCCEEDED), seen(lease(LeaseState.ENDED, released=True)), T, "clean-up", (ForgetLease,), None, {}),
    "over and clean": (job(Phase.SUCCEEDED, status={"finished_at": T}), seen(), T + 1, "kept", (), None, {"cleaned": True}),
    "over for a day": (job(Phase.SUCCEEDED, status={"finished_at": T}), seen(), T + 86400, "collect", (CollectJob,), None, {}),
    "over, priority changed": (job(Phase.SUCCEEDED, meta={"generation": 2}, priority=1), seen(), T, "follow-generation", (), None, {"observed_generation": 2}),
    "deleted while running": (job(Phase.RUNNING, meta=DELETED), seen(service(RUN), lease()), T + 6, "stopping", (), None, {"stopping": "Deleted"}),
    "deleted, over, not clean": (job(Phase.SUCCEEDED, meta=DELETED), seen(lease()), T, "clean-up", (ReleaseLease,), None, {}),
    "deleted, over, clean": (job(Phase.SUCCEEDED, meta=DELETED), seen(), T, "collect", (CollectJob,), None, {}),
    "platform unseen": (job(Phase.RUNNING), seen(observed=False), T, "platform-unseen", (), None, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_decides(case: Any) -> None:
    what, world, now, rule, actions, phase, fields = case
    decision = plan(what, world, now)
    assert decision.rule == rule
    assert tuple(type(action) for action in decision.actions) == actions
    after = decision.status or what.status
    assert after.phase is (phase or what.status.phase)
    assert {name: getattr(after, name) for name in fields} == fields


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_status_never_falls_and_planning_twice_agrees(case: Any) -> None:
    what, world, now, *_ = case
    decision = plan(what, world, now)
    assert plan(what, world, now) == decision
    if decision.status:
        old, new = what.status, decision.status
        assert (new.attempt, new.phase.rank) >= (old.attempt, old.phase.rank)


@pytest.mark.parametrize(
    ("cause", "service_", "logs"),
    [
        (Cause.ERROR, service(FAIL, exit_code=1, finished_at=T), BAD),
        (
            Cause.OUT_OF_MEMORY,
            service(FAIL, exit_code=137, finished_at=T, out_of_memory=True),
            EMPTY,
        ),
        (Cause.REJECTED, service(REJ), EMPTY),
        (Cause.TIMED_OUT, service(FAIL, exit_code=143, finished_at=T + 60), EMPTY),
    ],
)
def test_retries_only_the_causes_it_names(cause: Cause, service_: Any, logs: LogsSeen) -> None:
    for named in Cause:
        retry = {"limit": 1, "backoff": 10, "on": [named.value]}
        running = job(Phase.RUNNING, retry=retry)
        decision = plan(running, seen(service_, lease(), logs), T + 61)
        assert decision.status is not None
        ended, was = decision.status.attempts[-1], running.status
        assert ended.cause is cause
        assert (ended.devices, ended.expires_at) == (was.devices, was.expires_at)
        if named is cause:
            assert decision.status.phase is Phase.PENDING
            assert (decision.status.attempt, decision.status.retry_at) == (2, T + 71)
        else:
            assert decision.status.phase.terminal


def test_back_off_doubles_and_retries_end() -> None:
    retry = {"limit": 3, "backoff": 10}
    failed = job(Phase.RUNNING, retry=retry)
    delays = []
    for attempt in (1, 2, 3, 4):
        world = seen(
            service(FAIL, exit_code=1, attempt=attempt, finished_at=T), lease(attempt=attempt), BAD
        )
        decision = plan(failed, world, T)
        assert decision.status is not None
        delays.append(decision.status.retry_at - T if decision.status.retry_at else None)
        running = decision.status.model_copy(update={"phase": Phase.RUNNING})
        failed = failed.model_copy(update={"status": running})
    assert delays == [10, 20, 40, None]


def test_what_never_ran_costs_no_retry() -> None:
    refused = job(Phase.LEASING, retry={"limit": 1})
    decision = plan(refused, seen(lease(LeaseState.FAILED, status={"reason": "NoCapacity"})), T)
    assert decision.status is not None
    again = job(Phase.RUNNING, retry={"limit": 1}).model_copy(
        update={"status": decision.status.model_copy(update={"phase": Phase.RUNNING})}
    )
    world = seen(service(FAIL, exit_code=1, attempt=2, finished_at=T), lease(attempt=2), BAD)
    decision = plan(again, world, T)
    assert decision.status is not None
    assert decision.status.phase is Phase.PENDING
    assert decision.status.attempt == 3


def test_service_carries_lease_limits_and_isolation() -> None:
    what = job(
        Phase.LEASING,
        env={"MODE": "x", "JOB_ID": "forged"},
        resources={"cpus": 0.5, "memory": "64Mi", "pids": 20},
    )
    held = lease(status={"env": {"NVIDIA_VISIBLE_DEVICES": "GPU-1"}})
    (create,) = plan(what, seen(held), T).actions
    assert isinstance(create, CreateService)
    made = create.service
    assert (made.name, made.node_id, made.image) == (UNIT, "node-n1", "sha256:image")
    assert (made.cpus, made.memory, made.pids, made.isolated) == (500, 64 << 20, 20, True)
    assert made.env["JOB_ID"] == UID
    assert made.env["MODE"] == "x"
    assert made.env["CHRONOS_PARTITION_ID"] == "p1"
    assert made.env["GPU_DEVICE"] == "0"
    assert made.env["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"
    assert [(m.source, m.target) for m in made.mounts] == [
        (f"/var/lib/cumulus/staged/{UNIT}/job", "/job"),
        (f"/var/lib/cumulus/staged/{UNIT}/env", "/env"),
    ]


def test_image_job_keeps_its_command_and_gets_no_code() -> None:
    what = job(Phase.LEASING, image="alpine", command=["echo"], args=["a b"], network="Egress")
    (create,) = plan(what, seen(lease()), T).actions
    assert isinstance(create, CreateService)
    assert (create.service.command, create.service.args) == (("echo",), ("a b",))
    assert create.service.mounts == ()
    assert not create.service.isolated


def test_action_that_fails_for_good_ends_the_attempt() -> None:
    error = Permanent("image alpine is not on this engine", reason="ImageMissing")
    decision = plan_failure(job(Phase.LEASING, retry={"limit": 1}), seen(lease()), error, T)
    assert decision.status is not None
    assert (decision.status.phase, decision.status.attempt) == (Phase.PENDING, 2)
    unsupported = Permanent("no images here", reason="Unsupported")
    decision = plan_failure(job(Phase.LEASING, retry={"limit": 1}), seen(lease()), unsupported, T)
    assert decision.status is not None
    assert decision.status.phase is Phase.FAILED


def test_message_names_what_exists() -> None:
    decision = plan(job(gpu={"memory": 1, "count": 4}), seen(), T)
    assert decision.status is not None
    assert decision.status.message == (
        "asks for 4 x 1 GPU, 1 CPU, 1Gi memory for 1m; the largest that exists: "
        "worker n1 with 1 device(s) (nvidia H200), 8 CPU, 32Gi memory"
    )


def test_no_lease_outlasts_a_rental() -> None:
    rented = worker_seen(worker(available_until=T + 60 + RENTAL_MARGIN - 1))
    decision = plan(job(duration=60, whenUnschedulable="Wait"), seen(workers=(rented,)), T)
    assert decision.status is not None
    assert decision.status.waiting_for[0].reason == (
        "is rented until 00:18 UTC: takes jobs of 59s at most, 1m asked for"
    )
    assert not decision.status.waiting_for[0].ever
    fits = worker_seen(worker(available_until=T + 60 + RENTAL_MARGIN))
    assert plan(job(duration=60), seen(workers=(fits,)), T).rule == "place"


def test_a_wait_is_looked_at_again_when_a_rental_becomes_too_short() -> None:
    busy = worker_seen(worker(available_until=T + 60 + RENTAL_MARGIN + 30), milli={0: 0})
    what, world = job(duration=60), seen(workers=(busy,))
    decision = plan(what, world, T)
    assert (decision.rule, decision.wake_at) == ("wait-for-room", T + 31)
    waits = what.model_copy(update={"status": decision.status})
    assert plan(waits, world, T + 30).rule == "wait-for-room"
    assert plan(waits, world, T + 31).rule == "unschedulable"


def test_a_lease_held_too_late_for_the_rental_starts_nothing() -> None:
    rented = worker_seen(worker(available_until=T + 69))
    decision = plan(job(Phase.LEASING), seen(lease(), workers=(rented,)), T)
    assert decision.status is not None
    assert (decision.rule, decision.status.reason) == ("outlasts-rental", "RentalEnds")
    assert (decision.status.attempt, decision.status.phase) == (2, Phase.PENDING)
    enough = worker_seen(worker(available_until=T + 70))
    assert plan(job(Phase.LEASING), seen(lease(), workers=(enough,)), T).rule == "start"
