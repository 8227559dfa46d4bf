"""Where and when jobs that are not there yet would start, as the queue would have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cumulus.controller.reconcile import preview as module
from cumulus.controller.reconcile.asking import ask_of
from cumulus.controller.reconcile.observed import Booking
from cumulus.controller.reconcile.preview import Coming, Outcome, When, preview, without
from cumulus.controller.reconcile.timing import START_ALLOWANCE
from make import T, spec, worker, worker_seen

MINUTE = 60


def lease(job: str, ends: float, milli: int = 1000) -> Booking:
    return Booking(job, "n1", 0.0, ends, (0,), milli, 0, 0)


def coming(name: str, at: float = T, *, planned: bool = True, **fields: Any) -> Coming:
    wanted = spec(**{"gpu": {"memory": 1}, **fields})
    priority = -fields.get("priority", 0)
    return Coming((priority, at, name), name, ask_of(wanted), planned=planned, fails=True)


def one(outcomes: dict[str, Outcome], name: str = "a") -> Outcome:
    return outcomes[name]


FULL = replace(worker_seen(milli={0: 0}), held=(lease("held", T + 100),))


def test_what_fits_starts_now() -> None:
    found = one(preview([coming("a")], [worker_seen()], T))
    assert (found.when, found.at, found.worker, found.devices) == (When.NOW, T, "n1", (0,))
    assert found.ends == T + MINUTE


def test_all_of_a_call_share_what_there_is() -> None:
    found = preview([coming("a"), coming("b", T + 1), coming("c", T + 2)], [worker_seen()], T)
    assert [found[name].when for name in "abc"] == [When.NOW, When.LATER, When.LATER]
    span = MINUTE + START_ALLOWANCE
    assert [found[name].at for name in "abc"] == [T, T + span, T + 2 * span]
    assert found["b"].reason.endswith("when the lease of a ends")


def test_two_halves_start_side_by_side() -> None:
    half = {"gpu": {"memory": 0.5}}
    found = preview([coming("a", **half), coming("b", **half)], [worker_seen()], T)
    assert {outcome.when for outcome in found.values()} == {When.NOW}


def test_who_waits_already_is_ahead() -> None:
    queue = [coming("first", T - 5, planned=False), coming("a")]
    found = preview(queue, [FULL], T)
    assert list(found) == ["a"]
    assert one(found).at == T + 100 + MINUTE + START_ALLOWANCE


def test_a_higher_priority_goes_before_who_waits() -> None:
    queue = [coming("first", T - 5, planned=False), coming("a", priority=5)]
    assert one(preview(queue, [FULL], T)).at == T + 100


def test_small_ones_slip_in_where_they_delay_nobody() -> None:
    half = replace(worker_seen(milli={0: 500}), held=(lease("held", T + 500, 500),))
    queue = [coming("large", T - 5, planned=False), coming("a", gpu={"memory": 0.5}, duration="1m")]
    assert one(preview(queue, [half], T)).when is When.NOW


def test_what_nothing_could_ever_take() -> None:
    found = one(preview([coming("a", gpu={"count": 4})], [worker_seen()], T))
    assert (found.when, found.worker, found.at) == (When.NEVER, "", 0.0)
    assert "the largest that exists: worker n1" in found.reason
    assert [reason.worker for reason in found.workers] == ["n1"]
    assert not found.workers[0].ever


def test_what_is_closed_may_open_again() -> None:
    found = one(preview([coming("a")], [worker_seen(worker(cordoned=True))], T))
    assert (found.when, found.workers[0].ever) == (When.UNKNOWN, True)


def test_without_workers() -> None:
    assert one(preview([coming("a")], [], T)).reason == "No GPU workers available"


def test_far_back_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REACH", 1)
    found = preview([coming("a"), coming("b", T + 1)], [worker_seen()], T)
    assert [found["a"].when, found["b"].when] == [When.NOW, When.UNKNOWN]


def test_jobs_that_go_give_their_room_back() -> None:
    (freed,) = without([FULL], {"held"})
    assert (freed.free.milli, freed.held) == ({0: 1000}, ())
    assert without([FULL], {"other"}) == [FULL]
    assert one(preview([coming("a")], [freed], T)).when is When.NOW
