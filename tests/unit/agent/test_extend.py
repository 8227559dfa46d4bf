"""A lease that is extended: its worker's own timer moves, whoever can be heard."""

from __future__ import annotations

import pytest
from cumulus.chronos_bindings.agent import lease_after as after
from cumulus.chronos_bindings.agent.lease_plan import next_step
from cumulus.chronos_bindings.agent.lease_record import Record, Step, Verb, View
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World, unit
from .fakes import TERM, USR1


async def test_the_end_moves_by_what_was_added(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(50)
    await world.tell(world.lease(duration=160))
    assert world.status().expires_at == 1_000_160.0
    await world.clock.advance(109.9)
    assert world.state() is LeaseState.HELD
    assert world.since(start, "signal") == [(144.0, "signal", USR1)]
    await world.clock.advance(0.2)
    assert world.since(start, "signal") == [(144.0, "signal", USR1), (160.0, "signal", TERM)]
    assert world.status().reason == "DurationExceeded"


async def test_a_job_that_was_warned_is_warned_of_the_new_end(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(95)
    await world.tell(world.lease(duration=200))
    await world.clock.advance(90)
    assert world.since(start, "signal") == [(90.0, "signal", USR1), (180.0, "signal", USR1)]


async def test_its_shares_are_taken_for_longer_and_given_back_at_the_end(world: World) -> None:
    await world.tell(world.lease())
    before = world.status().partition_ids
    await world.clock.advance(50)
    await world.tell(world.lease(duration=200))
    assert world.status().partition_ids != before
    assert world.held_milli() == 500
    await world.clock.advance(100)  # the partition as it was first taken would be over
    assert world.held_milli() == 500
    await world.clock.advance(55)
    assert world.state() is LeaseState.ENDED
    assert world.held_milli() == 0


async def test_the_same_again_adds_nothing(world: World) -> None:
    await world.tell(world.lease())
    for _ in range(3):
        await world.tell(world.lease(duration=160))
    assert world.status().expires_at == 1_000_160.0


async def test_nothing_shortens_a_lease(world: World) -> None:
    await world.tell(world.lease())
    await world.tell(world.lease(duration=50))
    assert world.status().expires_at == 1_000_100.0


@pytest.mark.parametrize("told_before", [True, False])
async def test_a_restarted_agent_keeps_the_new_end(world: World, told_before: bool) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(40)
    if told_before:
        await world.tell(world.lease(duration=160))
    await world.crash()
    await world.boot()
    await world.tell(world.lease(duration=160))
    assert world.status().expires_at == 1_000_160.0
    await world.clock.advance(119.9)
    assert not [event for event in world.since(start, "signal") if TERM in event]
    await world.clock.advance(0.2)
    assert (160.0, "signal", TERM) in world.since(start, "signal")


async def test_without_contact_the_new_end_is_kept(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.tell(world.lease(duration=160))
    world.keeper.set_contact(contact=False)
    await world.clock.advance(161)
    assert (160.0, "signal", TERM) in world.since(start, "signal")


async def test_an_extension_after_the_end_comes_too_late(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(100)
    await world.tell(world.lease(duration=500))
    await world.clock.advance(1)
    assert world.state() is LeaseState.ENDED


# The pure tables

HELD = Record(
    unit(),
    state=LeaseState.HELD,
    staged=True,
    env_ready=True,
    partitions=("p1",),
    deadline=100.0,
    expires_at=1100.0,
    duration=100.0,
)


def test_shares_that_cannot_be_had_again_are_asked_for_until_they_can() -> None:
    renewing = after.renewed(HELD, (), 0)
    view = View(mono=50.0, wall=1050.0, informed=True, contact=True)
    failed = after.missed(renewing, Step(Verb.RENEW, "renew"), Temporary("busy"), 50.0)
    assert failed.state is LeaseState.HELD
    assert (failed.renew, failed.deadline) == (True, 100.0)
    assert failed.retry_at > 50.0
    later = View(mono=failed.retry_at, wall=0.0, informed=False, contact=True)
    assert next_step(failed, later) == Step(Verb.RENEW, "renew")
    assert view.mono < failed.retry_at
    done = after.renewed(failed, ("p2",), 3)
    assert (done.renew, done.partitions, done.epoch) == (False, ("p2",), 3)


def test_shares_that_were_lost_are_held_again_instead() -> None:
    lost = View(mono=50.0, wall=1050.0, epoch=1)
    renewing = Record(**{**{f: getattr(HELD, f) for f in HELD.__slots__}, "renew": True})
    step = next_step(renewing, lost)
    assert not isinstance(step, Step) or step.verb is not Verb.RENEW
    assert after.held(renewing, ("p2",), 1, 50.0, 1050.0).renew is False
