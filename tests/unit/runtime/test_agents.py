"""Agents: reports of workers replace, and what is wanted of each is a whole set."""

from __future__ import annotations

import pytest
from cumulus.api.frames import Wanted
from cumulus.controller.reconcile.observed import Unready
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.worker import Device
from make import DIGEST, UID, T, job, lease, worker
from runtime_kit import IMAGE, Kit

UNIT = unit_name(UID, 1)


async def test_a_report_replaces_all_that_was_known(kit: Kit) -> None:
    await kit.report("n1", devices=2, labels={"a": "b"})
    await kit.desired.cordon("n1", cordoned=True, drain=False)
    version = kit.store.version
    await kit.report("n1", devices=2, labels={"a": "b"})
    assert kit.store.version == version  # the same again is no news
    await kit.report("n1", devices=1)
    known = kit.records.workers["n1"]
    assert (len(known.status.devices), known.metadata.labels) == (1, {})
    assert known.spec.cordoned  # an operator's wish is not the agent's to change
    assert known.metadata.creation_timestamp == T


async def test_room_may_have_come_when_a_worker_does(kit: Kit) -> None:
    await kit.put(job())
    await kit.report("n1")
    assert kit.queued() == ["train"]
    await kit.report("n1")
    assert kit.queued() == []
    kit.clock.advance(6)
    await kit.report("n1")  # the same record, but it had been out of contact
    assert kit.queued() == ["train"]
    kit.clock.advance(6)
    kit.agents.heard("n1")
    assert kit.queued() == ["train"]


async def test_the_wanted_set_holds_all_that_must_be_staged(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING, requirements=["torch"], args={"n": 1}))
    await kit.put_lease(lease(LeaseState.PENDING))
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.name, wanted.code_digest, wanted.image) == (UNIT, DIGEST, IMAGE)
    assert (wanted.requirements, wanted.args_json) == (("torch",), '{"n": 1}')
    assert (wanted.spec.not_after, wanted.next_log) == (0.0, 0)
    assert kit.agents.wanted("n2") == Wanted()
    await kit.log(UNIT, b"a\n", b"b\n")
    await kit.report("n1", {UNIT: kit.held(expires_at=T + 60)})
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.spec.not_after, wanted.next_log) == (T + 60, 2)


async def test_released_leases_and_those_without_a_job_are_not_wanted(kit: Kit) -> None:
    await kit.put_lease(lease())
    assert kit.agents.wanted("n1") == Wanted()
    await kit.put(job(uid="b" * 32))  # another job of that name
    assert kit.agents.wanted("n1") == Wanted()
    await kit.records.delete_job("train", "b" * 32)
    await kit.put(job())
    assert len(kit.agents.wanted("n1").leases) == 1
    await kit.put_lease(lease(released=True))
    assert kit.agents.wanted("n1") == Wanted()


async def test_datasets_that_exist_no_more_are_to_go(kit: Kit) -> None:
    other, gone = "sha256:" + "b" * 64, {DIGEST}
    kit.agents.gone = gone.__contains__
    session = await kit.agents.session("n1", "peer")
    frames = session.outgoing()
    assert await anext(frames) == Wanted()
    await kit.report(
        "n1", status={"datasets": (DIGEST, other)}
    )  # what is there by then is told at once
    assert await anext(frames) == Wanted(dropped=(DIGEST,))
    assert kit.agents.wanted("n2") == Wanted()
    gone.add(other)
    kit.agents.all_wanted_changed()
    assert await anext(frames) == Wanted(dropped=(DIGEST, other))
    await frames.aclose()
    assert kit.agents.wanted("n1").dropped == (DIGEST, other)  # and again at the next session
    await kit.report("n1")
    assert kit.agents.wanted("n1") == Wanted()


async def test_code_is_read_by_workers_that_need_it(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await kit.put_lease(lease())
    assert await kit.agents.may_read_blob("n1", DIGEST)
    assert await kit.agents.may_read_blob("", DIGEST)
    assert not await kit.agents.may_read_blob("n2", DIGEST)
    assert not await kit.agents.may_read_blob("n1", "sha256:" + "b" * 64)
    await kit.put_lease(lease(released=True))
    assert not await kit.agents.may_read_blob("", DIGEST)


async def test_no_agent_has_so_much_to_say_of_its_worker(kit: Kit) -> None:
    for fields in (
        {"labels": {"a": "b" * (1 << 20)}},
        {"status": {"images": ("i" * 1000,) * 1100}},
    ):
        with pytest.raises(ValidationError, match="status and labels: "):
            await kit.report("n1", **fields)
    assert kit.records.workers == {}


async def test_devices_may_change(kit: Kit) -> None:
    await kit.report("n1", devices=1)
    assert kit.world.workers(T)[0].free.milli == {0: 1000}
    devices = tuple(Device(index=i, name="H200", type="nvidia") for i in range(2))
    await kit.report("n1", status={"devices": devices})
    assert kit.world.workers(T)[0].free.milli == {0: 1000, 1: 1000}


async def test_a_worker_is_clean_before_it_takes_jobs(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    session = await kit.agents.session("n1", "peer")
    await kit.report("n1", {other: kit.held()})
    assert kit.unready() is Unready.NOT_CLEAN
    (ready,) = kit.records.workers["n1"].status.conditions
    assert (ready.status, ready.reason) == (False, "NotClean")
    rooms = kit.rooms
    await kit.report("n1", {other: kit.held(state=LeaseState.ENDED)})
    assert kit.unready() is None
    assert kit.rooms == rooms + 1
    await kit.report("n1", {other: kit.held()})  # what is dropped from then on is no news
    assert kit.unready() is None
    await session.close()
    await kit.report("n1", {other: kit.held()})
    assert kit.unready() is Unready.NOT_CLEAN
    await kit.put_lease(lease(uid="b" * 32))
    await kit.report("n1", {other: kit.held()})  # wanted: nothing unknown
    assert kit.unready() is None


async def test_of_a_fenced_worker_nothing_is_wanted(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await kit.report("n1")
    await kit.put_lease(lease())
    assert len(kit.agents.wanted("n1").leases) == 1
    await kit.records.put_worker(worker(fenced=True))
    assert kit.agents.wanted("n1") == Wanted()
    assert kit.unready() is Unready.FENCED
