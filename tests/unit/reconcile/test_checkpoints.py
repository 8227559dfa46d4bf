"""Checkpoints in the plan: noted, given to the next attempt, waited for, and never held against anyone."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.actions import (
    ForgetLease,
    Mount,
    PutLease,
    ReleaseLease,
    RemoveService,
)
from cumulus.controller.reconcile.observed import LogsSeen, ResultSeen, ServiceState
from cumulus.controller.reconcile.plan import plan
from cumulus.controller.reconcile.service_spec import service_spec
from cumulus.controller.reconcile.timing import SAVING_PATIENCE
from cumulus.crd_like_specs.checkpoint import Snapshot
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import JobSpec, Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import EMPTY, OK, UID, T, job, lease, seen, service, worker, worker_seen

RUN, DONE, FAIL = ServiceState.RUNNING, ServiceState.COMPLETE, ServiceState.FAILED
PAUSED = LogsSeen(complete=True, result=ResultSeen(size=9, ok=False, error_type="Paused"))
STOPPING = {"stopping": "Suspended", "worker": "n1"}


def shot(digit: str = "a", attempt: int = 1) -> Snapshot:
    return Snapshot(digest=f"sha256:{digit * 64}", size=7, files=1, attempt=attempt, taken_at=T)


A, B, C = shot("a"), shot("b"), shot("c")
KEPT = {"checkpoint": A}


def test_what_an_agent_keeps_is_noted() -> None:
    decision = plan(job(Phase.RUNNING), seen(service(RUN), lease(status=KEPT)), T)
    assert decision.rule == "note-checkpoint"
    assert decision.status is not None
    assert decision.status.checkpoints == (A,)


@pytest.mark.parametrize(
    ("known", "said", "noted"),
    [
        ((A,), A, None),
        ((A,), B, (A, B)),
        ((A, B), C, (B, C)),
        ((A, B), A, (B, A)),
        ((shot("a", 2),), B, None),  # what an attempt before it says late is older
        ((shot("a", 2),), shot("b", 3), (shot("a", 2), shot("b", 3))),
    ],
)
def test_the_newest_two_are_kept_in_their_order(
    known: tuple[Snapshot, ...], said: Snapshot, noted: tuple[Snapshot, ...] | None
) -> None:
    of = lease(attempt=said.attempt, status={"checkpoint": said})
    what = job(Phase.RUNNING, status={"checkpoints": known, "attempt": max(1, said.attempt)})
    decision = plan(what, seen(service(RUN, attempt=said.attempt), of), T)
    if noted is None:
        assert decision.rule != "note-checkpoint"
    else:
        assert decision.status is not None
        assert decision.status.checkpoints == noted


def test_a_checkpoint_that_is_lost_is_told_until_there_is_a_newer_one() -> None:
    words = "its last checkpoint could not be kept: no room"
    given_up = lease(LeaseState.ENDED, released=True, status={"message": words})
    what = job(status={"attempt": 2, "first_attempt": 1, "checkpoints": (A,)})
    told = plan(what, seen(given_up), T).status
    assert told is not None
    assert [(c.type, c.message) for c in told.conditions] == [("CheckpointLost", words)]
    assert told.checkpoints == (A,), "the one before is what there is"
    again = what.model_copy(update={"status": told})
    assert plan(again, seen(given_up), T).rule == "clean-first", "said once"
    newer = lease(attempt=2, status={"checkpoint": shot("b", 2)})
    after = plan(again, seen(newer), T).status
    assert after is not None
    assert after.conditions == ()


def test_another_spec_begins_without() -> None:
    changed = {"checkpoints": (A,), "run_hash": "old"}
    again = plan(job(status=changed, meta={"generation": 2}), seen(), T).status
    assert again is not None
    assert (again.attempt, again.checkpoints) == (2, ())
    stale = lease(LeaseState.ENDED, attempt=1, released=True, status=KEPT)
    later = job(status={"attempt": 2, "first_attempt": 2})
    assert plan(later, seen(stale), T).rule == "clean-first"


def test_the_next_attempt_is_given_the_newest() -> None:
    decision = plan(job(status={"checkpoints": (A, B)}, checkpoint={"interval": 5}), seen(), T)
    (action,) = decision.actions
    assert isinstance(action, PutLease)
    spec = action.lease.spec
    assert (spec.checkpoint, spec.checkpoint_size, spec.checkpoint_interval) == (
        B.digest,
        1 << 30,
        5,
    )


def test_a_job_without_the_folder_is_given_none() -> None:
    decision = plan(job(status={"checkpoints": (A,)}, checkpoint={"size": 0}), seen(), T)
    (action,) = decision.actions
    assert isinstance(action, PutLease)
    assert (action.lease.spec.checkpoint, action.lease.spec.checkpoint_size) == ("", 0)


def test_a_retry_keeps_what_there_is() -> None:
    what = job(Phase.RUNNING, retry={"limit": 1}, status={"checkpoints": (A,), "worker": "n1"})
    bad = LogsSeen(complete=True, result=ResultSeen(size=9, ok=False, error_type="E"))
    after = plan(what, seen(service(FAIL, exit_code=1, finished_at=T), lease(), bad), T).status
    assert after is not None
    assert (after.attempt, after.checkpoints) == (2, (A,))


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({}, (30.0, 10.0)),
        ({"checkpoint": {"grace": "2m"}}, (120.0, 10.0)),
        ({"checkpoint": {"grace": 0}}, (0.0, 10.0)),
        ({"checkpoint": {"size": 0}}, (0.0, 10.0)),
        ({"image": "x"}, (0.0, 30.0)),  # nothing warns it but SIGTERM
        ({"image": "x", "checkpoint": {"grace": 1}}, (0.0, 10.0)),
    ],
)
def test_a_pause_gives_time(fields: dict[str, Any], given: tuple[float, float]) -> None:
    what = job(Phase.RUNNING, suspend=True, status=STOPPING, **fields)
    decision = plan(what, seen(service(RUN), lease()), T)
    (action,) = decision.actions
    assert isinstance(action, PutLease)
    assert (action.lease.spec.notice, action.lease.spec.grace) == given
    assert decision.status is not None
    assert decision.status.stop_by == T + sum(given) + 5


@pytest.mark.parametrize("end", ["cancellation_timestamp", "deletion_timestamp"])
@pytest.mark.parametrize("began", ["Suspended", "Drained"])
def test_who_cancels_meanwhile_does_not_wait_for_it(began: str, end: str) -> None:
    """It is not to go on any more: nothing is worth the time that it was given to save."""
    given = {"revoked": began, "grace": 10.0, "notice": 3600.0}
    status = {"stopping": began, "stop_by": T + 3615}
    pausing = job(Phase.RUNNING, suspend=True, status=status)
    assert plan(pausing, seen(service(RUN), lease(**given)), T + 60).actions == ()
    ended = job(Phase.RUNNING, meta={end: T + 60}, suspend=True, status=status)
    decision = plan(ended, seen(service(RUN), lease(**given)), T + 60)
    (action,) = decision.actions
    assert isinstance(action, PutLease)
    wanted = action.lease.spec
    assert (wanted.revoked, wanted.notice, wanted.grace) == (began, 0.0, 10.0)
    assert decision.status is not None
    assert decision.status.stop_by == T + 75
    again = ended.model_copy(update={"status": decision.status})
    told = seen(service(RUN), lease(**{**given, "notice": 0.0}))
    assert plan(again, told, T + 61).actions == ()


def test_a_cancel_gives_none() -> None:
    what = job(Phase.RUNNING, meta={"cancellation_timestamp": T}, status={"stopping": "Cancelled"})
    (action,) = plan(what, seen(service(RUN), lease()), T).actions
    assert isinstance(action, PutLease)
    assert action.lease.spec.notice == 0.0


@pytest.mark.parametrize(
    ("service_state", "logs", "phase"),
    [
        (FAIL, PAUSED, Phase.PENDING),  # it saved, and returned
        (FAIL, EMPTY, Phase.PENDING),  # it had to be killed
        (DONE, OK, Phase.SUCCEEDED),  # it was done anyway
    ],
)
def test_how_a_job_ends_while_it_is_paused(
    service_state: ServiceState, logs: LogsSeen, phase: Phase
) -> None:
    what = job(Phase.RUNNING, suspend=True, retry={"limit": 0}, status=STOPPING)
    ended = service(service_state, exit_code=0 if service_state is DONE else 75, finished_at=T)
    after = plan(what, seen(ended, lease(revoked="Suspended"), logs), T).status
    assert after is not None
    assert after.phase is phase
    if phase is Phase.PENDING:
        assert (after.reason, after.attempts[-1].cause) == ("Suspended", None)


def test_a_paused_job_says_from_where_it_goes_on() -> None:
    fields = {"attempt": 2, "first_attempt": 1, "checkpoints": (A,)}
    after = plan(job(suspend=True, status=fields), seen(), T).status
    assert after is not None
    assert after.reason == "Suspended"
    assert "goes on from the checkpoint of attempt 1" in after.message


def test_a_folder_that_grew_too_large_is_named() -> None:
    said = {"reason": "CheckpointTooLarge", "message": "its /checkpoint holds too much"}
    failed = service(FAIL, exit_code=143, finished_at=T)
    after = plan(job(Phase.RUNNING), seen(failed, lease(LeaseState.ENDED, status=said), EMPTY), T)
    assert after.status is not None
    assert (after.status.phase, after.status.reason) == (Phase.FAILED, "CheckpointTooLarge")
    assert after.status.message == "its /checkpoint holds too much"


def test_the_next_attempt_waits_until_the_last_one_is_safe() -> None:
    saving = lease(LeaseState.SAVING, released=True)
    what = job(status={"attempt": 2, "first_attempt": 1})
    decision = plan(what, seen(saving), T)
    assert (decision.rule, decision.actions, decision.wake_at) == ("clean-first", (), None)
    over = lease(LeaseState.ENDED, released=True)
    assert plan(what, seen(over), T).actions == (ForgetLease(unit_name(UID, 1)),)


def test_it_does_not_wait_for_an_agent_that_stays_away() -> None:
    saving = lease(LeaseState.SAVING, released=True)
    away = (worker_seen(ready=False, silent=10.0),)
    what = job(status={"attempt": 2, "first_attempt": 1})
    decision = plan(what, seen(saving, workers=away), T)
    assert (decision.actions, decision.wake_at) == ((), T - 10 + SAVING_PATIENCE)
    late = plan(what, seen(saving, workers=away), T - 10 + SAVING_PATIENCE)
    assert late.actions == (ForgetLease(unit_name(UID, 1)),)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.CANCELLED])
def test_a_job_that_is_deleted_waits_for_nothing(phase: Phase) -> None:
    saving = lease(LeaseState.SAVING, released=True)
    what = job(phase, meta={"deletion_timestamp": T})
    assert plan(what, seen(saving), T).actions == (ForgetLease(unit_name(UID, 1)),)


def test_it_goes_in_order_service_then_lease() -> None:
    saving = lease(LeaseState.SAVING)
    ended = service(DONE, exit_code=0, finished_at=T)
    what = job(Phase.SUCCEEDED)
    assert plan(what, seen(ended, saving), T).actions == (RemoveService(unit_name(UID, 1)),)
    assert plan(what, seen(saving), T).actions == (ReleaseLease(unit_name(UID, 1)),)


def test_the_folder_is_writable_and_only_where_the_agent_made_it() -> None:
    name = unit_name(UID, 1)
    mine = f"/var/lib/cumulus/staged/{name}/checkpoint"
    made = lease(
        checkpoint_size=99, status={"mounts": ({"source": mine, "target": "/checkpoint"},)}
    )
    service = service_spec(job(), made, worker(), "x")
    assert service.mounts[-1] == Mount(mine, "/checkpoint", writable=True)
    assert service.env["CUMULUS_CHECKPOINT_DIR"] == "/checkpoint"
    assert service.env["CUMULUS_CHECKPOINT_SIZE"] == "99"
    for source, target in (("/etc", "/checkpoint"), (mine, "/etc"), (f"{mine}/..", "/checkpoint")):
        other = lease(status={"mounts": ({"source": source, "target": target},)})
        assert all(not mount.writable for mount in service_spec(job(), other, worker(), "x").mounts)
    assert len(service_spec(job(), lease(), worker(), "x").mounts) == 2


def test_a_checkpoints_rules_define_no_run() -> None:
    def hashed(**fields: Any) -> str:
        return JobSpec(image="x", **fields).run_hash()

    assert hashed() == hashed(checkpoint={"size": "5Gi", "interval": "1m", "grace": 0})
