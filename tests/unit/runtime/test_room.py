"""Room: once there is some, those that wait are looked at, the most urgent and oldest first."""

from __future__ import annotations

import asyncio

import pytest
from cumulus.controller.runtime import room as room_module
from make import job, lease
from runtime_kit import Kit


def queued(kit: Kit) -> list[str]:
    found = []
    while (key := kit.queue.take(kit.clock.now())) is not None:
        found.append(key)
        kit.queue.done(key)
    return found


async def waiting(kit: Kit) -> None:
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
            status={"submitted_at": submitted},
        )
        await kit.put(made)


async def test_those_that_fit_by_urgency_then_age(kit: Kit) -> None:
    await kit.report("n1")
    await kit.records.put_lease(lease(memory_milli=500))
    kit.world.lease_changed(lease().metadata.name, lease().spec.job)
    await waiting(kit)
    kit.room.freed()
    await kit.room.settled()
    assert queued(kit) == ["c", "b", "a"]  # d needs a whole device


async def test_nobody_without_room(kit: Kit) -> None:
    await waiting(kit)
    kit.room.freed()
    await kit.room.settled()
    assert queued(kit) == []


async def test_all_where_workers_changed(kit: Kit) -> None:
    await waiting(kit)
    kit.room.workers_changed()
    assert queued(kit) == ["d", "c", "b", "a"]


async def test_news_during_a_round_make_one_more(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "PIECE", 1)
    await waiting(kit)
    asked: list[str] = []
    monkeypatch.setattr(kit.room, "_fits", lambda name: bool(asked.append(name)))
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
    assert queued(kit) == ["d", "c", "b", "a"]
