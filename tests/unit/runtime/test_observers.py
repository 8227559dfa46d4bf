"""The eyes on the platform: what a listing changes goes on the queue, hints bring the next one."""

from __future__ import annotations

import asyncio

import pytest
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.controller.runtime import observers as observers_module
from cumulus.controller.runtime.observers import BEAT_SECONDS, CHASE_SECONDS, PlatformObserver
from cumulus.crd_like_specs.errors import StoreError, Temporary
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from make import UID, job, lease, service
from runtime_kit import Kit, until

UNIT = unit_name(UID, 1)
OTHER = "b" * 32


class Eyes(PlatformObserver):
    """An observer with the keys it put on the queue."""

    def __init__(self, kit: Kit) -> None:
        self.keys: list[str] = []
        self.rooms = 0
        super().__init__(
            kit.platform, kit.world, kit.records, kit.clock, self.keys.append, self._count
        )

    def _count(self) -> None:
        self.rooms += 1

    def new_keys(self) -> list[str]:
        found, self.keys[:] = sorted(self.keys), []
        return found


@pytest.fixture
def eyes(kit: Kit) -> Eyes:
    return Eyes(kit)


def show(kit: Kit, *services: object) -> None:
    async def list_owned() -> list[object]:
        return list(services)

    kit.platform.list_owned = list_owned  # type: ignore[method-assign, assignment]


async def test_keys_are_names_or_uids_of_orphans(kit: Kit, eyes: Eyes) -> None:
    await kit.put(job(Phase.RUNNING))
    show(kit, service(), service(uid=OTHER))
    await eyes.list_once()
    assert eyes.new_keys() == ["train", f"uid:{OTHER}"]
    await eyes.list_once()
    assert eyes.new_keys() == []


async def test_a_platform_that_does_not_answer_is_unseen_until_it_does(
    kit: Kit, eyes: Eyes
) -> None:
    await kit.put(job(Phase.RUNNING))
    await eyes.list_once()
    kit.world.services.created(UNIT, UID, 1, "node-n1")
    kit.platform.fail_next("list_owned", Temporary("no answer"))
    await eyes.list_once()
    assert not kit.world.services.observed
    assert kit.world.services.of(UID)
    assert eyes.new_keys() == []
    await eyes.list_once()
    assert kit.world.services.observed
    assert eyes.new_keys() == ["train"]


async def test_a_unit_is_chased_until_seen_ended(kit: Kit, eyes: Eyes) -> None:
    show(kit, service())
    await eyes.list_once()
    assert eyes._chase() == BEAT_SECONDS
    eyes.look_now(UNIT)
    assert [eyes._chase() for _ in range(3)] == list(CHASE_SECONDS[1:4])
    show(kit, service(ServiceState.COMPLETE))
    await eyes.list_once()
    assert eyes._chase() == BEAT_SECONDS
    assert eyes._chased == {}


async def test_a_chase_ends_by_itself(kit: Kit, eyes: Eyes) -> None:
    show(kit, service())
    await eyes.list_once()
    eyes.look_now(UNIT)
    delays = [eyes._chase() for _ in range(len(CHASE_SECONDS))]
    assert delays == [*CHASE_SECONDS[1:], BEAT_SECONDS]
    eyes.look_now("cumulus-nobody")
    assert eyes._chase() == BEAT_SECONDS


async def test_workers_that_come_and_go_concern_their_jobs(kit: Kit, eyes: Eyes) -> None:
    await kit.put(job(Phase.RUNNING))
    await kit.records.put_lease(lease())
    await kit.report("n1")
    await kit.report("n2")
    eyes.check_readiness()
    assert (eyes.new_keys(), eyes.rooms) == (["train"], 1)
    eyes.check_readiness()
    assert (eyes.new_keys(), eyes.rooms) == ([], 1)
    kit.clock.advance(4)
    await kit.report("n1")
    kit.clock.advance(2)
    eyes.check_readiness()  # n2 fell silent, which n1's job does not care for
    assert (eyes.new_keys(), eyes.rooms) == ([], 2)
    kit.clock.advance(4)
    eyes.check_readiness()
    assert (eyes.new_keys(), eyes.rooms) == (["train"], 3)
    eyes.check_readiness(force=True)
    assert (eyes.new_keys(), eyes.rooms) == (["train"], 4)


async def test_it_runs_on_hints_and_through_broken_events(
    kit: Kit, eyes: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observers_module, "BEAT_SECONDS", 0.01)
    listings = 0

    async def list_owned() -> list[object]:
        nonlocal listings
        listings += 1
        return []

    calls = 0

    async def changes() -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Temporary("the engine went away")
        yield None

    kit.platform.list_owned = list_owned  # type: ignore[method-assign, assignment]
    kit.platform.changes = changes  # type: ignore[method-assign, assignment]
    kit.platform.fail_next("nodes", Temporary("busy"))
    running = asyncio.ensure_future(eyes.run())
    await until(lambda: calls >= 3 and listings >= 4 and kit.world._nodes is not None)
    assert kit.world.node_up("node-n1")
    assert not kit.world.node_up("node-n9")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_the_chase_begins_at_once_and_gives_up_within_a_second() -> None:
    assert CHASE_SECONDS[0] == 0
    assert sum(CHASE_SECONDS) < 1


async def test_a_full_disk_does_not_end_the_eyes(
    kit: Kit, eyes: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kit.report()
    eyes.check_readiness()

    async def full(*_: object) -> None:
        raise StoreError("the store is read-only: No space left on device")

    monkeypatch.setattr(kit.records, "change_worker", full)
    await eyes._publish(set(kit.records.workers))
    assert kit.records.workers
