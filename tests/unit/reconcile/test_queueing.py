"""Claims: what is kept for the first of the queue, and who may still slip in."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile import forecast as forecast_module
from cumulus.controller.reconcile.asking import Ask, ask_of
from cumulus.controller.reconcile.fleet import Fleet
from cumulus.controller.reconcile.forecast import Forecast, start_on
from cumulus.controller.reconcile.observed import Booking, Free, WorkerSeen
from cumulus.controller.reconcile.placement import Placement, place
from cumulus.controller.reconcile.queueing import (
    Claim,
    Waiting,
    ahead_of,
    line_up,
)
from make import T, spec, worker


def ask(memory: float = 1.0, **fields: Any) -> Ask:
    return ask_of(spec(gpu={"memory": memory, "count": fields.pop("count", 1)}, **fields))


def busy(
    name: str = "n1", *leases: tuple[float, int], ready: bool = True, **wanted: Any
) -> WorkerSeen:
    """A worker of one device. leases: when each ends, after T, and its thousandths."""
    held = tuple(
        Booking(f"job-{end:g}", name, 0.0, T + end, (0,), milli, 1000, 1 << 30)
        for end, milli in leases
    )
    free = Free(
        {0: 1000 - sum(milli for _, milli in leases)},
        8000 - 1000 * len(leases),
        (32 - len(leases)) << 30,
    )
    return WorkerSeen(worker(name, **wanted), free, ready=ready, held=held)


def lined(*asks: Ask, workers: tuple[WorkerSeen, ...], limit: int = 16) -> tuple[Claim, ...]:
    queue = [Waiting((0, float(n), f"w{n}"), f"w{n}", one) for n, one in enumerate(asks)]
    return line_up(queue, workers, T, Forecast(), limit)


def shown(claims: tuple[Claim, ...]) -> list[tuple[str, str, float, str]]:
    return [(c.room.job, c.room.worker, c.room.start - T, c.after) for c in claims]


CASES: dict[str, tuple[list[Ask], list[WorkerSeen], list[tuple[str, str, float, str]]]] = {
    "where it fits now": ([ask()], [busy()], [("w0", "n1", 0, "")]),
    "when the last lease in its way ends": ([ask()], [busy("n1", (30, 500), (50, 500))], [("w0", "n1", 50, "job-50")]),
    "no later than needed": ([ask(0.5)], [busy("n1", (30, 500), (50, 500))], [("w0", "n1", 30, "job-30")]),
    "on the worker where that is first": ([ask()], [busy("n1", (50, 600)), busy("n2", (30, 600))], [("w0", "n2", 30, "job-30")]),
    "the second behind the first": ([ask(duration=60), ask()], [busy()], [("w0", "n1", 0, ""), ("w1", "n1", 70, "w0")]),
    "the second elsewhere": ([ask(), ask()], [busy(), busy("n2", (30, 600))], [("w0", "n1", 0, ""), ("w1", "n2", 30, "job-30")]),
    "beside what is kept": ([ask(0.6), ask(0.4)], [busy()], [("w0", "n1", 0, ""), ("w1", "n1", 0, "")]),
    "before what is kept, if it is over by then": ([ask(), ask(0.4, duration=20)], [busy("n1", (30, 600))], [("w0", "n1", 30, "job-30"), ("w1", "n1", 0, "")]),
    "not before what is kept, if it is not": ([ask(), ask(0.4, duration=21)], [busy("n1", (30, 600))], [("w0", "n1", 30, "job-30"), ("w1", "n1", 100, "w0")]),
    "what overruns is free in a moment": ([ask()], [busy("n1", (-5, 600))], [("w0", "n1", 1, "job--5")]),
    "of two that overrun, the one due first": ([ask()], [busy("n1", (-5, 600)), busy("n2", (-9, 600))], [("w0", "n2", 1, "job--9")]),
    "not where no worker is large enough": ([ask(count=2), ask()], [busy()], [("w1", "n1", 0, "")]),
    "not twice where no worker is large enough": ([ask(count=2), ask(count=2)], [busy()], []),
    "not on workers that are away": ([ask()], [busy(ready=False), busy("n2", cordoned=True), busy("n3", drain=True), busy("n4", fenced=True)], []),
    "not past a rental": ([ask()], [busy("n1", (30, 600), available_until=T + 149)], []),
    "up to a rental": ([ask()], [busy("n1", (30, 600), available_until=T + 150)], [("w0", "n1", 30, "job-30")]),
    "not past a rental behind a claim": ([ask(), ask()], [busy("n1", available_until=T + 189)], [("w0", "n1", 0, "")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_room_is_kept(case: Any) -> None:
    asks, workers, expected = case
    assert shown(lined(*asks, workers=tuple(workers))) == expected


def test_for_so_many_only() -> None:
    assert len(lined(*[ask(0.1)] * 5, workers=(busy(),), limit=3)) == 3


def test_who_is_ahead_counts_by_worker() -> None:
    claims = lined(ask(0.5), ask(0.5), ask(0.9), workers=(busy(),))
    assert ahead_of((0, 0.0, "w0"), claims) == {}
    assert [b.job for b in ahead_of((0, 1.5, ""), claims)["n1"]] == ["w0", "w1"]
    assert ahead_of((-1, 9.0, "urgent"), claims) == {}


@pytest.mark.parametrize(
    ("duration", "memory", "fits"), [(20, 0.4, True), (21, 0.4, False), (600, 0.1, True)]
)
def test_the_room_of_the_first_is_not_taken(duration: int, memory: float, fits: bool) -> None:
    """It waits for 0.9 from T+30 on; 0.4 are free until then, 0.1 for good."""
    workers = (busy("n1", (30, 600)),)
    claims = ahead_of((0, 9.0, ""), lined(ask(0.9), workers=workers))
    found = place(spec(gpu={"memory": memory}, duration=duration), workers, T, claims)
    assert isinstance(found, Placement) is fits
    if not isinstance(found, Placement):
        assert found.reasons[0].reason == (
            "keeps its room from 00:17 UTC on for w0, which is ahead in the queue"
        )
        assert found.reasons[0].ever


def test_cpu_and_memory_and_pids_are_kept_too() -> None:
    big = {"cpus": 8, "memory": "31Gi", "pids": 90}
    of = busy("n1", (30, 100), status={"pids": 100})
    seen = WorkerSeen(of.worker, Free(of.free.milli, 7000, 31 << 30, 100), ready=True, held=of.held)
    claims = ahead_of((0, 9.0, ""), lined(ask(0.1, resources=big), workers=(seen,)))
    for taken in ({"cpus": 1}, {"memory": "2Gi"}, {"pids": 11}):
        limits = {"cpus": "1m", "memory": "16Mi", "pids": 8} | taken
        wanted = spec(gpu={"memory": 0.1}, resources=limits, duration=600)
        assert isinstance(place(wanted, [seen], T), Placement)
        assert not isinstance(place(wanted, [seen], T, claims), Placement)
        late = start_on(ask_of(wanted), seen, T, claims["n1"])
        assert late is not None
        assert (late.at, late.after) == (T + 100, "w0")
    small = spec(gpu={"memory": 0.1}, resources={"cpus": "1m", "memory": "16Mi", "pids": 8})
    assert not isinstance(place(small, [seen], T, claims), Placement)  # big takes every core
    assert isinstance(
        place(small.model_copy(update={"duration": 20}), [seen], T, claims), Placement
    )


def test_what_did_not_change_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    real = forecast_module.start_unclaimed

    def noted(one: Ask, seen: WorkerSeen, *, best_fit: bool) -> Any:
        looked.append(seen.worker.metadata.name)
        return real(one, seen, best_fit=best_fit)

    monkeypatch.setattr(forecast_module, "start_unclaimed", noted)
    forecast, workers = Forecast(), Fleet([busy("n1", (50, 600)), busy("n2", (30, 600))])
    for _ in range(3):
        assert forecast.earliest(ask(), workers, T, {}) is not None
    assert looked == ["n1", "n2"]
    workers.put(busy("n1", (40, 600)))
    forecast.earliest(ask(), workers, T, {})
    assert looked == ["n1", "n2", "n1"]
    forecast.earliest(ask(0.9), workers, T, {})
    forecast.keep(1)
    forecast.earliest(ask(), workers, T, {})
    assert looked == ["n1", "n2", "n1", "n1", "n2", "n1", "n2"]
