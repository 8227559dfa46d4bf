"""Placement over random fleets: nothing is over-committed, nothing that fits is refused, every fix
fixes, and whoever is first in the queue starts when it was told at the latest.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from cumulus.controller.reconcile.asking import Ask, ask_of
from cumulus.controller.reconcile.fitting import booked, devices_for, short, takes
from cumulus.controller.reconcile.fixes import fix_for
from cumulus.controller.reconcile.forecast import Forecast, clamped, start_on
from cumulus.controller.reconcile.observed import Booking, Free, WorkerSeen
from cumulus.controller.reconcile.placement import Placement, Refusals, fit, place
from cumulus.controller.reconcile.queueing import (
    Waiting,
    ahead_of,
    line_up,
)
from cumulus.crd_like_specs.job import JobSpec
from hypothesis import event, given, settings
from hypothesis import strategies as st
from make import T, spec, worker

OFTEN = settings(max_examples=300)
GIB = 1 << 30


def seen_with(of: Any, held: tuple[Booking, ...], **fields: Any) -> WorkerSeen:
    """A worker as the world would show it with these leases on it."""
    milli = {d.index: 1000 for d in of.status.devices}
    for lease in held:
        for device in lease.devices:
            milli[device] -= lease.milli
    free = Free(
        milli,
        of.status.cpus - sum(lease.cpus for lease in held),
        of.status.memory - sum(lease.memory for lease in held),
        of.status.pids - sum(lease.pids for lease in held) if of.status.pids else None,
    )
    return WorkerSeen(of, free, held=held, **{"ready": True, **fields})


@st.composite
def specs(draw: Any) -> JobSpec:
    gpu = draw(
        st.none()
        | st.fixed_dictionaries(
            {
                "memory": st.sampled_from(["100m", "250m", "400m", "500m", "1"]),
                "count": st.integers(1, 3),
                "type": st.sampled_from(["", "", "nvidia", "amd"]),
            }
        )
    )
    return spec(
        gpu=gpu,
        resources={
            "cpus": draw(st.sampled_from(["100m", "1", "3"])),
            "memory": draw(st.sampled_from(["64Mi", "1Gi", "5Gi"])),
            "pids": draw(st.sampled_from([8, 100, 300])),
        },
        duration=draw(st.sampled_from([1, 20, 60, 90, 600])),
        nodeSelector=draw(st.sampled_from([{}, {}, {}, {"zone": "!a"}, {"zone": "b,c"}])),
    )


@st.composite
def fleets(draw: Any) -> tuple[WorkerSeen, ...]:
    """Workers, filled by placing jobs there, some of which are over soon."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        of = worker(
            f"n{number}",
            devices=draw(st.integers(0, 3)),
            cpus=draw(st.sampled_from([1000, 4000])),
            memory=draw(st.sampled_from([2 * GIB, 8 * GIB])),
            kind=draw(st.sampled_from(["nvidia", "amd"])),
            labels=draw(st.sampled_from([{}, {"zone": "a"}, {"zone": "b"}])),
            status={"pids": draw(st.sampled_from([0, 200, 1000]))},
            cordoned=draw(st.integers(0, 5)) == 0,
            available_until=draw(st.sampled_from([None, None, T + 90, T + 150, T + 10**4])),
        )
        seen = seen_with(of, ())
        held: list[Booking] = []
        for index, one in enumerate(draw(st.lists(specs(), max_size=4))):
            ask = replace(ask_of(one), labels=(), kind="")
            ask = replace(ask, count=min(ask.count, len(of.status.devices)))
            devices = devices_for(ask, of, seen.free)
            if devices is None or short(ask, of, seen.free):
                continue
            end = T + draw(st.sampled_from([-5, 30, 70, 200]))
            held.append(
                replace(booked(ask, f"h{number}-{index}", f"n{number}", devices, 0), end=end)
            )
            seen = seen_with(of, tuple(held))
        found.append(replace(seen, ready=draw(st.integers(0, 5)) > 0))
    return tuple(found)


def lined(waiting: list[JobSpec], workers: tuple[WorkerSeen, ...], now: float = T) -> Any:
    queue = [Waiting((0, T + n, f"w{n}"), f"w{n}", ask_of(s)) for n, s in enumerate(waiting)]
    return line_up(queue, workers, now, Forecast())


def room_for(ask: Ask, seen: WorkerSeen, claims: tuple[Booking, ...], now: float) -> bool:
    """By trying every moment and every set of devices: what placement must agree with."""
    status, end = seen.worker.status, now + takes(ask)
    moments = {now, *(c.start for c in claims if now < c.start < end)}
    there = {d.index for d in status.devices if ask.kind in ("", d.type)}
    left = dict.fromkeys(there, 1000)
    for moment in moments:
        taken = [
            b for b in seen.held if moment == now or (b.end if b.end > now else now + 1.0) > moment
        ] + [c for c in claims if c.start <= moment < c.end]
        if sum(b.cpus for b in taken) + ask.cpus > status.cpus:
            return False
        if sum(b.memory for b in taken) + ask.memory > status.memory:
            return False
        if status.pids and sum(b.pids for b in taken) + ask.pids > status.pids:
            return False
        for device in there:
            used = sum(b.milli for b in taken if device in b.devices)
            left[device] = min(left[device], 1000 - used)
    return sum(milli >= ask.milli for milli in left.values()) >= ask.count


def open_to(ask: Ask, seen: WorkerSeen, now: float) -> bool:
    """Whether the worker takes jobs like this at all now."""
    zone = seen.worker.metadata.labels.get("zone")
    wanted = dict(ask.labels).get("zone")
    labels = wanted is None or (zone != "a" if wanted == "!a" else zone == "b")
    until = seen.worker.spec.available_until
    rented = until is None or now + ask.duration + 60 <= until
    return seen.ready and not seen.worker.spec.cordoned and labels and rented


@OFTEN
@given(specs(), fleets(), st.lists(specs(), max_size=3), st.booleans())
def test_what_fits_is_placed_and_nothing_else(
    one: JobSpec, workers: tuple[WorkerSeen, ...], ahead: list[JobSpec], best: bool
) -> None:
    ask = ask_of(one)
    claims = ahead_of((0, T + 100, "me"), lined(ahead, workers))
    fitting = [
        w.worker.metadata.name
        for w in workers
        if open_to(ask, w, T) and room_for(ask, w, claims.get(w.worker.metadata.name, ()), T)
    ]
    found = place(one, workers, T, claims, best_fit=best)
    if isinstance(found, Refusals):
        assert not fitting
        assert len(found.reasons) == len(workers)
        assert all(why.reason for why in found.reasons)
        assert len(found.some(2)) == min(2, len(workers))
        return
    name = found.worker.metadata.name
    assert name in fitting if best else name == fitting[0]
    assert len(set(found.devices)) == ask.count
    seen = next(w for w in workers if w.worker.metadata.name == name)
    assert all(seen.free.milli[device] >= ask.milli for device in found.devices)
    kept = claims.get(name, ())
    mine = booked(ask, "me", name, found.devices, T)
    for claim in kept:  # what is kept for others can still be had
        others = tuple(c for c in kept if c is not claim)
        after = seen_with(seen.worker, (*seen.held, mine))
        at = max(claim.start, T)
        used: dict[int, int] = {}
        for b in [*after.held, *others]:
            if (b.start or T) <= at and (b.end > at or at == T):
                for device in b.devices:
                    used[device] = used.get(device, 0) + b.milli
        assert all(used.get(d, 0) + claim.milli <= 1000 for d in claim.devices)


@OFTEN
@given(specs(), fleets())
def test_best_fit_leaves_the_least_over(one: JobSpec, workers: tuple[WorkerSeen, ...]) -> None:
    ask = ask_of(one)
    found = place(one, workers, T, best_fit=True)
    if not isinstance(found, Placement):
        return

    def left(seen: WorkerSeen, devices: tuple[int, ...]) -> int:
        return sum(seen.free.milli[d] - ask.milli for d in devices)

    seen = next(w for w in workers if w.worker is found.worker)
    for other in workers:
        there = fit(ask, other, T, best_fit=True)
        assert there is None or left(seen, found.devices) <= left(other, there.devices)
    assert place(one, workers, T, best_fit=True) == found


@OFTEN
@given(specs(), fleets(), st.lists(specs(), max_size=3))
def test_every_fix_fixes(
    one: JobSpec, workers: tuple[WorkerSeen, ...], ahead: list[JobSpec]
) -> None:
    ask = ask_of(one)
    claims = ahead_of((0, T + 100, "me"), lined(ahead, workers))
    for seen in workers:
        if fit(ask, seen, T, claims) is not None:
            continue
        name = seen.worker.metadata.name
        fix = fix_for(ask, seen, T, claims.get(name, ()))
        event(f"fix: {fix.text.split(' ')[0]}")
        if fix.ask is None:
            assert not fix.text or fix.text.startswith("no change")
            continue
        changed = one.model_dump(by_alias=True, mode="json")
        changed["duration"] = fix.ask.duration
        changed["resources"] |= {
            "cpus": f"{fix.ask.cpus}m", "memory": fix.ask.memory, "pids": fix.ask.pids
        }  # fmt: skip
        if fix.ask.count:
            changed["gpu"] |= {"memory": f"{fix.ask.milli}m", "count": fix.ask.count}
        if fix.text.startswith("cumulusctl uncordon"):
            assert fix.ask == ask
            opened = seen.worker.spec.model_copy(update={"cordoned": False})
            seen = replace(seen, worker=seen.worker.model_copy(update={"spec": opened}))  # noqa: PLW2901
        again = place(JobSpec.model_validate(changed), [seen], T, claims)
        assert isinstance(again, Placement), fix.text


@OFTEN
@given(specs(), fleets(), st.lists(specs(), max_size=3))
def test_a_start_is_the_first_moment_with_room(
    one: JobSpec, workers: tuple[WorkerSeen, ...], ahead: list[JobSpec]
) -> None:
    ask = ask_of(one)
    claims = ahead_of((0, T + 100, "me"), lined(ahead, workers))
    for seen in workers:
        there = claims.get(seen.worker.metadata.name, ())
        start = start_on(ask, seen, T, there)
        now = fit(ask, seen, T, claims) is not None
        assert (start is not None and not start.at) is now
        if start is not None:
            at = clamped(start, T)
            assert open_to(ask, seen, at)
            left = tuple(b for b in seen.held if (b.end if b.end > T else T + 1.0) > at or at == T)
            assert room_for(ask, seen_with(seen.worker, left), there, at)
        without = Forecast().earliest(ask, [seen], T, {})
        alone = start_on(ask, seen, T, ())
        assert (without is None) is (alone is None)
        if without is not None and alone is not None:
            assert clamped(without[1], T) == clamped(alone, T)


class Cluster:
    """Two workers in virtual time: jobs come, are placed by the rules, and end when they do."""

    def __init__(self, rng: random.Random, slow: float) -> None:
        self.rng = rng
        self.slow = slow
        self.now = T
        self.machines = [worker(f"n{n}", devices=2, cpus=8000) for n in range(2)]
        self.held: dict[str, list[tuple[Booking, float]]] = {"n0": [], "n1": []}
        self.waiting: list[Waiting] = []
        self.forecast = Forecast()
        self.started: dict[str, float] = {}
        self._seen: dict[str, tuple[list[Any], WorkerSeen]] = {}
        self._claims: tuple[Any, Any] = ((), ())

    def workers(self) -> tuple[WorkerSeen, ...]:
        for of in self.machines:
            name = of.metadata.name
            bookings = [b for b, _ in self.held[name]]
            if name not in self._seen or self._seen[name][0] != bookings:
                self._seen[name] = (bookings, seen_with(of, tuple(bookings)))
        return tuple(self._seen[of.metadata.name][1] for of in self.machines)

    def claims(self) -> Any:
        """Made anew where anything moved, as the controller does."""
        queue = sorted(self.waiting, key=lambda w: w.order)
        of = (self.now, [w.name for w in queue], self.workers())
        if of != self._claims[0]:
            self._claims = of, line_up(queue, self.workers(), self.now, self.forecast, 6)
        return self._claims[1]

    def work(self) -> None:
        """Look at whoever waits, in any order, until nobody can be placed."""
        moved = True
        while moved:
            moved = False
            for one in self.rng.sample(self.waiting, len(self.waiting)):
                room = ahead_of(one.order, self.claims())
                for seen in self.workers():
                    found = fit(one.ask, seen, self.now, room)
                    if found is not None:
                        self._start(one, seen.worker.metadata.name, found.devices)
                        moved = True
                        break

    def _start(self, one: Waiting, name: str, devices: tuple[int, ...]) -> None:
        mine = booked(one.ask, one.name, name, devices, self.now)
        early = self.now + self.rng.uniform(1, takes(one.ask))
        late = mine.end + self.rng.uniform(0, self.slow)
        self.held[name].append((replace(mine, start=0.0), self.rng.choice([early, late])))
        self.started[one.name] = self.now
        self.waiting.remove(one)

    def until(self, when: float) -> None:
        """To that time, or to the next end if it comes first; then work."""
        ends = [end for held in self.held.values() for _, end in held]
        self.now = min([when, *(end for end in ends)])
        for held in self.held.values():
            held[:] = [(b, end) for b, end in held if end > self.now]
        self.work()
        milli: dict[tuple[str, int], int] = {}
        for name, there in self.held.items():
            for booking, _ in there:
                for device in booking.devices:
                    milli[name, device] = milli.get((name, device), 0) + booking.milli
        assert all(taken <= 1000 for taken in milli.values())


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 40.0]))
def test_the_head_of_the_queue_starts_when_it_was_told_whatever_comes(
    seed: int, slow: float
) -> None:
    rng = random.Random(seed)
    cluster = Cluster(rng, slow)
    small = [
        ask_of(spec(gpu={"memory": m, "count": n}, duration=d))
        for m in (0.1, 0.4, 0.6) for n in (1, 2) for d in (5, 60, 300)
    ]  # fmt: skip
    large = ask_of(spec(gpu={"memory": 1, "count": 2}, duration=100))
    promised: float | None = None
    for number in range(45):
        if number == 15:
            cluster.waiting.append(Waiting((-1, cluster.now, "large"), "large", large))
        order = (0, cluster.now, f"s{number:03}")
        cluster.waiting.append(Waiting(order, order[2], rng.choice(small)))
        cluster.work()
        if number >= 15 and "large" not in cluster.started:
            first = cluster.claims()[0]
            assert first.room.job == "large"
            if promised is None:
                promised = first.room.start
            if not slow:
                assert first.room.start <= promised  # it only ever comes nearer
        cluster.until(cluster.now + rng.uniform(0, 20))
    assert promised is not None or "large" in cluster.started
    while promised is not None and cluster.now < promised + slow + 2:
        cluster.until(promised + slow + 2)
    if promised is not None:
        assert cluster.started.get("large", 1e9) <= promised + slow + 2
