"""A worker that is drained is emptied, its jobs go on elsewhere, and nobody starves in the queue."""

from __future__ import annotations

from cumulus.crd_like_specs.errors import NO_WORKERS
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from runtime_kit import ENVELOPE, Kit


def unit_of(kit: Kit, name: str = "train") -> str:
    status = kit.records.find_job(name)
    return unit_name(status.metadata.uid, max(1, status.status.attempt))


async def run(kit: Kit, name: str = "train", worker: str = "n1", **fields: object) -> str:
    """Submit a job and see it running."""
    await kit.submit(name, **fields)
    await kit.settle()
    unit = unit_of(kit, name)
    await kit.report(worker, {unit: kit.held()})
    await kit.settle()
    await kit.list_services()
    await kit.settle()
    assert kit.records.find_job(name).status.phase is Phase.RUNNING
    return unit


async def test_a_drained_worker_is_emptied_and_its_job_goes_on_elsewhere(kit: Kit) -> None:
    await kit.report("n1")
    unit = await run(kit)
    await kit.report("n2")
    await kit.desired.cordon("n1", cordoned=True, drain=True)
    await kit.settle()
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.spec.revoked, wanted.spec.grace) == ("Drained", 10.0)
    await kit.log(unit, b"half way\n", end=True)
    kit.platform.finish(unit, exit_code=143)  # as its agent does
    await kit.report("n1", {unit: kit.held(state=LeaseState.ENDED)})
    await kit.list_services()
    await kit.settle()
    await kit.report("n1")
    await kit.settle()
    moved = kit.records.find_job("train").status
    assert (moved.attempt, moved.phase, moved.worker) == (2, Phase.LEASING, "n2")
    (before,) = moved.attempts
    assert (before.cause, before.reason, before.worker) == (None, "Drained", "n1")
    assert before.message == "worker n1 is drained; it starts anew elsewhere"
    assert kit.records.leases_on("n1") == []
    assert kit.platform.removed == [unit]


async def test_what_only_waits_for_its_lease_goes_elsewhere_at_once(kit: Kit) -> None:
    await kit.report("n1")
    await kit.submit()
    await kit.settle()
    await kit.report("n2")
    await kit.desired.cordon("n1", cordoned=True, drain=True)
    await kit.settle()
    await kit.report("n1")
    await kit.settle()
    moved = kit.records.find_job("train").status
    assert (moved.attempt, moved.worker, moved.phase) == (2, "n2", Phase.LEASING)
    assert kit.platform.starts == {}


async def test_drained_without_another_worker_it_waits_for_one(kit: Kit) -> None:
    await kit.report("n1")
    await kit.submit()
    await kit.settle()
    await kit.desired.cordon("n1", cordoned=True, drain=True)
    await kit.settle()
    await kit.report("n1")
    await kit.settle()
    waits = kit.records.find_job("train").status
    assert (waits.phase, waits.reason, waits.message) == (
        Phase.PENDING,
        "WaitingForRoom",
        "n1 is being drained",
    )
    await kit.submit("late")
    await kit.settle()
    late = kit.records.find_job("late").status
    assert (late.phase, late.message) == (Phase.FAILED, NO_WORKERS)
    await kit.desired.cordon("n1", cordoned=False, drain=False)
    await kit.settle()
    assert kit.records.find_job("train").status.worker == "n1"


async def test_the_first_of_the_queue_is_not_overtaken_for_ever(kit: Kit) -> None:
    """Half of the only device is taken for 60 s; a whole one is waited for from then on."""
    await kit.report("n1")
    unit = await run(kit, "first")
    await kit.submit("whole", gpu={"memory": 1}, whenUnschedulable="Wait")
    await kit.settle()
    why = await kit.views.why("whole")
    assert "it is the first in the queue; waits for worker n1: fits there by" in why.summary
    assert "when the lease of first ends" in why.summary
    for number in range(5):
        kit.clock.advance(5)
        await kit.report("n1", {unit: kit.records.leases[unit].status})
        await kit.submit(f"small-{number}", gpu={"memory": 0.1})
        await kit.settle()
        status = kit.records.find_job(f"small-{number}").status
        assert (status.phase, status.reason) == (Phase.PENDING, "WaitingForRoom")
        assert "for whole, which is ahead in the queue" in status.message
    short = await kit.submit("short", gpu={"memory": 0.1}, duration=20)
    await kit.settle()
    assert kit.records.find_job("short").status.phase is Phase.LEASING  # over before
    waits = await kit.views.why("small-0")
    assert waits.workers[0].fix.startswith("duration 2")
    kit.platform.finish(unit, exit_code=0)
    await kit.log(unit, end=True, result=ENVELOPE)
    await kit.desired.cancel("short")
    for _ in range(3):
        await kit.list_services()
        await kit.settle()
        await kit.report("n1")
        await kit.settle()
        await kit.room.settled()
    assert short.metadata.name == "short"
    assert kit.records.find_job("whole").status.phase is Phase.LEASING
    assert kit.records.find_job("small-0").status.phase is Phase.PENDING


async def test_when_a_worker_opens_again_the_queue_keeps_its_order(kit: Kit) -> None:
    await kit.report("n1")
    await kit.desired.cordon("n1", cordoned=True, drain=False)
    half, whole, small = {"memory": 0.5}, {"memory": 1}, {"memory": 0.2}
    for name, gpu, duration in (("a", half, 600), ("b", whole, 300), ("c", small, 1200)):
        await kit.submit(name, gpu=gpu, duration=duration, whenUnschedulable="Wait")
        kit.clock.advance(0.01)
    await kit.settle()
    for name in "abc":
        await kit.views.why(name)
    await kit.desired.cordon("n1", cordoned=False, drain=False)
    await kit.settle()
    phases = {name: kit.records.find_job(name).status.phase for name in "abc"}
    assert phases == {"a": Phase.LEASING, "b": Phase.PENDING, "c": Phase.PENDING}
