"""Vouching for workers that are lost, and forgetting those that leave."""

from __future__ import annotations

import pytest
from cumulus.api.frames import Wanted
from cumulus.controller.platforms.base import NodeSeen
from cumulus.controller.runtime.workers import Signals, Workers
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, job, lease, worker
from runtime_kit import Kit

UNIT = unit_name(UID, 1)


async def lost(kit: Kit) -> None:
    """A worker with a running job, silent for a while."""
    await kit.report("n1")
    await kit.put(job(Phase.RUNNING, status={"worker": "n1"}, retry={"limit": 1, "backoff": 1}))
    await kit.records.put_lease(lease())
    kit.world.lease_changed(UNIT, UID)
    kit.world.services.created(UNIT, UID, 1, "node-n1")
    kit.clock.advance(30)


async def test_a_worker_in_contact_is_not_fenced(kit: Kit) -> None:
    await kit.report("n1")
    with pytest.raises(ConflictError, match="drain it"):
        await kit.workers.fence("n1", fenced=True)
    with pytest.raises(NotFoundError):
        await kit.workers.fence("n9", fenced=True)
    with pytest.raises(NotFoundError):
        await kit.workers.fence("n9", fenced=False)


async def test_the_jobs_of_a_fenced_worker_go_elsewhere_at_once(kit: Kit) -> None:
    await lost(kit)
    kit.world.nodes_seen([NodeSeen("node-n1", "n1", up=False), NodeSeen("node-n2", "n2", up=True)])
    await kit.report("n2")
    assert (await kit.workers.fence("n1", fenced=True)).spec.fenced
    assert kit.agents.wanted("n1") == Wanted()
    await kit.settle()
    kit.clock.advance(1)
    kit.queue.add("train")
    await kit.settle()
    status = kit.records.find_job("train").status
    assert (status.attempt, status.worker, status.attempts[0].reason) == (2, "n2", "Fenced")
    assert UNIT not in kit.records.leases


async def test_a_fenced_worker_takes_no_jobs_until_it_is_unfenced(kit: Kit) -> None:
    await kit.report("n1")
    kit.clock.advance(30)
    await kit.workers.fence("n1", fenced=True)
    await kit.report("n1")
    assert not kit.world.workers(kit.clock.now())[0].ready
    rooms = kit.rooms
    await kit.workers.fence("n1", fenced=False)
    assert kit.rooms == rooms + 1
    assert kit.world.workers(kit.clock.now())[0].ready


async def test_a_worker_is_removed_only_where_nothing_is_left(kit: Kit) -> None:
    await lost(kit)
    with pytest.raises(ConflictError, match="still has 1 lease"):
        await kit.workers.remove("n1")
    await kit.records.delete_lease(UNIT)
    kit.world.lease_changed(UNIT, UID)
    with pytest.raises(ConflictError, match="still takes jobs"):
        await kit.workers.remove("n1")
    await kit.desired.cordon("n1", cordoned=True, drain=True)
    await kit.report("n1")
    with pytest.raises(ConflictError, match="would come back"):
        await kit.workers.remove("n1")
    kit.clock.advance(30)
    assert (await kit.workers.remove("n1")).metadata.name == "n1"
    assert "n1" not in kit.records.workers
    assert [node.node_id for node in await kit.platform.nodes()] == ["node-n2"]
    assert list(kit.world.workers(kit.clock.now())) == []
    with pytest.raises(NotFoundError):
        await kit.workers.remove("n1")


async def test_a_fenced_worker_is_removed_as_well(kit: Kit) -> None:
    await kit.report("n1")
    kit.clock.advance(30)
    await kit.workers.fence("n1", fenced=True)
    await kit.workers.remove("n1")
    assert kit.records.workers == {}


async def test_a_removed_worker_is_refused_from_then_on(kit: Kit) -> None:
    forgotten: list[str] = []

    async def forget(name: str) -> bool:
        forgotten.append(name)
        return True

    signals = Signals(kit.queue.add, kit.workers_changed, forget)
    workers = Workers(kit.records, kit.world, kit.agents, kit.platform, kit.clock, signals)
    session = await kit.agents.session("n1", "peer")
    await kit.report("n1")
    await kit.desired.cordon("n1", cordoned=True, drain=True)
    out = session.outgoing()
    await anext(out)
    await workers.remove("n1")  # in contact, but it cannot come back
    assert forgotten == ["n1"]
    assert [frame async for frame in out] == []


async def test_one_that_joined_and_never_came_can_be_refused_too(kit: Kit) -> None:
    joined = {"n7"}

    async def forget(name: str) -> bool:
        if name not in joined:
            return False
        joined.remove(name)
        return True

    signals = Signals(kit.queue.add, kit.workers_changed, forget)
    workers = Workers(kit.records, kit.world, kit.agents, kit.platform, kit.clock, signals)
    assert (await workers.remove("n7")).metadata.name == "n7"
    assert (joined, kit.records.workers) == (set(), {})
    with pytest.raises(NotFoundError):
        await workers.remove("n7")


async def test_a_file_neither_fences_nor_unfences(kit: Kit) -> None:
    await kit.report("n1")
    with pytest.raises(ValidationError, match="cumulusctl fence"):
        await kit.desired.apply(worker(fenced=True), dry_run=False)
    kit.clock.advance(30)
    await kit.workers.fence("n1", fenced=True)
    await kit.desired.apply(worker(cordoned=True), dry_run=False)
    assert kit.records.workers["n1"].spec == worker(cordoned=True, fenced=True).spec


async def test_what_was_held_before_a_crash_of_all_is_over_when_its_time_is(kit: Kit) -> None:
    await kit.report("n1")
    await kit.report("n2")
    await kit.put(job(Phase.PENDING, status={"attempt": 2}))
    await kit.records.put_lease(lease(LeaseState.HELD, released=True))
    kit.world.lease_changed(UNIT, UID)
    await kit.settle()
    assert UNIT in kit.records.leases  # in contact, only its agent's word counts
    await kit.report("n1")
    await kit.settle()
    assert UNIT not in kit.records.leases
