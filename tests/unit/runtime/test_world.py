"""The world: younger knowledge holds over listings, shares are counted once, contact is judged."""

from __future__ import annotations

import pytest
from cumulus.controller.platforms.base import NodeSeen
from cumulus.controller.reconcile.observed import Free, ServiceState, Unready
from cumulus.controller.runtime.world import World
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import Lease, LeaseState
from make import DIGEST, UID, T, job, lease, service, worker
from runtime_kit import IMAGE, Kit

UNIT = unit_name(UID, 1)
OTHER = "b" * 32


async def drop_lease(kit: Kit, of: Lease) -> None:
    await kit.records.delete_lease(of.metadata.name)
    kit.world.lease_changed(of.metadata.name, of.spec.job)


def listed(kit: Kit, *services: object) -> set[str]:
    return kit.world.services.listed(services, kit.world.services.listing_begins(), T)  # type: ignore[arg-type]


def test_listings_tell_what_changed(kit: Kit) -> None:
    assert listed(kit, service()) == {UID}
    assert listed(kit, service()) == set()
    assert listed(kit, service(ServiceState.COMPLETE)) == {UID}
    assert listed(kit) == {UID}
    assert kit.world.uids() == set()


def test_what_was_done_since_a_listing_began_is_younger(kit: Kit) -> None:
    listed(kit, service(uid=OTHER))
    mark = kit.world.services.listing_begins()
    kit.world.services.created(UNIT, UID, 1, "node-n1")
    kit.world.services.removed(unit_name(OTHER, 1))
    assert kit.world.services.listed([service(uid=OTHER)], mark, T) == set()
    (seen,) = kit.world.services.of(UID)
    assert (seen.name, seen.state) == (UNIT, ServiceState.PENDING)
    assert kit.world.services.of(OTHER) == ()
    assert listed(kit, service()) == {UID}
    assert kit.world.services.of(UID) == (service(),)
    assert kit.world.services._touched == {}


def test_the_first_listing_after_silence_concerns_everyone(kit: Kit) -> None:
    listed(kit, service())
    kit.world.services.unseen()
    assert not kit.world.services.observed
    assert listed(kit, service()) == {UID}
    assert kit.world.services.observed


def test_chased_units_are_unfinished_until_seen_ended(kit: Kit) -> None:
    listed(kit, service(), service(ServiceState.FAILED, uid=OTHER))
    assert kit.world.services.unfinished([UNIT, unit_name(OTHER, 1), "gone"]) == {UNIT}
    assert len(kit.world.services) == 2


@pytest.mark.parametrize("state", [LeaseState.SAVING, LeaseState.ENDED])
async def test_what_is_still_being_saved_takes_no_room(kit: Kit, state: LeaseState) -> None:
    await kit.report("n1", devices=1)
    whole = kit.world.workers(T)[0].free
    held = lease(memory_milli=300)
    await kit.put_lease(held)
    assert kit.world.workers(T)[0].free != whole
    over = held.model_copy(update={"status": lease(state).status})
    await kit.put_lease(over)
    assert kit.world.workers(T)[0].free != whole, "what the platform may yet start is there"
    meta = held.metadata.model_copy(update={"deletion_timestamp": T})
    over = over.model_copy(update={"metadata": meta})
    await kit.put_lease(over)
    await kit.put_lease(over)
    assert kit.world.workers(T)[0].free == whole
    assert kit.world.workers(T)[0].held == ()
    again = World(kit.records, kit.logs, kit.blobs, platform="x", default_image="", started=T)
    again.agent_heard("n1", T)
    assert again.workers(T)[0].free == whole
    await drop_lease(kit, held)
    assert kit.world.workers(T)[0].free == whole


async def test_shares_are_counted_while_a_lease_is_there(kit: Kit) -> None:
    await kit.report("n1", devices=2)
    held = lease(devices=(1,), memory_milli=300)
    await kit.put_lease(held)
    expected = Free({0: 1000, 1: 700}, 7000, 31 << 30)
    assert kit.world.workers(T)[0].free == expected
    await kit.put_lease(held.model_copy(update={"status": lease(LeaseState.ENDED).status}))
    assert kit.world.workers(T)[0].free == expected  # until its record is gone
    other = lease(uid=OTHER, devices=(0, 1), memory_milli=500)
    await kit.put_lease(other)
    assert kit.world.workers(T)[0].free == Free({0: 500, 1: 200}, 6000, 30 << 30)
    await drop_lease(kit, held)
    await drop_lease(kit, held)
    assert kit.world.workers(T)[0].free == Free({0: 500, 1: 500}, 7000, 31 << 30)
    again = World(kit.records, kit.logs, kit.blobs, platform="x", default_image="", started=T)
    assert again.workers(T)[0].free == kit.world.workers(T)[0].free
    await drop_lease(kit, other)
    assert kit.world.workers(T)[0].free == Free({0: 1000, 1: 1000}, 8000, 32 << 30)


async def test_jobs_that_are_gone_leave_nothing_in_memory(kit: Kit) -> None:
    await kit.report("n1")
    kit.world.services.created(UNIT, UID, 1, "node-n1")
    await kit.put_lease(lease())
    assert kit.world.uids() == {UID}
    kit.world.services.removed(UNIT)
    kit.world.services.removed(UNIT)
    await drop_lease(kit, lease())
    assert (kit.world.services._by_uid, kit.world._bookings._by_uid) == ({}, {})


async def test_a_silent_agent_is_out_of_contact_then_unknown(kit: Kit) -> None:
    await kit.report("n1")
    (seen,) = kit.world.workers(T + 4.9)
    assert seen.ready
    (seen,) = kit.world.workers(T + 5)
    assert (seen.ready, seen.known, seen.silent_for(T + 5)) == (False, True, 5)
    (seen,) = kit.world.workers(T + 120)
    assert not seen.known
    kit.world.agent_left("n1")
    assert not kit.world.workers(T)[0].ready
    assert kit.world.agent_heard("n1", T + 130)
    assert not kit.world.agent_heard("n1", T + 131)
    assert kit.world.workers(T + 131)[0].contact_since == T + 130


async def test_workers_of_before_a_restart_are_known_for_a_while(kit: Kit) -> None:
    await kit.report("n1")
    again = World(kit.records, kit.logs, kit.blobs, platform="x", default_image="", started=T)
    (seen,) = again.workers(T + 1)
    assert (seen.ready, seen.known, seen.silent_for(T + 1)) == (False, True, 1)


async def test_a_node_that_is_down_takes_its_worker_with_it(kit: Kit) -> None:
    await kit.report("n1")
    assert kit.world.nodes_seen([NodeSeen("node-n1", "n1", up=True)]) == {"node-n1"}
    assert kit.world.workers(T)[0].ready
    assert kit.world.nodes_seen([NodeSeen("node-n1", "n1", up=False)]) == {"node-n1"}
    assert not kit.world.workers(T)[0].ready
    assert kit.world.nodes_seen([]) == set()  # down and gone are the same
    assert not kit.world.node_up("node-n1")


async def test_the_plan_is_told_everything_of_one_job(kit: Kit) -> None:
    stored = await kit.put(job(Phase.RUNNING))
    await kit.put_lease(lease())
    listed(kit, service(), service(uid=OTHER))
    await kit.log(UNIT, b"a\n", end=True)
    seen = kit.world.seen(stored, T)
    assert seen.services == (service(),)
    assert [x.metadata.name for x in seen.leases] == [UNIT]
    assert seen.logs.complete
    assert (seen.default_image, seen.observed, seen.blob_present) == (IMAGE, True, True)
    missing = job(code={"digest": DIGEST[:-1] + "b"})
    assert not kit.world.seen(missing, T).blob_present
    orphan = kit.world.seen_orphan(OTHER, T)
    assert (len(orphan.services), orphan.leases) == (1, ())


def test_states_are_dated_by_our_clock(kit: Kit) -> None:
    what = job(Phase.RUNNING)

    def listed_at(now: float, *services: object) -> dict[str, float]:
        kit.world.services.listed(services, kit.world.services.listing_begins(), now)  # type: ignore[arg-type]
        return dict(kit.world.seen(what, now).since)

    assert listed_at(T, service()) == {UNIT: T}
    assert listed_at(T + 1, service(started_at=T)) == {UNIT: T}
    assert listed_at(T + 2, service(ServiceState.COMPLETE)) == {UNIT: T + 2}
    assert listed_at(T + 3) == {}
    assert kit.world.services._states._since == {}


async def test_a_worker_that_is_gone_leaves_nothing_in_memory(kit: Kit) -> None:
    await kit.report("n1")
    kit.world.workers(T)
    await kit.records.delete_worker("n1")
    assert list(kit.world.workers(T)) == []
    assert (kit.world._contacts.times, kit.world._bookings._free_of) == ({}, {})
    assert not kit.world.in_contact("n1", T)


async def test_why_a_worker_takes_no_jobs(kit: Kit) -> None:
    await kit.report("n1")
    assert kit.world.workers(T)[0].unready is None
    kit.world.nodes_seen([NodeSeen("node-n1", "n1", up=False)])
    (seen,) = kit.world.workers(T)
    assert (seen.unready, seen.contact, seen.node_up) == (Unready.NODE_DOWN, True, False)
    (seen,) = kit.world.workers(T + 9)
    assert (seen.unready, seen.contact) == (Unready.OUT_OF_CONTACT, False)


async def test_a_worker_is_heard_before_it_has_a_record(kit: Kit) -> None:
    kit.world.agent_heard("n1", T)
    kit.world.agent_reported("n1", clean=True)
    assert list(kit.world.workers(T)) == []  # someone looks while its record is being written
    await kit.records.put_worker(worker())
    assert kit.world.workers(T)[0].ready
