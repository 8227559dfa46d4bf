"""What is told of jobs, leases and workers; how long it is kept, and who may read it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.happened import TYPES, EventQuery, Happened
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime import event_journal, events, ring
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.event_journal import EventJournal
from cumulus.controller.runtime.events import Events
from cumulus.controller.runtime.happenings import of_status
from cumulus.crd_like_specs.errors import NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Attempt, Cause, Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, job
from runtime_kit import Kit, take

HERS = Viewer("hers", own_only=True, who="hers")
HIS = Viewer("his", own_only=True, who="his")


def happened(name: str = "train", type_: str = "Running", **fields: Any) -> Happened:
    return Happened(type_, "Job", name, **fields)


async def read(kept: Events, viewer: Viewer = EVERYTHING, **query: Any) -> list[Happened]:
    return [event async for event in kept.read(EventQuery(**query), viewer)]


async def shown(kit: Kit, viewer: Viewer = EVERYTHING, **query: Any) -> list[str]:
    found = kit.operations.events(EventQuery(**query), viewer)
    return [f"{event.type} {event.name}" async for event in found]


# What is told


async def test_a_job_is_told_from_submission_to_its_lease_s_end(kit: Kit) -> None:
    await kit.report()
    stored = await kit.submit()
    await kit.settle()
    unit = f"cumulus-{stored.metadata.uid}-1"
    await kit.report(leases={unit: kit.held()})
    ending = kit.held(state=LeaseState.ENDING, reason="DurationExceeded")
    await kit.report(leases={unit: ending})
    assert await shown(kit, job="train") == [
        "Submitted train",
        "Placed train",
        "LeaseHeld train",
        "LeaseEnding train",
    ]
    placed, held, ending_ = (await read(kit.events, job="train"))[1:]
    assert placed.message == "on n1, 0.5 of device 0"
    assert held.message.startswith("0.5 of device 0 on n1 until ")
    assert (ending_.message, ending_.warning) == ("DurationExceeded", True)
    assert {event.worker for event in (placed, held, ending_)} == {"n1"}


async def test_who_asked_is_told(kit: Kit) -> None:
    wanted = job(name="mine").model_copy()
    await kit.desired.apply(wanted, dry_run=True, viewer=HERS)
    assert await shown(kit) == []
    await kit.desired.apply(wanted, dry_run=False, viewer=HERS)
    await kit.desired.apply(wanted, dry_run=False, viewer=HERS)
    await kit.desired.cancel("mine", viewer=HERS)
    await kit.desired.cancel("mine", viewer=HERS)
    await kit.desired.delete("mine", viewer=Viewer(who="boss"))
    told = await read(kit.events)
    assert [(event.type, event.by) for event in told] == [
        ("Submitted", "hers"),
        ("CancelAsked", "hers"),
        ("DeleteAsked", "boss"),
    ]


async def test_workers_are_told_when_they_turn(kit: Kit) -> None:
    await kit.report("n1")
    await kit.report("n1")
    ready = await read(kit.events)
    assert [event.type for event in ready] == ["WorkerJoined", "WorkerReady"]
    await kit.records.delete_worker("n1")
    assert (await read(kit.events))[-1].type == "WorkerRemoved"


def test_a_retry_is_one_event_with_its_reason() -> None:
    failed = Attempt(number=1, phase=Phase.FAILED, cause=Cause.ERROR, reason="ValueError")
    old = job(Phase.RUNNING)
    status = {"attempt": 2, "attempts": (failed,), "reason": "Retrying", "message": "in 10 s"}
    (event,) = of_status(old, job(Phase.PENDING, status=status))
    assert (event.type, event.message, event.warning, event.attempt) == (
        "Retrying",
        "in 10 s",
        True,
        2,
    )


@pytest.mark.parametrize(
    ("phase", "type_", "warning"),
    [
        (Phase.SUCCEEDED, "Succeeded", False),
        (Phase.FAILED, "Failed", True),
        (Phase.TIMED_OUT, "TimedOut", True),
        (Phase.CANCELLED, "Cancelled", False),
    ],
)
def test_every_end_is_told(phase: Phase, type_: str, warning: bool) -> None:
    (event,) = of_status(job(Phase.RUNNING), job(phase))
    assert (event.type, event.warning) == (type_, warning)
    assert event.type in TYPES


def test_waiting_is_told_once_per_reason() -> None:
    waiting = job(status={"reason": "WaitingForRoom", "message": "n1 is full"})
    (event,) = of_status(job(), waiting)
    assert (event.type, event.message) == ("Waiting", "n1 is full")
    assert list(of_status(waiting, waiting)) == []


# How it is kept


async def test_the_ring_is_bounded_by_number_and_age() -> None:
    clock = VirtualClock(1000.0)
    kept = Events(clock, kept=3)
    for name in "abcd":
        kept.note(happened(name))
    assert [event.name for event in await read(kept)] == ["b", "c", "d"]
    clock.advance(events.KEPT_SECONDS + 1)
    kept.note(happened("e"))
    kept._forget()
    assert [event.name for event in await read(kept)] == ["e"]


async def test_a_restart_goes_on_behind_what_was_written(tmp_path: Path) -> None:
    clock = VirtualClock(1000.0)
    kept = Events(clock, EventJournal(tmp_path))
    kept.note(happened("a", owner="hers"))
    kept.close()
    kept.note(happened("lost"))  # no more was written
    clock.advance(1)
    again = Events(clock, EventJournal(tmp_path))
    again.note(happened("b"))
    first, second = await read(again)
    assert (first.name, first.owner, second.name) == ("a", "hers", "b")
    assert second.sequence > first.sequence + 1


async def test_what_is_noted_is_written_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "FLUSH_SECONDS", 0.0)
    kept = Events(VirtualClock(1000.0), EventJournal(tmp_path))
    task = asyncio.ensure_future(kept.run())
    kept.note(happened("a"))
    async with asyncio.timeout(5):
        while not list(EventJournal(tmp_path).read()):  # noqa: ASYNC110 (a thread writes it)
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    kept.close()
    assert [event.name for event in EventJournal(tmp_path).read()] == ["a"]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    journal = EventJournal(tmp_path)
    journal.write([happened("a", sequence=1), happened("b", sequence=2)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9] + b'\n[1]\n{"x": 1}\n')
    assert [event.name for event in EventJournal(tmp_path).read()] == ["a"]


def test_segments_go_whole_once_nothing_of_them_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_journal, "SEGMENT_BYTES", 1)
    journal = EventJournal(tmp_path)
    for number in (1, 2, 3):
        journal.write([happened(sequence=number)])
    journal.expire(3)
    assert [event.sequence for event in journal.read()] == [3]


async def test_a_disk_that_fails_costs_the_journal_only(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    kept = Events(VirtualClock(1000.0), EventJournal(folder))
    folder.rmdir()
    kept.note(happened("a"))
    kept.close()
    assert [event.name for event in await read(kept)] == ["a"]


# Who reads what


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["a", "b", "a"]),
        ({"job": "a"}, ["a", "a"]),
        ({"job": "uid-b"}, ["b"]),
        ({"types": frozenset({"Failed"})}, ["a"]),
        ({"warnings": True}, ["a"]),
        ({"worker": "n2"}, ["b"]),
        ({"since": 1001.0}, ["b", "a"]),
        ({"tail": 1}, ["a"]),
    ],
)
async def test_queries(query: dict[str, Any], names: list[str]) -> None:
    clock = VirtualClock(1000.0)
    kept = Events(clock)
    kept.note(happened("a", uid="uid-a", worker="n1"))
    clock.advance(1)
    kept.note(happened("b", uid="uid-b", worker="n2"))
    kept.note(happened("a", "Failed", uid="uid-a", worker="n1", warning=True))
    assert [event.name for event in await read(kept, **query)] == names


def test_a_type_that_there_is_not() -> None:
    with pytest.raises(ValidationError, match="there is no event type 'Runing': expected "):
        EventQuery(types=frozenset({"Runing"})).checked()


async def test_each_sees_their_own_jobs_and_all_workers() -> None:
    kept = Events(VirtualClock(1000.0))
    kept.note(happened("a", owner="hers"))
    kept.note(happened("old"))
    kept.note(Happened("WorkerReady", "Worker", "n1", worker="n1"))
    kept.note(Happened("TokenCreated", "Token", "ci"))
    assert [event.name for event in await read(kept, HERS)] == ["a", "n1"]
    assert [event.name for event in await read(kept, HIS)] == ["n1"]
    assert [event.name for event in await read(kept)] == ["a", "old", "n1", "ci"]


async def test_a_job_that_is_gone_is_still_told_of(kit: Kit) -> None:
    kit.events.note(happened("gone", "Deleted", uid=UID, owner="hers"))
    assert await shown(kit, HERS, job="gone") == ["Deleted gone"]
    for viewer, name in ((HIS, "gone"), (HERS, "never")):
        with pytest.raises(NotFoundError, match=f"job '{name}' not found"):
            await shown(kit, viewer, job=name)


async def test_a_watch_tells_each_once_and_goes_on_behind_the_last() -> None:
    kept = Events(VirtualClock(1000.0))
    kept.note(happened("a"))
    watch = kept.read(EventQuery(watch=True))
    assert [event.name for event in await take(watch, 1)] == ["a"]
    kept.note(happened("b"))
    kept.note(happened("c"))
    (b, c) = await take(watch, 2)
    assert (b.name, c.name) == ("b", "c")
    resumed = kept.read(EventQuery(watch=True, after=b.sequence))
    assert [event.name for event in await take(resumed, 1)] == ["c"]
    for one in (watch, resumed):
        await one.aclose()
    assert not kept._watchers
