"""The agent without a controller, and the agent that takes up what one before it left."""

from __future__ import annotations

import json

import pytest
from cumulus.chronos_bindings.agent.deadlines import Deadlines
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World, unit
from .fakes import TERM, settle


async def test_without_contact_running_leases_are_kept_to_their_end(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.lose_contact()
    await world.clock.advance(99)
    assert world.runtime.running() == {unit()}
    await world.clock.advance(3)
    assert world.since(start, "kill") == [(101.0, "kill")]
    assert world.held_milli() == 0


async def test_without_contact_nothing_new_begins(world: World) -> None:
    world.blobs.errors = [Temporary("away")]
    await world.tell(world.lease())
    await world.lose_contact()
    await world.clock.advance(60)
    assert world.state() is LeaseState.PREPARING
    assert world.held_milli() == 0
    await world.tell(world.lease())
    assert world.state() is LeaseState.HELD


async def test_lost_shares_are_taken_again_without_contact(world: World) -> None:
    await world.tell(world.lease())
    await world.lose_contact()
    world.partitioner.die()
    await world.clock.advance(1)
    assert world.held_milli() == 500


async def test_a_restarted_agent_ends_units_before_it_hears_anyone(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(30)
    await world.crash()
    await world.clock.advance(20)
    await world.boot()
    assert world.runtime.running() == {unit()}
    await world.clock.advance(52)
    assert world.since(start, "signal", "kill")[-2:] == [(100.0, "signal", TERM), (101.0, "kill")]
    await world.tell(world.lease(not_after=1_000_100.0))
    status = world.status()
    assert (status.state, status.expires_at) == (LeaseState.ENDED, 1_000_100.0)


async def test_a_restarted_agent_takes_the_share_again_for_the_time_left(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(30)
    await world.crash()
    await world.boot()
    assert world.state() is LeaseState.PENDING
    await world.tell(world.lease(not_after=1_000_100.0))
    status = world.status()
    assert status.state is LeaseState.HELD
    assert (status.held_at, status.expires_at) == (1_000_000.0, 1_000_100.0)
    assert world.partitioner.list()[0].expires_in == pytest.approx(70)
    assert len(world.blobs.fetched) == 1  # the folder of the unit that runs is kept
    assert world.runtime.running() == {unit()}
    await world.clock.advance(71)
    assert world.runtime.running() == set()


async def test_an_agent_without_any_memory_keeps_the_end_it_is_told(world: World) -> None:
    world.runtime.start(unit())
    await world.tell(world.lease(not_after=1_000_040.0))
    assert world.status().expires_at == 1_000_040.0
    await world.clock.advance(41)
    assert world.runtime.running() == set()


async def test_a_restarted_agent_kills_what_is_not_wanted_any_more(world: World) -> None:
    await world.tell(world.lease(1), world.lease(2))
    world.runtime.start(unit(1))
    world.runtime.start(unit(2))
    await settle()
    await world.crash()
    await world.boot()
    await world.clock.advance(10)
    assert world.runtime.running() == {unit(1), unit(2)}  # nobody has said anything yet
    await world.tell(world.lease(2, not_after=1_000_100.0))
    assert world.runtime.running() == {unit(2)}
    assert [p.name for p in (world.path / "staging").iterdir()] == [unit(2)]


async def test_after_a_reboot_nothing_of_before_is_held(world: World) -> None:
    await world.tell(world.lease())
    await world.crash()
    world.clock._mono, world.clock._offset = 20.0, 1_000_060.0 - 20.0
    world.runtime.fail_next("verify", Temporary("the engine is starting"))
    await world.boot(boot="b2")
    await world.clock.advance(1)
    assert (world.state(), world.status().reason) == (LeaseState.ENDED, "WorkerRestarted")
    assert world.status().partition_ids == ()
    await world.tell(world.lease(not_after=1_000_100.0))
    assert world.state() is LeaseState.ENDED  # it never is held again
    await world.tell()
    assert world.state() is None


async def test_what_an_engine_starts_after_a_reboot_is_killed(world: World) -> None:
    await world.tell(world.lease())
    await world.crash()
    world.runtime.start(unit())
    await world.boot(boot="b2")
    await world.clock.advance(1)
    assert world.runtime.running() == set()
    assert world.state() is LeaseState.ENDED


async def test_a_boot_that_cannot_be_told_is_reckoned_by_the_wall_clock(world: World) -> None:
    await world.boot(boot="")
    await world.tell(world.lease())
    await world.crash()
    world.runtime.start(unit())
    world.clock._mono, world.clock._offset = 20.0, 1_000_060.0 - 20.0
    await world.boot(boot="b2")
    await world.clock.advance(39)
    assert world.runtime.running() == {unit()}
    await world.clock.advance(2)
    assert world.runtime.running() == set()


@pytest.mark.parametrize(("boot", "contact"), [("b1", 500.0), ("b2", None)])
def test_contact_counts_within_a_boot(world: World, boot: str, contact: float | None) -> None:
    path = world.path / "contact.json"
    Deadlines(path, world.clock, boot="b1").save([], 500.0)
    after = Deadlines(path, world.clock, boot=boot)
    assert after.load() == []
    assert after.contact == contact


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_without_a_memory_an_end_is_never_later_than_held_just_now(
    world: World, step: float
) -> None:
    world.runtime.start(unit())
    world.clock.step_wall(step)
    await world.tell(world.lease(not_after=1_000_040.0))
    await world.clock.advance(101)
    assert world.runtime.running() == set()


async def test_an_illegible_memory_leaves_the_ends_to_the_controller(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.crash()
    (world.path / "deadlines.json").write_text('{"boot": "b1", "leases": {"x"')
    await world.boot()
    await world.tell(world.lease(not_after=1_000_100.0))
    await world.clock.advance(102)
    assert world.runtime.running() == set()


async def test_the_memory_holds_what_is_held_and_forgets_it(world: World) -> None:
    await world.tell(world.lease())
    kept = json.loads((world.path / "deadlines.json").read_text())
    assert kept["leases"][unit()]["deadline"] == world.clock.monotonic() + 100
    await world.tell()
    assert json.loads((world.path / "deadlines.json").read_text())["leases"] == {}


async def test_a_repeated_or_late_wanted_set_does_no_lasting_harm(world: World) -> None:
    old, new = (world.lease(1),), (world.lease(1), world.lease(2))
    await world.tell(*new)
    await world.tell(*old)  # overtaken by the newer one
    await world.tell(*new)
    await world.tell(*new)
    assert world.state(1) is LeaseState.HELD
    assert world.state(2) is LeaseState.HELD
    assert world.held_milli() == 1000


async def test_what_units_without_a_lease_left_is_deleted_once_it_is_known_what_is_wanted(
    world: World,
) -> None:
    world.runtime.left = {unit(1), unit(2)}
    await world.clock.advance(12)
    assert world.runtime.left == {unit(1), unit(2)}, "any of them may be about to start"
    await world.tell(world.lease())
    world.runtime.fail_next("tidy", Temporary("away"))
    await world.clock.advance(12)
    assert world.runtime.left == {unit(1)}
