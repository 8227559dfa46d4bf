"""Letting a job last longer: the wish is noted where it can be kept, and carried through."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime.lease_clock import ENDS
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import LONGEST, Job, Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import T, job, spec
from runtime_kit import Kit


async def extend(kit: Kit, seconds: int = 30, viewer: Viewer = EVERYTHING) -> Job:
    return await kit.operations.extend("train", seconds, viewer)


async def held(kit: Kit, **fields: Any) -> tuple[Job, str]:
    """A job whose lease is held, and the lease's name."""
    await kit.report(**fields)
    stored = await kit.submit(gpu={"memory": 1})
    await kit.settle()
    unit = unit_name(stored.metadata.uid, 1)
    await kit.report(leases={unit: kit.held()}, **fields)
    await kit.settle()
    return kit.records.find_job("train"), unit


async def test_it_is_no_new_run(kit: Kit) -> None:
    before, unit = await held(kit)
    after = await extend(kit, viewer=Viewer(who="boss"))
    assert (after.metadata.generation, after.spec) == (before.metadata.generation, before.spec)
    assert after.lasting.duration == 90
    await kit.settle()
    assert kit.records.leases[unit].spec.duration == 90
    assert kit.records.find_job("train").status.attempt == 1
    assert [(e.type, e.by, e.message) for e in kit.events._ring if e.type == "Extended"] == [
        ("Extended", "boss", "by 30s, to 1m30s")
    ]
    again = await kit.desired.apply(
        after.model_copy(update={"metadata": before.metadata}), dry_run=False
    )
    assert again.outcome.value == "unchanged"


async def test_extensions_add_up(kit: Kit) -> None:
    _, unit = await held(kit)
    await extend(kit, 30)
    await kit.settle()
    await extend(kit, 10)
    await kit.settle()
    assert kit.records.leases[unit].spec.duration == 100


async def test_it_counts_as_running_until_the_new_end_from_the_moment_it_is_wanted(
    kit: Kit,
) -> None:
    """Its agent may have heard of it and then be cut off."""
    _, unit = await held(kit)
    ends = kit.world._lease_clock.times([unit])[unit].ends
    await extend(kit, 30)
    await kit.settle()
    assert kit.world._lease_clock.times([unit])[unit].ends == ends + 30
    noted = kit.records.leases[unit].metadata.annotations[ENDS]
    assert kit.clock.marked(noted) == pytest.approx(ends + 30, abs=0.01)


async def test_a_restarted_agent_is_told_the_new_end(kit: Kit) -> None:
    _, unit = await held(kit)
    await extend(kit, 30)
    await kit.settle()
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.name, wanted.spec.duration) == (unit, 90)
    assert wanted.spec.not_after == T + 90


async def test_a_job_that_waits_is_extended_too(kit: Kit) -> None:
    await kit.submit()
    after = await extend(kit)
    assert kit.records.in_line("train") is not None
    assert kit.records.in_line("train").ask.duration == after.lasting.duration == 90  # type: ignore[union-attr]


async def test_a_changed_spec_begins_without_extension(kit: Kit) -> None:
    await held(kit)
    await extend(kit)
    changed = job(duration=70, gpu={"memory": 1})
    done = await kit.desired.apply(changed, dry_run=False)
    assert isinstance(done.resource, Job)
    assert (done.reruns, done.resource.lasting.duration) == (True, 70)


async def test_clients_cannot_set_it(kit: Kit) -> None:
    given = job(meta={"extension": 500})
    done = await kit.desired.apply(given, dry_run=False)
    assert done.resource.metadata.extension == 0


@pytest.mark.parametrize(
    ("status", "meta", "why"),
    [
        ({"phase": Phase.SUCCEEDED}, {}, "has ended as Succeeded: apply a longer duration"),
        ({"phase": Phase.RUNNING}, {"cancellation_timestamp": T}, "is being ended"),
        ({"phase": Phase.RUNNING, "stopping": "Cancelled"}, {}, "is being ended"),
        ({"phase": Phase.RUNNING, "run_hash": "x"}, {"generation": 2}, "was just changed"),
    ],
)
async def test_what_ends_is_refused(
    kit: Kit, status: dict[str, Any], meta: dict[str, Any], why: str
) -> None:
    stored = await kit.put(job(status=status, meta=meta))
    with pytest.raises(ConflictError, match=why) as caught:
        await extend(kit)
    assert caught.value.job_id == stored.metadata.uid
    assert kit.records.find_job("train").metadata.extension == 0


async def test_a_lease_that_is_being_ended_is_refused(kit: Kit) -> None:
    _, unit = await held(kit)
    await kit.report(leases={unit: kit.held(state=LeaseState.ENDING)})
    with pytest.raises(ConflictError, match="has a lease that is being ended"):
        await extend(kit)


async def test_the_end_of_a_rental_is_refused(kit: Kit) -> None:
    await held(kit, available_until=T + 200)
    known = kit.records.workers["n1"]
    rented = known.spec.model_copy(update={"available_until": T + 200})
    await kit.records.change_worker("n1", lambda w: w.model_copy(update={"spec": rented}))
    with pytest.raises(ConflictError, match="worker n1 is rented until"):
        await extend(kit, 600)
    await extend(kit, 60)


async def test_room_that_is_kept_for_others_is_refused(kit: Kit) -> None:
    await held(kit)
    await kit.desired.apply(
        job(name="next", gpu={"memory": 1}), dry_run=False, viewer=Viewer("hers")
    )
    await kit.settle()
    with pytest.raises(ConflictError, match="is kept for job next from"):
        await extend(kit, 60)


async def test_a_job_that_would_fit_nowhere_is_refused(kit: Kit) -> None:
    await kit.report()
    rented = kit.records.workers["n1"].spec.model_copy(update={"available_until": T + 300})
    await kit.records.change_worker("n1", lambda w: w.model_copy(update={"spec": rented}))
    await kit.put(job(status={"phase": Phase.PENDING}))
    with pytest.raises(ConflictError, match="none could take it for so long"):
        await extend(kit, 1000)


@pytest.mark.parametrize("seconds", [0, -5, LONGEST])
async def test_spans_that_make_no_sense(kit: Kit, seconds: int) -> None:
    await held(kit)
    with pytest.raises(ValidationError, match="expected at"):
        await extend(kit, seconds)


async def test_a_job_of_another_is_not_there(kit: Kit) -> None:
    await held(kit)
    with pytest.raises(NotFoundError):
        await extend(kit, viewer=Viewer("his", own_only=True))


def test_the_longest_is_what_a_spec_may_have() -> None:
    assert spec(duration=LONGEST).duration == LONGEST
