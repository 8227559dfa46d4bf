"""What agents report of leases: states rise, facts are taken, silence counts, time is ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cumulus.controller.reconcile.observed import LeaseTimes, Unready
from cumulus.controller.runtime.lease_clock import ENDS
from cumulus.controller.runtime.world import World
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import EXPIRED, RESTARTED, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import Condition
from cumulus.crd_like_specs.worker import UNITS_KNOWN
from make import UID, T, job, lease
from runtime_kit import Kit

UNIT = unit_name(UID, 1)


def state(kit: Kit) -> LeaseState:
    return kit.records.leases[UNIT].status.state


async def test_lease_states_rise_and_never_fall(kit: Kit) -> None:
    await kit.put_lease(lease(LeaseState.PENDING))
    for reported, expected in [
        (LeaseState.PREPARING, LeaseState.PREPARING),
        (LeaseState.HELD, LeaseState.HELD),
        (LeaseState.PREPARING, LeaseState.HELD),
        (LeaseState.PENDING, LeaseState.HELD),
        (LeaseState.ENDING, LeaseState.ENDING),
        (LeaseState.HELD, LeaseState.ENDING),
        (LeaseState.FAILED, LeaseState.FAILED),
    ]:
        await kit.report("n1", {UNIT: LeaseStatus(state=reported)})
        assert state(kit) is expected


async def test_the_same_state_with_other_facts_is_taken(kit: Kit) -> None:
    await kit.put_lease(lease())
    again = lease().status.model_copy(update={"partition_ids": ("p2",)})
    await kit.report("n1", {UNIT: again})
    assert kit.records.leases[UNIT].status == again
    assert kit.queued() == ["train"]


async def test_what_is_not_reported_is_not_held(kit: Kit) -> None:
    await kit.put_lease(lease(LeaseState.PENDING))
    await kit.report("n1")
    assert state(kit) is LeaseState.PENDING  # the agent has not heard of it yet
    await kit.put_lease(lease(LeaseState.HELD, released=True))
    await kit.report("n2")
    assert state(kit) is LeaseState.HELD  # another worker says nothing of it
    await kit.report("n1")
    assert state(kit) is LeaseState.ENDED
    assert kit.records.leases[UNIT].metadata.deletion_timestamp == T


async def test_a_release_and_a_report_that_cross_are_both_kept(threaded_kit: Kit) -> None:
    kit = threaded_kit
    await kit.report("n1")
    await kit.put_lease(lease(LeaseState.PENDING))
    release = kit.executor._release(UNIT)
    await asyncio.gather(release, kit.report("n1", {UNIT: kit.held()}))
    kept = kit.records.leases[UNIT]
    assert kept.status.state is LeaseState.HELD
    assert kept.metadata.deletion_timestamp == T


@pytest.mark.parametrize(
    ("status", "overruns"),
    [
        ({"reason": EXPIRED, "ended_at": T + 61.5}, [1.5]),
        ({"reason": EXPIRED, "ended_at": T + 59.9}, [0.0]),  # it was over just before
        ({"reason": EXPIRED}, []),  # nobody knows when
        ({"reason": "Cancelled", "ended_at": T + 30}, []),
    ],
)
async def test_overruns_are_what_agents_measured_however_late_they_tell(
    kit: Kit, status: dict[str, Any], overruns: list[float]
) -> None:
    await kit.put_lease(lease())
    kit.clock.advance(3600)
    ended = lease().status.model_copy(update={"state": LeaseState.ENDED, **status})
    await kit.report("n1", {UNIT: ended})
    await kit.report("n1", {UNIT: ended})
    assert kit.overruns == overruns


async def test_a_long_message_of_a_lease_is_cut(kit: Kit) -> None:
    await kit.put_lease(lease(LeaseState.PENDING))
    await kit.report("n1", {UNIT: LeaseStatus(state=LeaseState.FAILED, message="ä" * 100_000)})
    message = kit.records.leases[UNIT].status.message
    assert (len(message), message[-2:]) == (4096, "ä…")


@pytest.mark.parametrize(
    ("status", "path"),
    [
        ({"env": {f"A{n}": "b" for n in range(65)}}, f"leases.{UNIT}.env"),
        ({"env": {"A": "b" * 70_000}}, f"leases.{UNIT}"),
        ({"reason": "b" * 70_000}, f"leases.{UNIT}"),
        ({"partition_ids": ("p",) * 65}, f"leases.{UNIT}.partition_ids"),
        ({"mounts": ({"source": "/a", "target": "/b"},) * 65}, f"leases.{UNIT}.mounts"),
    ],
)
async def test_no_agent_has_so_much_to_say_of_a_lease(
    kit: Kit, status: dict[str, Any], path: str
) -> None:
    await kit.put_lease(lease())
    before = kit.store.version
    with pytest.raises(ValidationError, match="expected at most") as caught:
        await kit.report("n1", {UNIT: LeaseStatus.model_validate(status)})
    assert [problem.path for problem in caught.value.problems] == [path]
    assert kit.store.version == before


async def test_a_lease_ends_by_our_clock_from_when_it_was_first_heard_held(kit: Kit) -> None:
    await kit.put(job(Phase.LEASING))
    await kit.put_lease(lease(LeaseState.PENDING))
    kit.clock.advance(5)
    await kit.report("n1", {UNIT: kit.held(expires_at=T - 3600)})  # its clock is behind
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65)}
    kit.clock.advance(5)
    await kit.report("n1", {UNIT: kit.held(expires_at=T - 3600, partition_ids=("p2",))})
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65)}
    await kit.executor._release(UNIT)
    assert kit.world.seen(job(), T).times == {UNIT: LeaseTimes(T + 65, T + 10)}
    # The next controller knows it too, unless its machine was started anew: then it may be as
    # late as if it had just been held. When it was released, it cannot know.
    parts = (kit.records, kit.logs, kit.blobs)
    named = {"platform": "x", "default_image": "", "started": T + 20}
    again = World(*parts, **named, marked=kit.clock.marked)  # type: ignore[arg-type]
    assert again.seen_orphan(UID, T).times == {UNIT: LeaseTimes(T + 65, T + 20)}
    rebooted = World(*parts, **named)  # type: ignore[arg-type]
    assert rebooted.seen_orphan(UID, T).times == {UNIT: LeaseTimes(T + 80, T + 20)}
    assert ENDS in kit.records.leases[UNIT].metadata.annotations


async def test_what_ran_before_the_machine_was_started_anew_is_over(kit: Kit) -> None:
    other = unit_name("b" * 32, 1)
    await kit.report("n1", {UNIT: kit.held()}, status={"boot_id": "one"})
    await kit.put_lease(lease())
    await kit.put_lease(lease(LeaseState.PREPARING, uid="b" * 32))
    await kit.report("n1", status={"boot_id": "one"})
    assert state(kit) is LeaseState.HELD
    await kit.report("n1", status={"boot_id": "two"})
    kept = kit.records.leases[UNIT].status
    assert (kept.state, kept.reason) == (LeaseState.ENDED, RESTARTED)
    assert kit.records.leases[other].status.state is LeaseState.PREPARING  # it had not run


async def test_an_agent_that_could_not_look_says_nothing_by_silence(kit: Kit) -> None:
    await kit.put_lease(lease(released=True))
    blind = Condition(type=UNITS_KNOWN, status=False)
    await kit.report("n1", status={"conditions": (blind,)})
    assert state(kit) is LeaseState.HELD
    assert kit.unready() is Unready.NOT_CLEAN
    await kit.report("n1", status={"conditions": (Condition(type=UNITS_KNOWN, status=True),)})
    assert state(kit) is LeaseState.ENDED
    assert kit.unready() is None
