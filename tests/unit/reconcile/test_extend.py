"""A lease that is to last longer: when it may, and how the plan carries it out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cumulus.controller.reconcile.actions import PutLease
from cumulus.controller.reconcile.extending import refusal
from cumulus.controller.reconcile.observed import Booking, LeaseTimes, ServiceState, WorkerSeen
from cumulus.controller.reconcile.plan import plan
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, T, job, lease, seen, service, worker, worker_seen

LONGER = {"extension": 30}


def booking(name: str, start: float, end: float, milli: int = 1000) -> Booking:
    return Booking(name, "n1", start, end, (0,), milli, 0, 0)


MINE = booking("mine", 0.0, T + 100)


def fleet(*others: Booking, milli: int = 0, **wanted: Any) -> WorkerSeen:
    return replace(worker_seen(worker(**wanted), milli={0: milli}), held=(MINE, *others))


@pytest.mark.parametrize(
    ("there", "claims", "longer", "why"),
    [
        (fleet(), (), 3600, ""),
        (fleet(available_until=T + 300), (), 190, ""),
        (fleet(available_until=T + 300), (), 191, "worker n1 is rented until 00:21 UTC: it can be extended by 3m10s at most"),
        (fleet(available_until=T + 60), (), 1, "worker n1 is rented until 00:17 UTC: it cannot be extended"),
        (fleet(drain=True), (), 1, "worker n1 is being drained: the job is moved away from there"),
        (fleet(), (booking("next", T + 100, T + 200),), 1, "its room on worker n1 is kept for job next from 00:19 UTC on: it cannot be extended"),
        (fleet(), (booking("next", T + 160, T + 200),), 60, ""),
        (fleet(), (booking("next", T + 160, T + 200),), 61, "its room on worker n1 is kept for job next from 00:20 UTC on: it can be extended by 1m at most"),
        (fleet(milli=500), (booking("half", T + 100, T + 200, 500),), 900, ""),
        (fleet(booking("other", 0.0, T + 50, 500)), (booking("half", T + 100, T + 200, 500),), 900, ""),
        (fleet(), (booking("a", T + 100, T + 150, 400), booking("b", T + 120, T + 300, 400)), 10, "its room on worker n1 is kept for job a from 00:19 UTC on: it cannot be extended"),
    ],
)  # fmt: skip
def test_what_was_promised_comes_first(
    there: WorkerSeen, claims: tuple[Booking, ...], longer: int, why: str
) -> None:
    assert refusal(MINE, there, claims, longer, T) == why


@pytest.mark.parametrize("state", [LeaseState.PENDING, LeaseState.PREPARING, LeaseState.HELD])
def test_the_lease_is_made_as_long_as_the_job_is_to_last(state: LeaseState) -> None:
    phase = Phase.RUNNING if state is LeaseState.HELD else Phase.LEASING
    things = [lease(state), *([service()] if phase is Phase.RUNNING else [])]
    found = plan(job(phase, meta=LONGER), seen(*things), T + 1)
    assert found.rule == "extend"
    (action,) = found.actions
    assert isinstance(action, PutLease)
    assert action.lease.spec == things[0].spec.model_copy(update={"duration": 90})
    done = plan(job(phase, meta=LONGER), seen(action.lease, *things[1:]), T + 1)
    assert done.rule != "extend"


@pytest.mark.parametrize(
    ("of", "there"),
    [
        (job(Phase.RUNNING, meta={**LONGER, "cancellation_timestamp": T}), lease()),
        (job(Phase.RUNNING, meta=LONGER, status={"stopping": "Cancelled"}), lease()),
        (job(Phase.RUNNING, meta=LONGER), lease(revoked="Cancelled")),
        (job(Phase.RUNNING, meta=LONGER), lease(released=True)),
        (job(Phase.RUNNING, meta=LONGER), lease(LeaseState.ENDING)),
        (job(Phase.RUNNING), lease()),
        (job(Phase.RUNNING), lease(duration=90)),
    ],
)
def test_what_ends_is_not_extended(of: Any, there: Any) -> None:
    assert plan(of, seen(there, service()), T + 1).rule != "extend"


def test_the_controller_steps_in_after_the_new_end_only() -> None:
    extended, name = lease(duration=90), unit_name(UID, 1)
    of, times = job(Phase.RUNNING, meta=LONGER), {name: LeaseTimes(ends=T + 90)}
    running = service(ServiceState.RUNNING)
    assert plan(of, seen(extended, running, times=times), T + 70).rule == "running"
    assert plan(of, seen(extended, running, times=times), T + 94).rule == "overdue"


def test_the_next_attempt_may_last_as_long() -> None:
    found = plan(job(status={"attempt": 2}, meta=LONGER), seen(), T)
    (action,) = found.actions
    assert isinstance(action, PutLease)
    assert action.lease.spec.duration == 90
