"""A fleet that remembers gives the same answers as looking at every worker, whatever changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cumulus.controller.reconcile.asking import Ask, ask_of
from cumulus.controller.reconcile.fitting import booked
from cumulus.controller.reconcile.fleet import Fleet, named, rented
from cumulus.controller.reconcile.observed import Booking, WorkerSeen
from cumulus.controller.reconcile.placement import Placement, find
from cumulus.crd_like_specs.job import JobSpec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from make import T, spec, worker, worker_seen

NAMES = [f"n{n}" for n in range(6)]
GIB = 1 << 30


def specs() -> st.SearchStrategy[JobSpec]:
    return st.builds(
        lambda gpu, cpus, duration, labels, image: spec(
            gpu=gpu,
            resources={"cpus": cpus, "memory": "1Gi"},
            duration=duration,
            nodeSelector=labels,
            **({"image": "alpine"} if image else {}),
        ),
        st.none()
        | st.builds(
            lambda memory, count, kind: {"memory": memory, "count": count, "type": kind},
            st.sampled_from(["0.1", "0.5", "1"]),
            st.integers(1, 2),
            st.sampled_from(["", "nvidia", "amd"]),
        ),
        st.sampled_from([1, 4]),
        st.sampled_from([10, 300]),
        st.sampled_from([{}, {}, {"zone": "a"}]),
        st.booleans(),
    )


@st.composite
def workers(draw: Any, name: str = "") -> WorkerSeen:
    of = worker(
        name or draw(st.sampled_from(NAMES)),
        devices=draw(st.integers(0, 2)),
        cpus=draw(st.sampled_from([1000, 8000])),
        kind=draw(st.sampled_from(["nvidia", "amd"])),
        labels=draw(st.sampled_from([{}, {"zone": "a"}])),
        cordoned=draw(st.integers(0, 4)) == 0,
        available_until=draw(st.sampled_from([None, None, T + 100])),
    )
    seen = worker_seen(
        of,
        ready=draw(st.integers(0, 4)) > 0,
        milli={d.index: draw(st.sampled_from([0, 400, 1000])) for d in of.status.devices},
        cpus=draw(st.sampled_from([0, 2000, of.status.cpus])),
    )
    return replace(seen, awaits=draw(st.sampled_from(["", "", "fetches"])))


def claims_for(asks: list[Ask], names: list[str]) -> dict[str, tuple[Booking, ...]]:
    return {
        name: (booked(ask, f"ahead-{n}", name, (0,) if ask.count else (), T + 5),)
        for n, (ask, name) in enumerate(zip(asks, names, strict=False))
    }


class Remembering(RuleBasedStateMachine):
    """Workers come, go and change; every ask is answered by both."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()
        self.plain: dict[str, WorkerSeen] = {}

    @rule(seen=workers())
    def put(self, seen: WorkerSeen) -> None:
        self.fleet.put(seen)
        self.plain[seen.worker.metadata.name] = seen

    @rule(name=st.sampled_from(NAMES), ready=st.booleans())
    def turn(self, name: str, ready: bool) -> None:
        if name in self.plain:
            self.put(replace(self.plain[name], ready=ready))

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        self.fleet.drop(name)
        self.plain.pop(name, None)

    @rule(
        asked=specs(),
        best_fit=st.booleans(),
        ahead=st.lists(specs(), max_size=2),
        names=st.permutations(NAMES),
        now=st.sampled_from([T, T + 30]),
    )
    def find(
        self, asked: JobSpec, best_fit: bool, ahead: list[JobSpec], names: list[str], now: float
    ) -> None:
        ask, claims = ask_of(asked), claims_for([ask_of(a) for a in ahead], names)
        listed = tuple(self.plain[name] for name in sorted(self.plain))
        assert tuple(self.fleet) == listed
        expected = find(ask, listed, now, claims, best_fit=best_fit)
        found = find(ask, self.fleet, now, claims, best_fit=best_fit)
        if isinstance(expected, Placement) or isinstance(found, Placement):
            assert found == expected
        else:
            assert found.reasons == expected.reasons
            assert found.hopeless == expected.hopeless
        assert [w for w in listed if w.worker.spec.available_until] == list(rented(self.fleet))
        assert all(named(self.fleet, name) == named(listed, name) for name in NAMES)


def test_a_fleet_answers_as_if_it_remembered_nothing() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Remembering, settings=settings(max_examples=150, stateful_step_count=30)
    )


@given(changes=st.lists(workers(name="n1"), min_size=2, max_size=5), asked=specs())
@settings(max_examples=30)
def test_who_asks_rarely_looks_at_all(changes: list[WorkerSeen], asked: JobSpec) -> None:
    fleet, ask = Fleet([worker_seen(worker("n0", cordoned=True)), changes[0]]), ask_of(asked)
    find(ask, fleet, T)
    for number in range(1200):  # more than is kept of what changed
        fleet.put(replace(changes[number % len(changes)], heard_at=float(number)))
    plain, found = find(ask, tuple(fleet), T), find(ask, fleet, T)
    assert isinstance(found, Placement) is isinstance(plain, Placement)
    assert isinstance(found, Placement) or found.reasons == plain.reasons  # type: ignore[union-attr]
