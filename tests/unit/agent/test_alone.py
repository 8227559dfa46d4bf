"""A worker that nobody reaches, or whose disk or devices fail: what it does by itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cumulus.api.frames import Wanted
from cumulus.chronos_bindings.agent.deadlines import Deadlines
from cumulus.chronos_bindings.agent.guard import Guard
from cumulus.chronos_bindings.agent.lease_plan import FREE_PATIENCE
from cumulus.chronos_bindings.agent.node_facts import Conditions
from cumulus.chronos_bindings.agent.unit_conditions import unit_conditions
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.lease import DISCONNECTED, LeaseState

from .conftest import World, unit
from .fakes import TERM, settle

SAD = {"stop_after_disconnect": 20}


async def test_a_lease_ends_when_nobody_heard_of_it_for_so_long(world: World) -> None:
    await world.tell(world.lease(**SAD))
    world.runtime.start(unit())
    await world.heard(30)
    start = world.clock.monotonic()
    await world.lose_contact()
    await world.clock.advance(19.9)
    assert world.runtime.running() == {unit()}
    await world.clock.advance(0.1)
    assert (world.state(), world.status().reason) == (LeaseState.ENDING, DISCONNECTED)
    await world.clock.advance(1)
    assert world.since(start, "kill") == [(21.0, "kill")]
    assert [e[1:] for e in world.since(start, "signal")][-1] == ("signal", TERM)
    assert world.state() is LeaseState.ENDED
    assert world.held_milli() == 0


async def test_frames_that_come_in_are_no_contact_where_none_goes_out(world: World) -> None:
    await world.tell(world.lease(**SAD))
    world.runtime.start(unit())
    await settle()
    lease = world.lease(not_after=world.status().expires_at, **SAD)
    for _ in range(22):
        await world.clock.advance(1)
        world.keeper.set_wanted(Wanted((lease,)))
        world.keeper.set_contact(contact=True)
    assert world.state() is LeaseState.ENDED


async def test_a_lease_without_it_runs_on(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.lose_contact()
    await world.clock.advance(99)
    assert world.state() is LeaseState.HELD


async def test_its_own_end_comes_first_where_that_is_earlier(world: World) -> None:
    await world.tell(world.lease(duration=10, **SAD))
    await world.lose_contact()
    await world.clock.advance(11)
    assert world.status().reason == "DurationExceeded"


@pytest.mark.parametrize(("spec", "after"), [({}, 95), (SAD, 0)])
async def test_no_grace_goes_beyond_the_end(
    world: World, spec: dict[str, int], after: float
) -> None:
    await world.tell(world.lease(**spec))
    world.runtime.start(unit())
    await world.heard(after)
    start = world.clock.monotonic()
    await world.tell(world.lease(revoked="Cancelled", grace=60.0, **spec))
    await world.lose_contact()
    await world.clock.advance(30)
    assert world.since(start, "kill") == [(6.0 if not spec else 21.0, "kill")]


async def test_a_restarted_agent_goes_on_counting(world: World) -> None:
    await world.tell(world.lease(**SAD))
    world.runtime.start(unit())
    await world.heard(33)
    left = world.clock.monotonic()
    await world.crash()
    await world.clock.advance(5)
    await world.boot()
    assert world.runtime.running() == {unit()}
    await world.clock.advance(20)
    assert world.runtime.running() == set()
    (killed,) = [at for at, verb, *_ in world.runtime.did if verb == "kill"]
    assert left + 10 < killed <= left + 21  # never later than what the controller counts from


async def test_a_restarted_agent_that_is_heard_again_ends_nothing(world: World) -> None:
    await world.tell(world.lease(**SAD))
    world.runtime.start(unit())
    await world.heard(10)
    await world.crash()
    await world.clock.advance(5)
    await world.boot()
    await world.tell(world.lease(not_after=1_000_100.0, **SAD))
    await world.heard(30)
    assert world.runtime.running() == {unit()}


async def test_the_last_contact_is_written_now_and_then_only_while_it_matters(
    world: World,
) -> None:
    path = world.path / "deadlines.json"
    await world.tell(world.lease(1))
    before = path.stat().st_mtime_ns
    await world.heard(20)
    assert path.stat().st_mtime_ns == before
    await world.tell(world.lease(1), world.lease(2, **SAD))
    writes = set()
    for _ in range(20):
        await world.heard(1)
        writes.add(json.loads(path.read_text())["contact"])
    assert 4 <= len(writes) <= 6


async def test_nothing_is_held_whose_end_cannot_be_written_down(world: World) -> None:
    (world.path / "deadlines.new").mkdir()  # a write there fails
    await world.tell(world.lease())
    assert world.state() is LeaseState.PREPARING
    assert world.held_milli() == 0
    assert "cannot be written" in world.status().message
    (world.path / "deadlines.new").rmdir()
    await world.clock.advance(1)
    assert world.state() is LeaseState.HELD


async def test_what_is_held_goes_on_where_the_disk_fails_later(world: World) -> None:
    await world.tell(world.lease(**SAD))
    world.runtime.start(unit())
    (world.path / "deadlines.new").mkdir()
    await world.heard(30)
    assert world.state() is LeaseState.HELD
    world.partitioner.die()
    await world.heard(2)
    assert world.held_milli() == 500  # its end is on disk since before


async def test_a_share_is_given_back_once_the_device_is_free(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    world.memory.held[unit()] = 5 << 20
    await world.clock.advance(101)
    assert (world.state(), world.held_milli()) == (LeaseState.ENDING, 500)
    assert world.runtime.running() == set()
    world.memory.held[unit()] = 0
    await world.clock.advance(0.25)
    assert (world.state(), world.held_milli()) == (LeaseState.ENDED, 0)
    assert world.keeper.stuck == {}
    assert world.status().ended_at == pytest.approx(world.status().expires_at + 1.0)


async def test_a_device_that_is_never_freed_is_told(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    world.memory.held[unit()] = 5 << 20
    await world.clock.advance(101 + FREE_PATIENCE + 0.3)
    assert (world.state(), world.held_milli()) == (LeaseState.ENDED, 0)
    assert world.keeper.stuck == {unit(): 5 << 20}
    await world.tell()
    assert world.keeper.stuck == {unit(): 5 << 20}
    world.memory.held[unit()] = 0
    reports = world.reports
    await world.clock.advance(6)
    assert world.keeper.stuck == {}
    assert world.reports > reports


async def test_where_nobody_can_tell_a_share_is_given_back_at_once(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    world.memory.held[unit()] = None
    await world.clock.advance(101)
    assert world.state() is LeaseState.ENDED


async def test_a_lease_without_devices_is_not_weighed(world: World) -> None:
    await world.tell(world.lease(devices=(), memory_milli=0))
    await world.clock.advance(101)
    assert world.state() is LeaseState.ENDED
    assert world.memory.asked == []


def test_conditions_of_units() -> None:
    known = Conditions(lambda: 5.0)
    (blind,) = unit_conditions(known, looked=False, stuck={})
    assert (blind.type, blind.status) == ("UnitsKnown", False)
    seen, held = unit_conditions(known, looked=True, stuck={unit(): 5 << 20})
    assert (seen.status, held.type, held.status) == (True, "DeviceMemoryHeld", True)
    assert held.message == f"devices hold memory of ended {unit()} (5 MiB)"


@pytest.mark.parametrize("term", [None, 0.3])
async def test_the_overrun_is_measured_here(world: World, term: float | None) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    world.runtime.obeys = term
    await world.clock.advance(102)
    over = world.status().ended_at - world.status().expires_at
    assert over == pytest.approx(1.0 if term is None else 0.3, abs=0.05)
    kept = json.loads((world.path / "deadlines.json").read_text())["leases"][unit()]
    assert kept["ended_at"] == world.status().ended_at
    ended_at = world.status().ended_at
    await world.crash()
    await world.clock.advance(500)  # whoever tells it, and when, changes nothing
    await world.boot()
    await settle()
    assert (world.state(), world.status().ended_at) == (LeaseState.ENDED, ended_at)


async def test_a_step_of_the_wall_clock_changes_no_measure(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(50)
    world.clock.step_wall(3600)
    await world.clock.advance(52)
    assert world.status().ended_at - world.status().expires_at == pytest.approx(1.0)


async def test_units_started_with_our_folder_are_ours_without_any_memory(world: World) -> None:
    world.runtime.start(unit(1))
    world.runtime.units[unit(1)].folder = str(world.path / "staging" / unit(1))
    world.runtime.start(unit(2))
    world.runtime.units[unit(2)].folder = f"/elsewhere/{unit(2)}"
    await world.crash()
    await world.boot()
    assert [report.name for report in world.keeper.reports()] == [unit(1)]
    await world.tell()
    assert world.runtime.running() == {unit(2)}
    world.runtime.start(unit(3))
    world.runtime.units[unit(3)].folder = str(world.path / "staging" / unit(3))
    await world.clock.advance(6)
    assert world.runtime.running() == {unit(2)}


async def test_it_says_that_it_has_not_seen_its_units_yet(world: World) -> None:
    assert world.keeper.looked
    await world.crash()
    world.runtime.fail_next("list", Temporary("the engine is starting"))
    await world.boot()
    assert not world.keeper.looked
    await world.clock.advance(1)
    assert world.keeper.looked


class Guarded:
    def __init__(self, world: World, boot: str = "b1") -> None:
        deadlines = Deadlines(Path(world.path / "deadlines.json"), world.clock, boot=boot)
        self.guard = Guard(world.runtime, deadlines, world.clock)


async def test_the_guard_ends_what_ends_before_the_agent_is_ready(world: World) -> None:
    await world.tell(world.lease(1, duration=10), world.lease(2))
    world.runtime.start(unit(1))
    world.runtime.start(unit(2))
    await settle()
    await world.crash()
    start = world.clock.monotonic()
    running = asyncio.ensure_future(Guarded(world).guard.run())
    world.runtime.fail_next("verify", Temporary("the engine is busy"))
    await world.clock.advance(10.9)
    assert world.runtime.running() == {unit(1), unit(2)}
    await world.clock.advance(1)
    assert world.runtime.running() == {unit(2)}
    assert [at for at, _ in world.since(start, "kill")] == [pytest.approx(11.25)]
    await world.clock.advance(90)
    assert world.runtime.running() == set()
    await asyncio.wait_for(running, 1)


async def test_the_guard_counts_silence_and_former_boots(world: World) -> None:
    await world.tell(world.lease(1, **SAD), world.lease(2))
    world.runtime.start(unit(1))
    world.runtime.start(unit(2))
    await settle()
    await world.crash()
    running = asyncio.ensure_future(Guarded(world).guard.run())
    await world.clock.advance(21.5)
    assert world.runtime.running() == {unit(2)}
    running.cancel()
    running = asyncio.ensure_future(Guarded(world, "b2").guard.run())
    await world.clock.advance(0.5)
    assert world.runtime.running() == set()
    await asyncio.wait_for(running, 1)


async def test_the_guard_has_nothing_to_do_on_a_fresh_machine(tmp_path: Path) -> None:
    fresh = World(tmp_path)
    await Guarded(fresh).guard.run()
    assert fresh.runtime.did == []
