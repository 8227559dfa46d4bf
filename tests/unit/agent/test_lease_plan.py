"""The end of a lease step by step: notice, SIGTERM, SIGKILL, and what is saved before it is forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.chronos_bindings.agent.checkpoint_port import Excess
from cumulus.chronos_bindings.agent.lease_after import ended, released, saved, saving
from cumulus.chronos_bindings.agent.lease_plan import next_step
from cumulus.chronos_bindings.agent.lease_record import Record, Step, Verb, View, Wait
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.lease import LeaseSpec, LeaseState

UNIT = unit_name("a" * 32, 1)
NOW = 1000.0
HELD: dict[str, Any] = {
    "state": LeaseState.HELD,
    "partitions": ("p",),
    "deadline": NOW + 500,
    "expires_at": NOW + 500,
    "duration": 600.0,
    "is_code": True,
    "staged": True,
    "env_ready": True,
}
ENDING = {
    **HELD,
    "state": LeaseState.ENDING,
    "ending": "Suspended",
    "ending_at": NOW,
    "grace": 10.0,
}
NOTICED = {**ENDING, "notice": 30.0, "warned": True}
OVER = {**ENDING, "partitions": (), "gone": True, "gone_at": NOW, "weight": 0}


def wanted(**fields: Any) -> LeaseWanted:
    spec = {"job": "a" * 32, "job_name": "j", "attempt": 1, "worker": "w", "memory_milli": 0}
    return LeaseWanted(UNIT, LeaseSpec(**{**spec, "duration": 600, **fields}))


def view(after: float = 0.0, *, lease: LeaseWanted | None = None, **fields: Any) -> View:
    seen = {"informed": True, "contact": True, "contact_at": NOW + after, "running_since": 1.0}
    return View(mono=NOW + after, wall=NOW + after, wanted=lease, **{**seen, **fields})


REVOKED = wanted(revoked="Suspended", grace=10.0, notice=30.0)
RUNS = {"lease": REVOKED, "running": True}
HURRIED = {"lease": wanted(revoked="Suspended", grace=10.0), "running": True}

# record, what is around it → the step, or until when nothing is to be done
CASES: dict[str, tuple[dict[str, Any], View, Verb | float | None]] = {
    "revoked with notice": (HELD, view(**RUNS), Verb.END),
    "then it is warned": (ENDING | {"notice": 30.0}, view(**RUNS), Verb.WARN),
    "not SIGTERM yet": (NOTICED | {"verify_at": NOW + 99}, view(29.9, **RUNS), NOW + 30),
    "it is looked at meanwhile": (NOTICED | {"verify_at": NOW + 5}, view(5, **RUNS), Verb.VERIFY),
    "SIGTERM after the notice": (NOTICED, view(30, **RUNS), Verb.TERM),
    "no SIGKILL before the grace": (NOTICED | {"termed": True, "verify_at": NOW + 99}, view(39.9, **RUNS), NOW + 40),
    "SIGKILL after it": (NOTICED | {"termed": True}, view(40, **RUNS), Verb.KILL),
    "notice ends with the lease": (NOTICED | {"deadline": NOW + 12}, view(12, **RUNS), Verb.TERM),
    "and so does the grace": (NOTICED | {"deadline": NOW + 12, "termed": True}, view(13, **RUNS), Verb.KILL),
    "without notice at once": (ENDING | {"warned": True}, view(**RUNS), Verb.TERM),
    "less time than it was given": (NOTICED, view(5, **HURRIED), Verb.END),
    "also after SIGTERM": (ENDING | {"grace": 3600.0, "termed": True}, view(5, **HURRIED), Verb.END),
    "not if it would be more": (NOTICED | {"termed": True, "verify_at": NOW + 99}, view(35, **HURRIED), NOW + 40),
    "nor beyond its lease": (NOTICED | {"deadline": NOW + 5, "termed": True}, view(6, **HURRIED), Verb.KILL),
    "nor once nothing runs": (OVER | {"notice": 30.0, "saving": True}, view(5, lease=HURRIED["lease"]), None),
    "near its end it is warned": (HELD | {"deadline": NOW + 30}, view(lease=wanted(), running=True), Verb.WARN),
    "no one else is": (HELD | {"deadline": NOW + 30}, view(lease=wanted()), NOW + 30),
    "one that has just started is not yet": (HELD | {"deadline": NOW + 30}, view(lease=wanted(), running=True, running_since=NOW - 1), NOW + 1),
    "what is wanted begins": ({}, view(lease=wanted()), Verb.STAGE),
    "but not unheard": ({}, view(lease=wanted(), contact=False), None),
    "what was held goes on unheard": (HELD | {"epoch": 1}, view(lease=wanted(), contact=False), Verb.HOLD),
    "too large": (HELD, view(lease=wanted(), running=True, excess=Excess("CheckpointTooLarge", "much")), Verb.END),
    "too large, but nothing runs": (HELD, view(lease=wanted(), excess=Excess("CheckpointTooLarge", "much")), NOW + 500),
    "the share first": (OVER | {"partitions": ("p",)}, view(), Verb.RELEASE),
    "then what it left": (OVER, view(), Verb.SAVE),
    "also while it is wanted": (OVER, view(lease=REVOKED), Verb.SAVE),
    "which takes its time": (OVER | {"saving": True}, view(), None),
    "a failed try is repeated": (OVER | {"retry_at": NOW + 1, "failures": 1}, view(), NOW + 1),
    "what starts late is looked at meanwhile": (OVER | {"saving": True}, view(running=True), Verb.VERIFY),
    "nothing was there": (OVER | {"saved": True}, view(), Verb.DROP),
    "kept, but it was not heard": (OVER | {"saved": True, "saved_at": NOW}, view(contact_at=NOW), None),
    "kept, and heard": (OVER | {"saved": True, "saved_at": NOW}, view(1), Verb.DROP),
    "kept, still wanted": (OVER | {"saved": True}, view(1, lease=REVOKED), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_decides(case: tuple[dict[str, Any], View, Verb | float | None]) -> None:
    fields, around, expected = case
    answer = next_step(Record(UNIT, **fields), around)
    if isinstance(expected, Verb):
        assert isinstance(answer, Step), answer
        assert answer.verb is expected
    else:
        assert isinstance(answer, Wait), answer
        assert answer.until == expected


def test_the_end_carries_what_was_given() -> None:
    answer = next_step(Record(UNIT, **HELD), view(**RUNS))
    assert isinstance(answer, Step)
    record = ended(Record(UNIT, **HELD), answer, NOW)
    assert (record.ending, record.notice, record.grace) == ("Suspended", 30.0, 10.0)
    told = ended(Record(UNIT, **{**HELD, "warned": True}), answer, NOW)
    assert not told.warned, "it was warned of its lease's end, not of the pause"


def test_it_is_hurried_once_and_given_all_of_the_shorter_time() -> None:
    around = view(5, **HURRIED)
    answer = next_step(Record(UNIT, **NOTICED), around)
    assert isinstance(answer, Step)
    record = ended(Record(UNIT, **NOTICED), answer, around.mono)
    assert (record.ending, record.notice, record.grace) == ("Suspended", 0.0, 10.0)
    told = next_step(record, around)
    assert isinstance(told, Step)
    assert told.verb is Verb.TERM
    later = next_step(replace(record, termed=True, verify_at=NOW + 99), view(6, **HURRIED))
    assert isinstance(later, Wait)
    assert later.until == NOW + 15


def test_states_rise_through_saving() -> None:
    record = released(Record(UNIT, **{**OVER, "partitions": ("p",)}))
    assert (record.state, record.partitions) == (LeaseState.ENDING, ())
    assert saving(record).state is LeaseState.SAVING
    over = saved(saving(record), NOW, "it could not be kept")
    assert (over.state, over.message) == (LeaseState.ENDED, "it could not be kept")
    failed = Record(UNIT, **{**OVER, "state": LeaseState.FAILED, "message": "why"})
    assert saved(saving(failed), NOW, "x").state is LeaseState.FAILED
    assert saved(failed, NOW, "x").message == "why", "what failed first counts"
