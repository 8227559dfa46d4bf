"""The fleet on one page, and what is remembered of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.viewer import Viewer
from cumulus.controller.runtime import history
from cumulus.controller.runtime.history import History
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Attempt, Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import T, job, lease
from runtime_kit import Kit, until

HERS = Viewer("hers", own_only=True)


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    one = Kit(tmp_path)
    yield one
    one.close()


@pytest.fixture
async def remembering(kit: Kit) -> AsyncIterator[History]:
    """The history of the kit, at work."""
    task = asyncio.create_task(kit.history.run())
    await until(lambda: kit.history.samples(0.0))
    yield kit.history
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def owned(uid: str, owner: str) -> dict[str, object]:
    return {"uid": uid, "owner": owner}


async def test_busy_jobs_the_queue_in_order_and_what_ended(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING, name="busy", uid="1"))
    await kit.put(job(name="second", uid="2", status={"submitted_at": T + 1}))
    await kit.put(job(name="first", uid="3", status={"submitted_at": T}))
    await kit.put(job(name="urgent", uid="4", priority=9, status={"submitted_at": T + 2}))
    for name, uid in (("older", "5"), ("newer", "6")):
        before = await kit.put(job(Phase.RUNNING, name=name, uid=uid))
        ended = await kit.status(name, phase=Phase.FAILED, finished_at=T + int(uid))
        kit.history.transition(before, ended)
    shown = kit.overview.board()
    names = [one.metadata.name for one in shown.jobs]
    assert names == ["busy", "urgent", "first", "second", "newer", "older"]
    assert (shown.running, shown.waiting) == (1, 3)


async def test_a_submitter_is_shown_its_own_jobs_and_leases_and_every_worker(kit: Kit) -> None:
    await kit.report("n1")
    for n, owner in enumerate(("hers", "his")):
        uid = str(n) * 32
        meta = {"owner": owner}
        await kit.put(job(Phase.RUNNING, name=f"{owner}-busy", uid=uid, meta=meta))
        await kit.put(job(name=f"{owner}-waits", uid=f"w{n}", meta=meta))
        before = await kit.put(job(Phase.RUNNING, name=f"{owner}-ended", uid=f"e{n}", meta=meta))
        kit.history.transition(before, await kit.status(f"{owner}-ended", phase=Phase.FAILED))
        held = lease(uid=uid)
        held = held.model_copy(
            update={"metadata": held.metadata.model_copy(update={"owner": owner, "name": uid})}
        )
        await kit.records.put_lease(held)
        kit.world.lease_changed(uid, uid)
        kit.history._past.append(
            history.of_lease(held, None, T + 5)  # as when its record goes
        )
    all_of_it, hers = kit.overview.board(), kit.overview.seen_by(HERS).board()
    assert {one.metadata.owner for one in all_of_it.jobs} == {"hers", "his"}
    assert {one.metadata.owner for one in (*hers.jobs, *hers.leases)} == {"hers"}
    assert [one.metadata.name for one in hers.jobs][-1] == "hers-ended"
    assert {one.owner for one in hers.past} == {"hers"}
    assert (hers.running, hers.waiting) == (1, 1)
    assert [one.worker.metadata.name for one in hers.workers] == ["n1"]
    assert hers.workers[0].free == all_of_it.workers[0].free


async def test_room_that_is_kept_is_planned_and_names_no_others_to_a_submitter(kit: Kit) -> None:
    await kit.report("n1", {})
    await kit.put(job(Phase.RUNNING, name="train", meta={"owner": "his"}))
    held = lease(memory_milli=1000, status={"expires_at": T + 60})
    meta = held.metadata.model_copy(update={"owner": "his"})
    await kit.records.put_lease(held.model_copy(update={"metadata": meta}))
    kit.world.lease_changed(held.metadata.name, held.spec.job)
    await kit.put(job(name="next", uid="a" * 32, meta={"owner": "hers"}))
    (all_see,), (she_sees,) = (
        one.board().planned for one in (kit.overview, kit.overview.seen_by(HERS))
    )
    assert (all_see.job, all_see.worker, all_see.after) == ("next", "n1", "train")
    assert she_sees.after == "another job"
    assert all_see.start >= T + 60
    assert all_see.end - all_see.start == 60
    assert kit.overview.seen_by(Viewer("nobody", own_only=True)).board().planned == ()


async def test_a_lease_that_goes_is_remembered_with_how_its_attempt_ended(
    kit: Kit, remembering: History
) -> None:
    await kit.put(job(Phase.RUNNING, name="train"))
    held = lease(status={"expires_at": T + 60, "ended_at": T + 61.5})
    await kit.records.put_lease(held)
    await kit.status("train", phase=Phase.TIMED_OUT, finished_at=T + 61)
    await kit.records.delete_lease(held.metadata.name)
    await until(lambda: list(remembering.past()))
    (past,) = remembering.past()
    assert (past.job, past.worker, past.devices, past.milli) == ("train", "n1", (0,), 500)
    assert (past.start, past.end, past.due) == (T, T + 61.5, T + 60)
    assert past.outcome == "TimedOut"


async def test_a_lease_that_was_never_held_is_not(kit: Kit, remembering: History) -> None:
    for name, state in (("never", LeaseState.PENDING), ("held", LeaseState.HELD)):
        one = lease(state, held_at=T if state is LeaseState.HELD else 0.0, uid=name)
        one = one.model_copy(update={"metadata": one.metadata.model_copy(update={"name": name})})
        await kit.records.put_lease(one)
        await kit.records.delete_lease(name)
    await until(lambda: list(remembering.past()))
    assert [past.name for past in remembering.past()] == ["held"]


async def test_after_a_restart_the_jobs_on_record_tell_of_a_day_with_every_attempt(
    kit: Kit,
) -> None:
    kit.clock.advance(200_000)
    now = kit.clock.now()

    def tried(number: int, end: float, phase: Phase, **more: Any) -> Attempt:
        known = {"started_at": end - 60, "finished_at": end, "expires_at": end + 9}
        known |= {"worker": "n1", "devices": (1,), **more}
        return Attempt(number=number, phase=phase, **known)

    ends = {"yesterday": now - 90_000, "first": now - 500, "last": now - 5}
    for n, (name, at) in enumerate(ends.items()):
        lost = tried(1, at - 100, Phase.FAILED)
        status = {"attempt": 2, "attempts": (lost, tried(2, at, Phase.SUCCEEDED))}
        status |= {"started_at": at - 60, "finished_at": at, "worker": "n1", "cleaned": True}
        await kit.put(job(Phase.SUCCEEDED, name=name, uid=str(n) * 32, status=status))
    never_ran = tried(2, now - 3, Phase.FAILED, started_at=0.0)
    again = {"attempt": 3, "attempts": (tried(1, now - 50, Phase.FAILED), never_ran)}
    await kit.put(job(Phase.RUNNING, name="again", uid="9" * 32, status=again))
    await kit.history.seed()
    assert [name for name, _ in kit.history.ended()] == ["last", "first"]
    past = list(kit.history.past())
    assert [(one.job, one.attempt) for one in past] == [
        ("last", 2),
        ("again", 1),
        ("last", 1),
        ("first", 2),
        ("first", 1),
    ]
    newest = past[0]
    assert (newest.name, newest.milli, newest.devices) == (unit_name("2" * 32, 2), 500, (1,))
    assert (newest.start, newest.end, newest.due) == (now - 65, now - 5, now + 4)
    assert [one.outcome for one in past[:2]] == ["Succeeded", "Failed"]


async def test_the_fleet_is_sampled(kit: Kit) -> None:
    await kit.report("n1")
    await kit.put(job(Phase.RUNNING, name="train"))
    await kit.put(job(name="waits", uid="f" * 32))
    held = lease(memory_milli=250)
    await kit.records.put_lease(held)
    kit.world.lease_changed(held.metadata.name, held.spec.job)
    kit.history.overran(0.5)
    kit.history.overran(0.25)
    kit.history.sample()
    kit.clock.advance(5)
    kit.history.sample()
    first, second = kit.overview.samples(0.0)
    assert (first.waiting, first.running, first.used, first.total) == (1, 1, 250, 1000)
    assert (first.overrun, second.overrun) == (0.5, -1.0)
    assert kit.overview.samples(first.time) == [second]


async def test_what_is_remembered_is_bounded(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "JOBS_KEPT", 2)
    before = job(Phase.RUNNING)
    for name in ("a", "b", "a", "c"):
        kit.history.transition(before, job(Phase.FAILED, name=name))
    assert [name for name, _ in kit.history.ended()] == ["c", "a"]
    assert kit.history._samples.maxlen == history.SAMPLES_KEPT
    assert kit.history._past.maxlen == history.LEASES_KEPT


async def test_whoever_subscribed_is_woken_by_each_change(kit: Kit) -> None:
    woken = asyncio.Event()
    unsubscribe = kit.overview.subscribe(woken.set)
    await kit.put(job())
    async with asyncio.timeout(20):
        await woken.wait()
    unsubscribe()
    woken.clear()
    await kit.put(job(name="b", uid="b" * 32))
    await asyncio.sleep(0)
    assert not woken.is_set()
