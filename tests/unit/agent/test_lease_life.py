"""The life of leases: taken, warned, ended at the exact second, given back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cumulus.chronos_bindings.agent.lease_record import View
from cumulus.chronos_bindings.agent.pip_output import NotInstalled
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World, digest_of, unit, zipped
from .fakes import TERM, USR1, settle


async def test_a_wanted_lease_is_staged_and_held(world: World) -> None:
    await world.tell(world.lease(devices=(0, 1), memory_milli=250))
    status = world.status()
    assert status.state is LeaseState.HELD
    assert len(status.partition_ids) == 2
    assert status.backend == "ledger"
    assert status.env == {"SHARE": "2x250"}
    assert (status.held_at, status.expires_at) == (1_000_000.0, 1_000_100.0)
    assert (world.held_milli(0), world.held_milli(1)) == (250, 250)
    job = world.path / "staging" / unit() / "job"
    assert (job / "code.zip").read_bytes() == world.code
    assert json.loads((job / "args.json").read_text()) == [1]
    assert not (job / "requirements.txt").exists()


async def test_a_lease_without_devices_takes_no_share(world: World) -> None:
    await world.tell(world.lease(devices=(), memory_milli=0))
    assert world.state() is LeaseState.HELD
    assert world.status().partition_ids == ()


async def test_the_same_wanted_set_again_changes_nothing(world: World) -> None:
    await world.tell(world.lease())
    before, reports = world.status(), world.reports
    for _ in range(3):
        await world.tell(world.lease())
    assert world.status() == before
    assert world.reports == reports
    assert world.blobs.fetched == [digest_of(world.code)]


async def test_expiry_follows_the_timeline_to_the_second(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    await world.clock.advance(5)
    world.runtime.start(unit())
    await world.clock.advance(84.9)
    assert world.since(start) == []
    await world.clock.advance(0.1)
    assert world.since(start) == [(90.0, "signal", USR1)]
    warning = json.loads((world.path / "staging" / unit() / "job" / "warning.json").read_text())
    assert warning == {"reason": "LeaseEnds", "ends_at": 1_000_100.0, "seconds_left": 10.0}
    await world.clock.advance(9.999)
    assert world.state() is LeaseState.HELD
    await world.clock.advance(0.001)
    assert world.state() is LeaseState.ENDING
    assert world.status().reason == "DurationExceeded"
    assert world.held_milli() == 500  # its container may still use the device
    await world.clock.advance(1)
    assert world.since(start, "signal", "kill") == [
        (90.0, "signal", USR1),
        (100.0, "signal", TERM),
        (101.0, "kill"),
    ]
    assert world.since(start)[-1] == (101.0, "verify")
    assert world.state() is LeaseState.ENDED
    assert world.held_milli() == 0
    assert world.status().expires_at == 1_000_100.0


async def test_a_job_that_obeys_term_is_over_at_once(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.obeys = 0.2
    world.runtime.start(unit())
    await world.clock.advance(100.2)
    assert world.state() is LeaseState.ENDED
    assert world.runtime.verbs("kill") == []


@pytest.mark.parametrize(("duration", "warned_at"), [(1000, 970.0), (100, 90.0), (3, 2.7)])
async def test_notice_is_a_tenth_of_the_duration_up_to_30_s(
    world: World, duration: int, warned_at: float
) -> None:
    await world.tell(world.lease(duration=duration))
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(duration + 2)
    assert world.since(start, "signal")[0] == (warned_at, "signal", USR1)


async def test_a_unit_too_young_to_have_a_handler_is_not_signalled(world: World) -> None:
    await world.tell(world.lease(duration=3))
    start = world.clock.monotonic()
    await world.clock.advance(1.5)
    world.runtime.start(unit())
    await world.clock.advance(5)
    assert world.since(start, "signal") == [(3.0, "signal", TERM)]


async def test_how_a_unit_ended_is_told_with_its_lease(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(1)
    assert world.status().exit_code is None
    reports = world.reports
    world.runtime.end(unit(), 3)
    await world.clock.advance(6)
    assert (world.status().exit_code, world.state()) == (3, LeaseState.HELD)
    assert world.reports > reports


async def test_a_hint_costs_one_look(world: World) -> None:
    """It once cost a core: the alarm that a look cancelled was heard as the next hint."""
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(1)
    looks = 0
    ask = world.keeper.view

    def view(name: str) -> View:
        nonlocal looks
        looks += 1
        return ask(name)

    world.keeper._leases[unit()]._view = view
    for _ in range(3):
        world.keeper.look(unit())
        await settle()
    assert 1 <= looks <= 6


async def test_an_image_job_is_never_sent_the_warning_signal(world: World) -> None:
    await world.tell(world.lease(code_digest=""))
    world.runtime.start(unit())
    await world.clock.advance(102)
    assert [entry[3] for entry in world.runtime.verbs("signal")] == [TERM]


async def test_kill_is_repeated_until_nothing_runs(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.immortal = True
    world.runtime.start(unit())
    await world.clock.advance(103.5)
    assert world.since(start, "kill") == [(101.0, "kill"), (102.0, "kill"), (103.0, "kill")]
    assert world.state() is LeaseState.ENDING
    assert world.held_milli() == 500
    world.runtime.end(unit(), 137)
    await settle()
    assert world.state() is LeaseState.ENDED
    assert world.held_milli() == 0


async def test_an_engine_that_fails_delays_no_kill(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    world.runtime.fail_next("signal", Temporary("engine"), Temporary("engine"))
    world.runtime.fail_next("kill", Permanent("engine"))
    await world.clock.advance(110)
    assert world.since(start, "kill") == [(101.0, "kill"), (102.0, "kill")]
    assert world.state() is LeaseState.ENDED


async def test_missed_events_delay_the_end_by_a_look_only(world: World) -> None:
    world.runtime.mute = True
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(10)
    world.runtime.obeys = 0.1
    await world.clock.advance(90.25)
    assert world.state() is LeaseState.ENDED


async def test_revoked_ends_at_once_with_its_grace(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(20)
    start = world.clock.monotonic()
    await world.tell(world.lease(revoked="Cancelled", grace=10.0))
    assert world.state() is LeaseState.ENDING
    warning = json.loads((world.path / "staging" / unit() / "job" / "warning.json").read_text())
    assert (warning["reason"], warning["seconds_left"]) == ("Cancelled", 10.0)
    await world.clock.advance(15)
    assert [e for e in world.since(start, "signal", "kill") if e[0] >= 0] == [
        (0.0, "signal", USR1),
        (0.0, "signal", TERM),
        (10.0, "kill"),
    ]
    assert world.state() is LeaseState.ENDED
    assert world.status().reason == "Cancelled"


async def test_a_lease_that_was_never_held_ends_when_revoked(world: World) -> None:
    await world.tell(world.lease(revoked="Deleted"))
    assert world.state() is LeaseState.ENDED
    assert world.blobs.fetched == []
    assert world.runtime.verbs("signal", "kill") == []


async def test_no_longer_wanted_is_killed_released_and_dropped(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await settle()
    await world.tell()
    assert world.runtime.running() == set()
    assert [e[1] for e in world.runtime.did] == ["kill", "verify"]
    assert world.state() is None
    assert world.held_milli() == 0
    assert list((world.path / "staging").iterdir()) == []


async def test_a_finished_job_is_dropped_without_any_signal(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await settle()
    world.runtime.end(unit())
    await world.tell()
    assert world.runtime.verbs("signal", "kill") == []
    assert world.state() is None


async def test_no_longer_wanted_cuts_a_grace_short(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await settle()
    await world.tell(world.lease(revoked="Cancelled", grace=10.0))
    await world.tell()
    assert world.state() is None
    assert world.runtime.running() == set()


async def test_what_starts_after_the_end_is_killed(world: World) -> None:
    await world.tell(world.lease())
    await world.clock.advance(101)
    assert world.state() is LeaseState.ENDED
    world.runtime.start(unit())
    await world.clock.advance(0.5)
    assert world.runtime.running() == set()
    assert world.state() is LeaseState.ENDED


async def test_what_starts_after_the_lease_was_dropped_is_killed(world: World) -> None:
    await world.tell(world.lease())
    await world.tell()
    world.runtime.start(unit())
    await world.clock.advance(1)
    assert world.runtime.running() == set()
    assert world.state() is None


async def test_units_of_others_on_the_same_engine_are_left_alone(world: World) -> None:
    world.runtime.start(unit(7))
    await world.tell(world.lease())
    await world.clock.advance(200)
    assert world.runtime.running() == {unit(7)}


async def test_requirements_of_spec_and_zip_are_prepared_together(world: World) -> None:
    code = zipped(**{"main.py": "", "requirements.txt": "# ours\nnumpy>=2\n\nsix\n"})
    world.blobs.blobs[digest_of(code)] = code
    world.preparer.seconds = 5.0
    lease = world.lease(code_digest=digest_of(code), requirements=("Six", "attrs"))
    await world.tell(lease)
    assert world.state() is LeaseState.PREPARING
    await world.clock.advance(5)
    assert world.state() is LeaseState.HELD
    assert world.preparer.asked == [("img", ("attrs", "numpy>=2", "six"))]
    folder = world.path / "staging" / unit()
    assert (folder / "env").resolve() == world.env
    assert (folder / "job" / "requirements.txt").read_text() == "attrs\nnumpy>=2\nsix\n"
    assert world.status().held_at == 1_000_005.0  # the duration counts from here


async def test_a_preparation_gives_way_to_the_end(world: World) -> None:
    world.preparer.seconds = 500.0
    await world.tell(world.lease(requirements=("six",)))
    await world.clock.advance(3)
    await world.tell(world.lease(requirements=("six",), revoked="Cancelled"))
    assert world.preparer.cancelled == 1
    assert world.state() is LeaseState.ENDED


async def test_requirements_that_fail_fail_the_lease(world: World) -> None:
    world.preparer.errors = [Permanent("no such package", reason="RequirementsFailed")]
    await world.tell(world.lease(requirements=("nope",)))
    status = world.status()
    assert (status.state, status.reason) == (LeaseState.FAILED, "RequirementsFailed")
    assert status.message == "no such package"
    await world.clock.advance(300)
    assert world.status() == status
    await world.tell()
    assert world.state() is None


async def test_what_pip_said_is_the_output_of_a_unit_that_never_ran(world: World) -> None:
    world.preparer.errors = [NotInstalled("no such package", output="Looking\nERROR: none\n")]
    await world.tell(world.lease(requirements=("nope",)))
    assert world.status().message == "no such package"
    assert world.said == {unit(): "Looking\nERROR: none\n"}


async def test_a_passing_fault_is_repeated_with_growing_pauses(world: World) -> None:
    world.blobs.errors = [Temporary("gone", reason="CodeMissing")] * 3
    await world.tell(world.lease())
    assert world.status().message == "gone"
    await world.clock.advance(0.1)
    await world.clock.advance(0.2)
    assert len(world.blobs.fetched) == 3
    await world.clock.advance(0.4)
    assert world.state() is LeaseState.HELD
    assert world.status().message == ""


async def test_a_fault_that_stays_fails_the_lease_in_the_end(world: World) -> None:
    world.blobs.errors = [Temporary("gone", reason="CodeMissing")] * 1000
    await world.tell(world.lease())
    await world.clock.advance(119)
    assert world.state() is LeaseState.PREPARING
    await world.clock.advance(10)
    assert (world.state(), world.status().reason) == (LeaseState.FAILED, "CodeMissing")


async def test_a_share_that_does_not_exist_fails_the_lease(world: World) -> None:
    await world.tell(world.lease(devices=(0, 9)))
    assert (world.state(), world.status().reason) == (LeaseState.FAILED, "NoDevice")
    assert world.held_milli() == 0  # all or nothing


async def test_a_bug_in_a_step_keeps_the_deadline(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(50)
    world.staging.warn = None  # type: ignore[assignment,method-assign]
    await world.clock.advance(51)
    assert world.runtime.running() == set()
    assert world.state() is LeaseState.ENDED


async def test_a_step_of_the_wall_clock_moves_no_deadline(world: World) -> None:
    await world.tell(world.lease())
    start = world.clock.monotonic()
    world.runtime.start(unit())
    await world.clock.advance(10)
    world.clock.step_wall(3600)
    await world.tell(world.lease(not_after=world.status().expires_at))
    await world.clock.advance(85)
    assert world.state() is LeaseState.HELD
    await world.clock.advance(10)
    assert world.since(start, "kill") == [(101.0, "kill")]


async def test_lost_shares_are_taken_again_for_the_time_left(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await world.clock.advance(40)
    before = world.status()
    world.partitioner.die()
    assert world.held_milli() == 0
    await world.clock.advance(1)
    assert world.held_milli() == 500
    assert world.state() is LeaseState.HELD
    assert world.status().partition_ids != before.partition_ids
    assert world.status().expires_at == before.expires_at
    assert world.partitioner.list()[0].expires_in == pytest.approx(59, abs=1)
    assert world.runtime.running() == {unit()}
    await world.clock.advance(60)
    assert world.state() is LeaseState.ENDED


async def test_shares_that_cannot_be_had_again_end_the_unit(world: World) -> None:
    await world.tell(world.lease())
    world.runtime.start(unit())
    await settle()
    world.partitioner.die()
    world.partitioner.create(0, 800, 1000)
    await world.clock.advance(1)
    assert (world.state(), world.status().reason) == (LeaseState.FAILED, "NoCapacity")
    assert world.runtime.running() == set()


async def test_names_that_are_no_attempts_are_ignored(world: World) -> None:
    bad = replace(world.lease(), name="../../etc")
    await world.tell(bad, world.lease(2))
    assert [r.name for r in world.keeper.reports()] == [unit(2)]
