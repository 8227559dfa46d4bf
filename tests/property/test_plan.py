"""Whatever the situation, the plan is total, repeatable, and never breaks its own laws."""

from __future__ import annotations

from typing import Any

from cumulus.controller.reconcile.actions import (
    CreateService,
    PutLease,
    ReleaseLease,
    RemoveService,
)
from cumulus.controller.reconcile.observed import LogsSeen, ResultSeen, Seen, ServiceState
from cumulus.controller.reconcile.placement import Placement, place
from cumulus.controller.reconcile.plan import plan
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.lease import LeaseState
from hypothesis import given, settings
from hypothesis import strategies as st
from make import UID, T, job, lease, seen, service, spec, worker, worker_seen

ATTEMPTS = st.integers(1, 3)
TIMES = st.sampled_from([0.0, T - 10, T, T + 30, T + 59.95, T + 60, T + 61])
OFTEN = settings(max_examples=600)

services = st.lists(
    st.builds(
        lambda state, attempt, end, code: service(
            state, attempt=attempt, finished_at=end, exit_code=code if state.ended else None
        ),
        st.sampled_from(ServiceState),
        ATTEMPTS,
        TIMES,
        st.sampled_from([0, 1, 137, 143]),
    ),
    max_size=3,
    unique_by=lambda s: s.name,
)
leases = st.lists(
    st.builds(
        lambda state, attempt, released, revoked: lease(
            state, attempt=attempt, released=released, revoked=revoked
        ),
        st.sampled_from(LeaseState),
        ATTEMPTS,
        st.booleans(),
        st.sampled_from(["", "Cancelled"]),
    ),
    max_size=3,
    unique_by=lambda x: x.metadata.name,
)
logs = st.builds(
    LogsSeen, st.booleans(), st.none() | st.builds(ResultSeen, st.just(9), st.booleans())
)
fleets = st.lists(
    st.builds(
        lambda name, ready, free: worker_seen(
            worker(name), ready=ready, silent=0 if ready else 60, milli={0: free}
        ),
        st.sampled_from(["n1", "n2"]),
        st.booleans(),
        st.sampled_from([0, 500, 1000]),
    ),
    max_size=2,
    unique_by=lambda w: w.worker.metadata.name,
)
worlds = st.builds(
    lambda s, x, g, f, o: seen(*s, *x, g, workers=tuple(f), observed=o),
    services,
    leases,
    logs,
    fleets,
    st.sampled_from([True, True, True, False]),
)


@st.composite
def jobs(draw: Any) -> Job:
    meta: dict[str, Any] = {"generation": draw(st.integers(1, 2))}
    if draw(st.integers(0, 4)) == 0:
        meta["cancellation_timestamp"] = T + 1
    if draw(st.integers(0, 4)) == 0:
        meta["deletion_timestamp"] = T + 1
    return job(
        draw(st.sampled_from(Phase)),
        meta=meta,
        status={"attempt": draw(st.integers(0, 3)), "finished_at": draw(TIMES)}
        | ({"run_hash": "other"} if draw(st.integers(0, 4)) == 0 else {}),
        suspend=draw(st.integers(0, 4)) == 0,
        retry={"limit": draw(st.integers(0, 2))},
    )


@OFTEN
@given(jobs(), worlds, TIMES)
def test_total_repeatable_and_rising(what: Job, world: Seen, now: float) -> None:
    decision = plan(what, world, now)
    assert plan(what, world, now) == decision
    if decision.status:
        old, new = what.status, decision.status
        assert (new.attempt, new.phase.rank) >= (old.attempt, old.phase.rank)


@OFTEN
@given(jobs(), worlds, TIMES)
def test_a_service_needs_a_lease_seen_held_and_nothing_of_earlier_attempts(
    what: Job, world: Seen, now: float
) -> None:
    for action in plan(what, world, now).actions:
        if isinstance(action, CreateService):
            held = [x for x in world.leases if x.metadata.name == action.service.name]
            assert held
            assert held[0].status.state is LeaseState.HELD
            assert not [s for s in world.services if s.name != action.service.name]
            assert what.metadata.deletion_timestamp is None
            assert what.metadata.cancellation_timestamp is None
        if isinstance(action, PutLease) and not action.lease.spec.revoked:
            assert not world.services
            assert not world.leases


@OFTEN
@given(jobs(), worlds, TIMES)
def test_a_lease_goes_only_once_its_service_is_gone(what: Job, world: Seen, now: float) -> None:
    there = {s.name for s in world.services}
    for action in plan(what, world, now).actions:
        if isinstance(action, ReleaseLease):
            assert action.name not in there


@OFTEN
@given(jobs(), worlds, TIMES)
def test_only_its_own_things_are_touched(what: Job, world: Seen, now: float) -> None:
    names = {unit_name(UID, n) for n in range(1, 6)}
    for action in plan(what, world, now).actions:
        if isinstance(action, RemoveService | ReleaseLease):
            assert action.name in names


@OFTEN
@given(jobs(), worlds, TIMES)
def test_nothing_is_decided_on_an_unseen_platform(what: Job, world: Seen, now: float) -> None:
    if not world.observed:
        decision = plan(what, world, now)
        assert (decision.actions, decision.status) == ((), None)
        assert decision.wake_at is not None


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=30),
    st.integers(1, 3),
)
def test_first_fit_never_over_commits(asked: list[int], devices: int) -> None:
    free = dict.fromkeys(range(devices), 1000)
    for milli in asked:
        now = worker_seen(worker(devices=devices, cpus=10**6, memory=1 << 50), milli=dict(free))
        found = place(spec(gpu={"memory": f"{milli}m"}), [now], T)
        if isinstance(found, Placement):
            free[found.devices[0]] -= milli
        else:
            assert max(free.values()) < milli
    assert min(free.values()) >= 0
