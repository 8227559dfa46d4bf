"""Outputs in the plan: noted per attempt, kept over generations, told where they are incomplete."""

from __future__ import annotations

import pytest
from cumulus.controller.reconcile.actions import ForgetLease, Mount
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.controller.reconcile.plan import plan
from cumulus.controller.reconcile.service_spec import service_spec
from cumulus.controller.reconcile.timing import LEFT_PATIENCE, SAVING_PATIENCE
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import JobSpec, Phase
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.outputs import KeptOutputs
from make import OK, UID, T, job, lease, seen, service, worker, worker_seen

DONE = ServiceState.COMPLETE


def left(attempt: int = 1, message: str = "") -> KeptOutputs:
    digest = f"sha256:{attempt:064x}"
    return KeptOutputs(digest=digest, size=7, files=1, attempt=attempt, taken_at=T, message=message)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.TIMED_OUT])
def test_what_came_is_noted_however_it_ended(phase: Phase) -> None:
    saved = lease(LeaseState.ENDED, released=True, status={"outputs": left()})
    decision = plan(job(phase), seen(saved), T)
    assert decision.rule == "note-outputs"
    assert decision.status is not None
    assert decision.status.outputs == (left(),)
    again = plan(job(phase, status={"outputs": (left(),)}), seen(saved), T)
    assert again.rule != "note-outputs"


def test_each_attempt_has_its_own_and_the_newest_ten_stay() -> None:
    known = tuple(left(n) for n in range(1, 11))
    what = job(Phase.PENDING, status={"attempt": 12, "outputs": known})
    saved = lease(LeaseState.ENDED, attempt=11, released=True, status={"outputs": left(11)})
    decision = plan(what, seen(saved), T)
    assert decision.status is not None
    assert [one.attempt for one in decision.status.outputs] == list(range(2, 12))


def test_what_is_not_kept_is_a_condition_until_a_later_attempt_is_whole() -> None:
    words = "its outputs are not all kept: x is a link"
    saved = lease(LeaseState.ENDED, released=True, status={"outputs": left(1, words)})
    told = plan(job(Phase.FAILED), seen(saved), T).status
    assert told is not None
    assert [(c.type, c.message) for c in told.conditions] == [("OutputsIncomplete", words)]
    later = lease(LeaseState.ENDED, attempt=2, released=True, status={"outputs": left(2)})
    known = {"attempt": 2, "outputs": told.outputs, "conditions": told.conditions}
    now = plan(job(Phase.SUCCEEDED, status=known), seen(later), T).status
    assert now is not None
    assert now.conditions == ()


def test_another_run_keeps_what_the_one_before_left() -> None:
    meta = {"generation": 2}
    known = {"outputs": (left(),), "cleaned": True, "run_hash": "another"}
    decision = plan(job(Phase.SUCCEEDED, meta=meta, status=known), seen(), T)
    assert decision.status is not None
    assert (decision.status.attempt, decision.status.outputs) == (2, (left(),))


def test_too_much_of_it_fails_the_attempt() -> None:
    words = "its /results holds more"
    ended = {"reason": "OutputsTooLarge", "message": words}
    over = lease(LeaseState.ENDED, status=ended)
    ran = service(ServiceState.FAILED, exit_code=137, finished_at=T + 1)
    decision = plan(job(Phase.RUNNING), seen(ran, over, OK), T + 1)
    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "OutputsTooLarge")
    assert decision.status.message == words


def test_the_folder_is_writable_and_only_where_the_agent_made_it() -> None:
    mine = f"/var/lib/cumulus/staged/{unit_name(UID, 1)}/outputs"
    made = lease(outputs_size=99, status={"mounts": ({"source": mine, "target": "/results"},)})
    found = service_spec(job(image="x"), made, worker(), "x")
    assert found.mounts == (Mount(mine, "/results", writable=True),)
    assert found.env["CUMULUS_OUTPUTS"] == "/results"
    for source, target in (("/etc", "/results"), (mine, "/etc"), (f"{mine}/..", "/results")):
        other = lease(status={"mounts": ({"source": source, "target": target},)})
        assert all(not mount.writable for mount in service_spec(job(), other, worker(), "x").mounts)


def test_what_is_kept_defines_no_run() -> None:
    plain = JobSpec(image="x").run_hash()
    assert plain == JobSpec(image="x", outputs={"size": 0, "experiment": "e"}).run_hash()  # type: ignore[arg-type]


def test_a_silent_worker_is_waited_for_longer_where_nothing_waits_for_it() -> None:
    saving = lease(LeaseState.SAVING, released=True)
    away = (worker_seen(ready=False, silent=10.0),)
    known = {"attempt": 2, "first_attempt": 1}
    for what, patience in (
        (job(status=known), SAVING_PATIENCE),
        (job(Phase.FAILED), LEFT_PATIENCE),
    ):
        until = T - 10 + patience
        assert plan(what, seen(saving, workers=away), T).wake_at == until
        late = plan(what, seen(saving, workers=away), until)
        assert late.actions == (ForgetLease(unit_name(UID, 1)),)
