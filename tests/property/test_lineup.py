"""Claims that are made little by little, and kept, are those that would be made all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cumulus.controller.reconcile.asking import Ask, ask_of
from cumulus.controller.reconcile.fitting import Profile, booked, devices_for, short
from cumulus.controller.reconcile.fleet import Fleet
from cumulus.controller.reconcile.forecast import Forecast
from cumulus.controller.reconcile.observed import Booking, Free, WorkerSeen
from cumulus.controller.reconcile.placement import Placement, find
from cumulus.controller.reconcile.queueing import Lineup, Order, Waiting, ahead_of, line_up
from cumulus.controller.reconcile.timing import SOON
from hypothesis import given, settings
from hypothesis import strategies as st
from make import T, spec, worker

LIMIT = 4


@st.composite
def asks(draw: Any) -> Ask:
    return ask_of(
        spec(
            gpu={
                "memory": draw(st.sampled_from(["0.25", "0.5", "1"])),
                "count": draw(st.sampled_from([1, 1, 2])),
            },
            resources={"cpus": draw(st.sampled_from([1, 3]))},
            duration=draw(st.sampled_from([20, 60, 300])),
            nodeSelector=draw(st.sampled_from([{}, {}, {}, {"zone": "nowhere"}])),
        )
    )


def filled(name: str, held: tuple[Booking, ...], **fields: Any) -> WorkerSeen:
    of = worker(name, devices=2, cpus=8000, **fields)
    milli = {0: 1000, 1: 1000}
    for lease in held:
        for device in lease.devices:
            milli[device] -= lease.milli
    cpus = of.status.cpus - sum(lease.cpus for lease in held)
    memory = of.status.memory - sum(lease.memory for lease in held)
    return WorkerSeen(of, Free(milli, cpus, memory), ready=True, held=held)


@st.composite
def workers(draw: Any, *, overrun: bool = True) -> list[WorkerSeen]:
    """overrun: some leases are over and not yet gone. When those end is reckoned roughly, so that
    one claim more or less on a worker may move others there a little.
    """
    ends = [T - 5.0, T - 3.0] if overrun else []
    found = []
    for number in range(draw(st.integers(1, 5))):
        name = f"n{number}"
        fields = {"available_until": draw(st.sampled_from([None, None, T + 100, T + 1000]))}
        seen = filled(name, (), **fields)
        held: list[Booking] = []
        for index, wanted in enumerate(draw(st.lists(asks(), max_size=4))):
            ask = replace(wanted, labels=())
            devices = devices_for(ask, seen.worker, seen.free)
            if devices is None or short(ask, seen.worker, seen.free):
                continue
            end = draw(st.sampled_from([*ends, T + 0.5, T + 30.0, T + 200.0]))
            held.append(replace(booked(ask, f"h{number}-{index}", name, devices, 0.0), end=end))
            seen = filled(name, tuple(held), **fields)
        found.append(replace(seen, ready=draw(st.integers(0, 5)) > 0))
    return found


def queue(waiting: list[tuple[int, Ask]]) -> list[Waiting]:
    made = [
        Waiting((-priority, T + number, f"w{number}"), f"w{number}", ask)
        for number, (priority, ask) in enumerate(waiting)
    ]
    return sorted(made, key=lambda one: one.order)


WAITING = st.lists(st.tuples(st.integers(0, 2), asks()), max_size=9).map(queue)


@given(workers(), st.lists(asks(), min_size=1, max_size=6), st.booleans(), WAITING)
@settings(max_examples=300)
def test_a_fleet_foretells_what_looking_at_all_does(
    fleet: list[WorkerSeen], wanted: list[Ask], best_fit: bool, waiting: list[Waiting]
) -> None:
    known, remembering = Fleet(fleet), Forecast(best_fit=best_fit)
    plain = Forecast(best_fit=best_fit)
    claims = ahead_of((1, 0.0, ""), line_up(waiting, fleet, T, plain, LIMIT))
    for ask in (*wanted, *wanted):
        for now in (T, T + 40.0):
            expected = plain.earliest(ask, fleet, now, claims)
            found = remembering.earliest(ask, known, now, claims)
            assert found == expected
            assert plain.earliest(ask, fleet, now, {}) == remembering.earliest(ask, known, now, {})
    assert line_up(waiting, known, T, remembering) == line_up(waiting, fleet, T, plain)


class Placing:
    """Jobs come, go and are placed; claims are asked for by whoever is looked at."""

    def __init__(self, fleet: list[WorkerSeen]) -> None:
        self.fleet = Fleet(fleet)
        self.lineup = Lineup(Forecast(), LIMIT)
        self.waiting: dict[Order, Waiting] = {}

    def come(self, one: Waiting) -> None:
        self.waiting[one.order] = one
        self.lineup.came(one.order)

    def go(self, order: Order) -> None:
        del self.waiting[order]
        self.lineup.left(order)

    def look(self, order: Order, *, exact: bool) -> None:
        """As the plan does: respect claims ahead, and take what is free."""
        one = self.waiting[order]
        room = ahead_of(order, self.claims(order))
        if exact:
            self._compare(order, room)
        found = find(one.ask, self.fleet, T, room)
        if isinstance(found, Placement):
            name = found.worker.metadata.name
            seen = self.fleet.named(name)
            assert seen is not None
            lease = replace(booked(one.ask, one.name, name, found.devices, T), start=0.0)
            until = seen.worker.spec.available_until
            self.fleet.put(filled(name, (*seen.held, lease), available_until=until))
            del self.waiting[order]
            self.lineup.started(order, name, found.devices, T)
            self.lineup.left(order)

    def _compare(self, order: Order, room: Any) -> None:
        expected = ahead_of(
            order, line_up(self.ahead(order), tuple(self.fleet), T, Forecast(), LIMIT)
        )
        assert {w: sorted(c, key=str) for w, c in room.items()} == {
            w: sorted(c, key=str) for w, c in expected.items()
        }

    def free(self, name: str, number: int) -> None:
        """A lease ends before its time."""
        seen = self.fleet.named(name)
        assert seen is not None
        held = tuple(lease for n, lease in enumerate(seen.held) if n != number)
        until = seen.worker.spec.available_until
        self.fleet.put(filled(name, held, available_until=until))

    def check(self) -> None:
        """What is kept is for those that wait, and fits beside all leases and each other."""
        there: dict[str, list[Booking]] = {}
        for claim in self.lineup.claims:
            assert claim.order in self.waiting
            there.setdefault(claim.room.worker, []).append(claim.room)
        for name, claims in there.items():
            seen = self.fleet.named(name)
            assert seen is not None
            profile = Profile(seen, claims, T)
            for index, moment in enumerate(profile.times):
                free = profile.at(index)
                if not T < moment < T + SOON:  # who overruns may be reckoned with or without
                    assert min(free.cpus, free.memory, *free.milli.values()) >= 0

    def claims(self, stop: Order) -> Any:
        start = self.lineup.next
        if start is None or start < stop:
            rest = [one for one in self.ahead(stop) if start is None or one.order >= start]
            self.lineup.extend(rest, self.fleet, T)
        return self.lineup.claims

    def ahead(self, stop: Order) -> list[Waiting]:
        return [self.waiting[order] for order in sorted(self.waiting) if order < stop]


def play(
    fleet: list[WorkerSeen], waiting: list[Waiting], data: st.DataObject, *, freeing: bool
) -> None:
    placing = Placing([seen for seen in fleet if seen.ready] or fleet)
    rest = list(waiting)
    for _ in range(20):
        if rest and data.draw(st.booleans()):
            placing.come(rest.pop(data.draw(st.integers(0, len(rest) - 1))))
        if placing.waiting:
            order = data.draw(st.sampled_from(sorted(placing.waiting)))
            if data.draw(st.integers(0, 6)) == 0:
                placing.go(order)
            else:
                placing.look(order, exact=not freeing)
        if freeing and data.draw(st.booleans()):
            seen = data.draw(st.sampled_from(list(placing.fleet)))
            placing.free(seen.worker.metadata.name, data.draw(st.integers(0, 3)))
        placing.check()


@given(workers(overrun=False), WAITING, st.data())
@settings(max_examples=200)
def test_claims_that_are_kept_are_those_that_would_be_made(
    fleet: list[WorkerSeen], waiting: list[Waiting], data: st.DataObject
) -> None:
    play(fleet, waiting, data, freeing=False)


@given(workers(), WAITING, st.data())
@settings(max_examples=400)
def test_claims_that_are_older_than_what_was_freed_still_hold(
    fleet: list[WorkerSeen], waiting: list[Waiting], data: st.DataObject
) -> None:
    play(fleet, waiting, data, freeing=True)
