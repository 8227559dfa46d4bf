"""Room: once there is some, those that wait are looked at, the most urgent and oldest first."""

from __future__ import annotations

import asyncio

import pytest
from cumulus.controller.reconcile.observed import Booking
from cumulus.controller.runtime import room as room_module
from cumulus.controller.runtime.records import InLine
from make import T, job, lease
from runtime_kit import Kit


async def waiting(kit: Kit, duration: int = 60) -> None:
    for name, priority, submitted, memory in [
        ("a", 0, 20.0, 0.5),
        ("b", 0, 10.0, 0.5),
        ("c", 5, 30.0, 0.5),
        ("d", 9, 40.0, 1.0),
    ]:
        made = job(
            name=name,
            uid=name * 32,
            priority=priority,
            gpu={"memory": memory},
            duration=duration,
            status={"submitted_at": submitted},
        )
        await kit.put(made)


@pytest.mark.parametrize(("duration", "expected"), [(50, ["c"]), (51, [])])
async def test_those_that_fit_without_delaying_who_is_ahead(
    kit: Kit, duration: int, expected: list[str]
) -> None:
    await kit.report("n1")
    await kit.records.put_lease(lease(memory_milli=500))
    kit.world.lease_changed(lease().metadata.name, lease().spec.job)
    await waiting(kit, duration)  # d needs the whole device, which it has when the lease ends
    kit.room.freed()
    await kit.room.settled()
    assert kit.queued() == expected


async def test_those_that_fit_by_urgency_then_age(kit: Kit) -> None:
    for name in ("n1", "n2"):
        await kit.report(name)
    await waiting(kit)
    kit.room.freed()
    await kit.room.settled()
    assert kit.queued() == ["d", "c", "b"]  # a has no room beside them
    kit.world.line.moved()
    await kit.records.delete_job("d", "d" * 32)
    kit.room.freed()
    await kit.room.settled()
    assert kit.queued() == ["c", "b", "a"]


async def test_nobody_without_room(kit: Kit) -> None:
    await waiting(kit)
    kit.room.freed()
    await kit.room.settled()
    assert kit.queued() == []


async def test_all_where_workers_changed(kit: Kit) -> None:
    await waiting(kit)
    kit.room.workers_changed()
    assert kit.queued() == ["d", "c", "b", "a"]


async def test_news_during_a_round_make_one_more(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "PIECE", 1)
    await waiting(kit)
    asked: list[str] = []

    def room_for(one: InLine, given: object) -> Booking:
        assert given is not None
        asked.append(one.name)
        return Booking(one.name, "n1", T, T + 1, (), 0, 0, 0)

    monkeypatch.setattr(kit.room, "_room_for", room_for)
    kit.room.freed()
    await asyncio.sleep(0)
    kit.room.freed()
    kit.room.freed()
    await kit.room.settled()
    assert asked == ["d", "c", "b", "a"] * 2
    kit.room.close()


async def test_a_forgotten_lease_makes_room(kit: Kit) -> None:
    await kit.report("n1")
    held = lease(memory_milli=1000)
    await kit.records.put_lease(held)
    kit.world.lease_changed(held.metadata.name, held.spec.job)
    await waiting(kit)
    await kit.executor._forget(held.metadata.name)
    await kit.room.settled()
    assert kit.queued() == ["d"]


async def test_who_leaves_the_queue_makes_way(kit: Kit) -> None:
    await kit.report("n1")
    await waiting(kit)
    cancelled = kit.records.find_job("d")
    meta = cancelled.metadata.model_copy(update={"cancellation_timestamp": 50.0})
    await kit.put(cancelled.model_copy(update={"metadata": meta}))
    kit.queue.add("d")
    await kit.settle()
    await kit.room.settled()
    assert kit.queued() == ["c", "b"]


async def test_of_many_that_ask_for_the_same_some_are_looked_at(kit: Kit) -> None:
    await kit.report("n1", devices=8, cpus=64000, memory=1 << 40)
    for number in range(2 * room_module.OF_A_KIND):
        await kit.put(job(name=f"j{number:02}", uid=f"{number:032x}", gpu={"memory": 0.1}))
    kit.room.freed()
    await kit.room.settled()
    assert kit.queued() == [f"j{number:02}" for number in range(room_module.OF_A_KIND)]
