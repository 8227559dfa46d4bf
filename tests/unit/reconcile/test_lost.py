"""What becomes of attempts whose worker was lost: it is said at once, and nothing starts twice."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.actions import (
    CollectLogs,
    CreateService,
    ForgetLease,
    PutLease,
    ReleaseLease,
    RemoveService,
)
from cumulus.controller.reconcile.case import Case
from cumulus.controller.reconcile.certainty import over_at
from cumulus.controller.reconcile.cleanup import plan_orphan, times_of
from cumulus.controller.reconcile.observed import (
    LeaseTimes,
    LogsSeen,
    ResultSeen,
    Seen,
    ServiceState,
    WorkerSeen,
)
from cumulus.controller.reconcile.plan import plan
from cumulus.controller.reconcile.timing import FORGET_MARGIN, OVERRUN_PATIENCE, REMOVAL_MARGIN
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.lease import DISCONNECTED, EXPIRED, RESTARTED, WORKER_LOST, LeaseState
from make import BAD, EMPTY, OK, UID, T, job, lease, seen, service, worker, worker_seen

UNIT = unit_name(UID, 1)
RUN, PEND, FAIL, LOST = (
    ServiceState.RUNNING,
    ServiceState.PENDING,
    ServiceState.FAILED,
    ServiceState.LOST,
)
GONE = T + 60 + FORGET_MARGIN + 0.06  # when a lease of 60 s from T is over on a silent worker


TERMINATED = LogsSeen(
    complete=True,
    result=ResultSeen(10, ok=False, error_type="Terminated", error="terminated by SIGTERM"),
)


def fleet(**fields: Any) -> tuple[WorkerSeen, ...]:
    return (worker_seen(**fields),)


def silent(since: float, *, node_up: bool = True) -> tuple[WorkerSeen, ...]:
    """Its agent was last heard so long after T."""
    return fleet(ready=False, contact=False, silent=-since, node_up=node_up)


TOLD = fleet(ready=False, contact=True, node_up=False)  # only the platform lost its node
FENCED = fleet(of=worker(fenced=True), ready=False, contact=False, silent=60.0, node_up=False)
FENCED_UP = fleet(of=worker(fenced=True), ready=False, contact=False, silent=60.0)
SAD = {"stop_after_disconnect": 20}


def running(**fields: Any) -> Job:
    return job(Phase.RUNNING, status={"worker": "n1", **fields.pop("status", {})}, **fields)


def failed(code: int | None = 137, at: float = T + 30, **fields: Any) -> Any:
    return service(FAIL, exit_code=code, finished_at=at, **fields)


# job, what is seen, now → rule, actions (types), phase, other status fields
CASES: dict[str, tuple[Job, Seen, float, str, tuple[type, ...], Phase | None, dict[str, Any]]] = {
    "agent silent, node up: it goes on": (running(), seen(service(RUN), lease(), workers=silent(24)), T + 30, "running", (), None, {"reason": DISCONNECTED, "message": "worker n1 has been silent since 1970-01-01 00:17:04 UTC; it ends the job alone, so that it may run elsewhere from 1970-01-01 00:17:50 UTC"}),
    "agent back: nothing is said any more": (running(status={"reason": DISCONNECTED, "message": "x"}), seen(service(RUN), lease()), T + 30, "running", (), None, {"reason": "", "message": ""}),
    "agent silent, node down": (running(), seen(service(LOST), lease(), workers=silent(24, node_up=False)), T + 30, "lost", (), None, {"reason": WORKER_LOST}),
    "node down to the lease's end": (running(), seen(service(LOST), lease(), workers=silent(9.96, node_up=False)), GONE - 0.1, "lost", (), None, {"reason": WORKER_LOST}),
    "node down beyond the lease's end": (running(), seen(service(LOST), lease(), workers=silent(10.06, node_up=False)), GONE, "lost", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "node down, short of its disconnect": (running(), seen(service(LOST), lease(**SAD), workers=silent(10, node_up=False)), T + 40, "lost", (), None, {"reason": WORKER_LOST}),
    "node down beyond its disconnect": (running(), seen(service(LOST), lease(**SAD), workers=silent(9, node_up=False)), T + 40, "lost", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "node down, agent in contact: it ends it": (running(), seen(service(LOST), lease(), workers=TOLD), T + 30, "lost", (PutLease,), None, {"reason": WORKER_LOST}),
    "node down, agent is ending it": (running(), seen(service(LOST), lease(LeaseState.ENDING, revoked=WORKER_LOST), workers=TOLD), GONE + 99, "lost", (), None, {"reason": WORKER_LOST}),
    "node down, agent ended it": (running(), seen(service(LOST), lease(LeaseState.ENDED, revoked=WORKER_LOST), workers=TOLD), T + 30, "lost", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "node down, lease failed": (running(), seen(service(LOST), lease(LeaseState.FAILED), workers=TOLD), T + 30, "lease-lost", (), Phase.FAILED, {"reason": "LeaseLost"}),
    "node down, worker's record gone": (running(), seen(service(LOST), lease(), workers=()), T + 30, "lost", (), None, {"reason": WORKER_LOST, "message": "worker n1 is gone; it ends the job alone, so that it may run elsewhere from 1970-01-01 00:17:50 UTC"}),
    "node down, but its agent saw it succeed": (running(), seen(service(LOST), lease(status={"exit_code": 0, "finished_at": T + 20}), OK, workers=TOLD), T + 30, "succeeded", (), Phase.SUCCEEDED, {"exit_code": 0, "finished_at": T + 20}),
    "node down, its agent saw it succeed and fell silent": (running(), seen(service(LOST), lease(status={"exit_code": 0, "finished_at": T + 20}), OK, workers=silent(25, node_up=False)), T + 30, "succeeded", (), Phase.SUCCEEDED, {}),
    "node down, but its agent saw it fail": (running(), seen(service(LOST), lease(status={"exit_code": 3, "finished_at": T + 20}), EMPTY, workers=TOLD), T + 30, "failed", (), Phase.FAILED, {"reason": "ExitCode", "exit_code": 3}),
    "node down, its agent saw it end, its output is on the way": (running(), seen(service(LOST), lease(status={"exit_code": 0, "finished_at": T + 20}), workers=TOLD, since={UNIT: T + 28}), T + 30, "await-logs", (), None, {}),
    "node down, ended for that": (running(), seen(service(LOST), lease(LeaseState.ENDING, revoked=WORKER_LOST, status={"exit_code": 143, "finished_at": T + 29}), EMPTY, workers=TOLD), T + 30, "ended-by-worker", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "node down, ended with its lease": (running(), seen(service(LOST), lease(LeaseState.ENDED, status={"exit_code": 137, "finished_at": T + 61, "reason": EXPIRED}), EMPTY, workers=TOLD), T + 62, "timed-out", (), Phase.TIMED_OUT, {}),
    "node down, machine started anew": (running(), seen(service(LOST), lease(LeaseState.ENDED, status={"exit_code": 255, "finished_at": T + 29, "reason": RESTARTED}), EMPTY, workers=TOLD), T + 30, "ended-by-worker", (), Phase.FAILED, {"reason": RESTARTED}),
    "lost while being cancelled": (running(status={"stopping": "Cancelled"}), seen(service(LOST), lease(LeaseState.ENDED)), T + 30, "stopped", (), Phase.CANCELLED, {}),
    "lost while being suspended": (running(status={"stopping": "Suspended"}), seen(service(LOST), lease(LeaseState.ENDED)), T + 30, "suspended", (), Phase.PENDING, {"attempt": 2}),
    "fenced while running": (running(), seen(service(RUN), lease(), workers=FENCED), T + 30, "fenced", (), Phase.FAILED, {"reason": "Fenced"}),
    "fenced while lost": (running(), seen(service(LOST), lease(), workers=FENCED), T + 30, "fenced", (), Phase.FAILED, {"reason": "Fenced"}),
    "fenced and retried": (running(retry={"limit": 1}), seen(service(LOST), lease(), workers=FENCED), T + 30, "fenced", (), Phase.PENDING, {"attempt": 2, "reason": "Retrying"}),
    "fenced, but over before": (running(), seen(service(ServiceState.COMPLETE, exit_code=0, finished_at=T + 5), lease(), OK, workers=FENCED), T + 30, "succeeded", (), Phase.SUCCEEDED, {}),
    "fenced before it started": (job(Phase.LEASING), seen(lease(), workers=FENCED), T + 1, "worker-fenced", (), Phase.PENDING, {"attempt": 2, "reason": "Fenced"}),
    "fenced: the lease counts as gone": (job(status={"attempt": 2}), seen(lease(released=True), workers=FENCED), T + 1, "clean-first", (ForgetLease,), None, {}),
    "fenced, but its node may have started what was removed": (job(status={"attempt": 2}), seen(lease(released=True), workers=FENCED_UP), T + 19, "clean-first", (), None, {}),
    "fenced, and its node has had its time": (job(status={"attempt": 2}), seen(lease(released=True), workers=FENCED_UP), T + REMOVAL_MARGIN, "clean-first", (ForgetLease,), None, {}),
    "agent silent, due": (running(), seen(service(RUN), lease(), workers=silent(3)), T + 60 + OVERRUN_PATIENCE, "overdue", (CollectLogs,), None, {}),
    "agent silent, due, its output cannot be had in time": (running(), seen(service(RUN), lease(), workers=silent(3)), T + 62 + OVERRUN_PATIENCE, "overdue", (RemoveService,), None, {}),
    "agent silent, due, its output is safe": (running(), seen(service(RUN), lease(), OK, workers=silent(3)), T + 60 + OVERRUN_PATIENCE, "overdue", (RemoveService,), None, {}),
    "due when its node comes back": (running(), seen(service(RUN), lease(), workers=silent(30), since={UNIT: T + 70}), T + 72, "seen-again", (), None, {}),
    "due long after its node came back": (running(), seen(service(RUN), lease(), since={UNIT: T + 70}), T + 73, "overdue", (RemoveService,), None, {}),
    "found dead by an engine that is there before its agent": (running(), seen(failed(255), lease(), EMPTY, workers=silent(5)), T + 30, "ended-by-worker", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "its own 255": (running(), seen(failed(255), lease(), EMPTY), T + 30, "failed", (), Phase.FAILED, {"reason": "ExitCode", "message": "exit code 255"}),
    "agent silent, its disconnect is over": (running(), seen(service(RUN), lease(**SAD), workers=silent(17)), T + 40, "overdue", (CollectLogs,), None, {}),
    "agent silent, its disconnect is not over": (running(), seen(service(RUN), lease(**SAD), workers=silent(18)), T + 40, "running", (), None, {}),
    "in contact it has no disconnect": (running(), seen(service(RUN), lease(**SAD)), T + 40, "running", (), None, {"reason": ""}),
    "removed for its disconnect": (running(), seen(lease(**SAD), workers=silent(16)), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": DISCONNECTED}),
    "the agent ended it for its disconnect": (running(), seen(failed(143), lease(LeaseState.ENDED, status={"reason": DISCONNECTED}, **SAD), EMPTY), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": DISCONNECTED, "exit_code": 143}),
    "killed at its disconnect, agent still silent": (running(), seen(failed(143), lease(**SAD), EMPTY, workers=silent(15), since={UNIT: T + 36}), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": DISCONNECTED}),
    "the same, and the runner said so": (running(), seen(failed(143), lease(**SAD), TERMINATED, workers=silent(15), since={UNIT: T + 36}), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": DISCONNECTED}),
    "stopped as its node was lost, and the runner said so": (running(), seen(failed(143), lease(revoked=WORKER_LOST), TERMINATED), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "terminated by nobody of ours": (running(), seen(failed(143), lease(), TERMINATED), T + 40, "failed", (), Phase.FAILED, {"reason": "Terminated"}),
    "its own error while the agent is silent": (running(), seen(failed(3), lease(**SAD), EMPTY, workers=silent(15), since={UNIT: T + 36}), T + 40, "failed", (), Phase.FAILED, {"reason": "ExitCode"}),
    "killed long before its disconnect": (running(), seen(failed(143), lease(**SAD), EMPTY, workers=silent(15), since={UNIT: T + 20}), T + 40, "failed", (), Phase.FAILED, {"reason": "Signalled"}),
    "its machine was started anew": (running(), seen(failed(255), lease(LeaseState.ENDED, status={"reason": RESTARTED}), EMPTY), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": RESTARTED}),
    "it said how it ended before its machine did": (running(), seen(failed(1), lease(LeaseState.ENDED, status={"reason": RESTARTED}), BAD), T + 40, "failed", (), Phase.FAILED, {"reason": "ValueError"}),
    "stopped as its node was lost": (running(), seen(failed(143), lease(revoked=WORKER_LOST), EMPTY), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "its node came back without it": (running(status={"reason": WORKER_LOST}), seen(failed(255), lease(), EMPTY), T + 40, "ended-by-worker", (), Phase.FAILED, {"reason": WORKER_LOST}),
    "lost before the service was there": (job(Phase.LEASING), seen(lease(LeaseState.ENDED, status={"reason": RESTARTED})), T + 5, "worker-lost", (), Phase.PENDING, {"attempt": 2, "reason": RESTARTED}),
    "in contact without its node": (job(Phase.LEASING), seen(lease(not_before=T), workers=TOLD), T + 21, "worker-silent", (), Phase.PENDING, {"attempt": 2}),
    "in contact without its node, whenever its agent came": (job(Phase.LEASING), seen(lease(not_before=T), workers=fleet(ready=False, contact=True, node_up=False, contact_since=T + 20)), T + 21, "worker-silent", (), Phase.PENDING, {"attempt": 2}),
    "its agent is back and has yet to tell what it has": (job(Phase.LEASING), seen(lease(not_before=T), workers=fleet(ready=False, contact=True, contact_since=T + 20)), T + 21, "await-lease", (), None, {}),
    "its agent is back and does not become ready": (job(Phase.LEASING), seen(lease(not_before=T), workers=fleet(ready=False, contact=True, contact_since=T + 20)), T + 41, "worker-silent", (), Phase.PENDING, {"attempt": 2}),
    "in contact without its node for a moment": (job(Phase.LEASING), seen(lease(not_before=T), workers=TOLD), T + 19, "await-lease", (), None, {}),
    "a service removed on a node in reach has its time": (job(status={"attempt": 2}), seen(lease(released=True), workers=silent(-15), times={UNIT: LeaseTimes(T + 60, T + 65)}), T + 84, "clean-first", (), None, {}),
    "and is gone then": (job(status={"attempt": 2}), seen(lease(released=True), workers=silent(-14), times={UNIT: LeaseTimes(T + 60, T + 65)}), T + 65 + REMOVAL_MARGIN, "clean-first", (ForgetLease,), None, {}),
    "a node out of reach needs no such time": (job(status={"attempt": 2}), seen(lease(released=True), workers=silent(-26, node_up=False), times={UNIT: LeaseTimes(T + 60, T + 72)}), T + 73, "clean-first", (ForgetLease,), None, {}),
    "in contact only its agent's word counts": (job(status={"attempt": 2}), seen(lease(released=True)), T + 9999, "clean-first", (), None, {}),
    "never held: gone with its agent": (job(status={"attempt": 2}), seen(lease(LeaseState.PENDING, released=True), workers=silent(-6)), T, "clean-first", (ForgetLease,), None, {}),
    "cancelled where only the agent reaches it": (running(status={"stopping": "Cancelled"}, meta={"cancellation_timestamp": T + 5}), seen(service(RUN), lease(), workers=TOLD), T + 6, "stop", (PutLease,), None, {"stop_by": T + 21}),
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


def test_the_agent_is_asked_to_end_what_the_platform_has_given_up() -> None:
    (put,) = plan(running(), seen(service(LOST), lease(), workers=TOLD), T + 30).actions
    assert isinstance(put, PutLease)
    assert (put.lease.spec.revoked, put.lease.spec.grace) == (WORKER_LOST, 10.0)


def test_a_lost_worker_is_looked_at_again_when_its_job_may_go_elsewhere() -> None:
    decision = plan(
        running(), seen(service(LOST), lease(), workers=silent(24, node_up=False)), T + 30
    )
    assert decision.wake_at == pytest.approx(GONE)
    cut = plan(
        running(), seen(service(LOST), lease(**SAD), workers=silent(24, node_up=False)), T + 30
    )
    assert cut.wake_at == pytest.approx(T + 24 + 20 + FORGET_MARGIN, abs=0.1)


def test_a_silent_agent_is_stepped_in_for_when_it_is_due() -> None:
    assert plan(running(), seen(service(RUN), lease(), workers=silent(24)), T + 30).wake_at == (
        T + 60 + OVERRUN_PATIENCE
    )
    cut = plan(running(), seen(service(RUN), lease(**SAD), workers=silent(24)), T + 30)
    assert cut.wake_at == T + 24 + 20 + OVERRUN_PATIENCE


def test_the_lease_is_told_of_its_disconnect() -> None:
    (put,) = plan(job(stopAfterDisconnect="90s"), seen(), T).actions
    assert isinstance(put, PutLease)
    assert put.lease.spec.stop_after_disconnect == 90


HOUR = 3600.0
CLOCKS: dict[str, tuple[float, float, float, int, str]] = {
    # worker's clock ahead when held, its engine's when it ended; ended how long after being held
    "both right, at its end": (0, 0, 60.1, 143, "timed-out"),
    "both right, before": (0, 0, 30, 143, "failed"),
    "agent's an hour ahead, at its end": (HOUR, 0, 60.1, 143, "timed-out"),
    "agent's an hour ahead, before": (HOUR, 0, 30, 3, "failed"),
    "agent's an hour behind, at its end": (-HOUR, 0, 60.1, 143, "timed-out"),
    "agent's an hour behind, before": (-HOUR, 0, 30, 3, "failed"),
    "both an hour ahead, at their end": (HOUR, HOUR, 60.1, 137, "timed-out"),
    "both an hour behind, before": (-HOUR, -HOUR, 30, 3, "failed"),
    "set ahead in between, before": (0, HOUR, 30, 3, "failed"),
}


@pytest.mark.parametrize("case", CLOCKS.values(), ids=CLOCKS.keys())
def test_foreign_clocks_do_not_tell_what_came_first(case: Any) -> None:
    agent, engine, after, code, rule = case
    over = after >= 60
    ending = LeaseState.ENDED if over else LeaseState.HELD
    held = lease(ending, held_at=T + agent, status={"reason": EXPIRED if over else ""})
    world = seen(
        failed(code, at=T + after + engine),
        held,
        EMPTY,
        times={UNIT: LeaseTimes(T + 60.05)},
        since={UNIT: T + after + 0.1},
    )
    assert plan(running(), world, T + after + 0.2).rule == rule


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_foreign_clocks_neither_start_late_nor_end_early(off: float) -> None:
    held = lease(held_at=T + off, duration=600)
    world = {"times": {UNIT: LeaseTimes(T + 600)}}
    starting = job(Phase.STARTING, duration=600)
    assert plan(starting, seen(service(PEND), held, **world), T + 59).rule == "starting"
    assert plan(starting, seen(service(PEND), held, **world), T + 61).rule == "never-started"
    assert plan(running(), seen(service(RUN), held, **world), T + 599).rule == "running"
    assert plan(running(), seen(service(RUN), held, **world), T + 604).rule == "overdue"
    assert plan(running(), seen(held, **world), T + 9).status.reason == "ServiceVanished"  # type: ignore[union-attr]
    assert plan(running(), seen(held, **world), T + 601).rule == "timed-out"


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_foreign_clocks_do_not_cut_the_wait_for_logs(off: float) -> None:
    done = service(ServiceState.COMPLETE, exit_code=0, finished_at=T + 3 + off)
    world = seen(done, lease(), since={UNIT: T + 3})
    assert plan(running(), world, T + 4).rule == "await-logs"
    (collect,) = plan(running(), world, T + 9).actions
    assert isinstance(collect, CollectLogs)


@pytest.mark.parametrize(
    ("state", "workers", "times", "over"),
    [
        (LeaseState.ENDED, fleet(), LeaseTimes(T + 60), 0.0),
        (LeaseState.ENDED, fleet(), LeaseTimes(T + 60, T + 1), 0.0),
        (LeaseState.ENDED, silent(9), LeaseTimes(T + 60), 0.0),
        (LeaseState.ENDED, silent(9), LeaseTimes(T + 60, T + 1), T + 1 + REMOVAL_MARGIN),
        (LeaseState.ENDED, silent(9, node_up=False), LeaseTimes(T + 60, T + 1), 0.0),
        (LeaseState.HELD, fleet(), LeaseTimes(T + 60), None),
        (LeaseState.HELD, TOLD, LeaseTimes(T + 60), None),
        (LeaseState.HELD, FENCED, LeaseTimes(T + 60), 0.0),
        (LeaseState.HELD, (), LeaseTimes(T + 60), GONE),
        (LeaseState.FAILED, silent(9), LeaseTimes(T + 60), GONE),
        (LeaseState.PREPARING, silent(9), LeaseTimes(), 0.0),
        (LeaseState.HELD, silent(9), LeaseTimes(T + 60, T + 1), GONE),
        (LeaseState.HELD, silent(9), LeaseTimes(T + 60, T + 99), T + 99 + REMOVAL_MARGIN),
        (LeaseState.HELD, (), LeaseTimes(T + 60, T + 99), T + 99 + REMOVAL_MARGIN),
    ],
)
def test_certainty(state: LeaseState, workers: Any, times: LeaseTimes, over: float | None) -> None:
    found = over_at(lease(state), times, next(iter(workers), None))
    assert found == (over if over is None else pytest.approx(over))


def test_a_long_lease_has_a_longer_margin() -> None:
    month = 30 * 86400
    over = over_at(lease(duration=month), LeaseTimes(T + month), silent(-9)[0])
    assert over == pytest.approx(T + month + FORGET_MARGIN + month / 1000)


def test_what_belongs_to_no_job_waits_for_certainty_too() -> None:
    world = seen(lease(released=True), workers=silent(9))
    waiting = plan_orphan(world, T + 30)
    assert (waiting.actions, waiting.wake_at) == ((), pytest.approx(GONE))
    assert plan_orphan(world, GONE).actions == (ForgetLease(UNIT),)
    assert plan_orphan(seen(lease()), T).actions == (ReleaseLease(UNIT),)


def test_nothing_starts_while_an_earlier_lease_may_be_alive() -> None:
    """Whatever happens on the way: until the old one is certainly over, no new one is placed."""
    world = {"workers": (*silent(30, node_up=False), worker_seen(worker("n2")))}
    late = job(status={"attempt": 2})
    for now in (T + 1, T + 59, T + 61, GONE - 0.1):
        actions = plan(late, seen(lease(released=True), **world), now).actions
        assert not [a for a in actions if isinstance(a, PutLease | CreateService | ForgetLease)]
    assert plan(late, seen(lease(released=True), **world), GONE).actions == (ForgetLease(UNIT),)
    assert plan(late, seen(**world), GONE).rule == "place"


def test_times_of_leases_the_controller_has_none_of_are_the_records() -> None:
    assert times_of(lease(released=True), seen()) == LeaseTimes(T + 60, T)
    assert Case(job(), seen(), T).times(lease()) == LeaseTimes(T + 60, 0.0)
