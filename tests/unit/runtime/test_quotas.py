"""Quotas at work: who waits, who does not, and what is on the books."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cumulus.api.tenancy import Quota
from cumulus.api.viewer import Viewer
from cumulus.controller.reconcile.quota import DAY, MILLI_GPU_HOUR, Held
from cumulus.controller.runtime.quotas import KEPT_DAYS, SPENT, held_by
from cumulus.controller.store import Put
from cumulus.crd_like_specs.errors import ConflictError, QuotaExceededError, StoreError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.meta import ObjectMeta
from make import T, lease, spec
from runtime_kit import Kit

NOON = 20_000 * DAY + 43_200.0
VISION = Viewer("vision", own_only=True, who="ann")
SPEECH = Viewer("speech", own_only=True, who="bob")


async def submit(kit: Kit, name: str, viewer: Viewer = VISION, **fields: Any) -> Job:
    wanted = Job(metadata=ObjectMeta(name=name), spec=spec(whenUnschedulable="Wait", **fields))
    return await kit.desired.submit(wanted, idempotency_key="", viewer=viewer)


def phase(kit: Kit, name: str) -> Phase:
    return kit.records.find_job(name).status.phase


def placed(kit: Kit) -> set[str]:
    return {lease.spec.job_name for lease in kit.records.leases.values()}


async def settle(kit: Kit) -> None:
    await kit.settle()
    await kit.room.settled()
    await kit.settle()


async def held(kit: Kit, name: str) -> str:
    """Its lease is held from now on; gives the lease's name."""
    unit = unit_name(kit.records.find_job(name).metadata.uid, 1)
    leases = {x.metadata.name: x.status for x in kit.records.leases.values()}
    duration = kit.records.leases[unit].spec.duration
    leases[unit] = kit.held(expires_at=kit.clock.now() + duration)
    await kit.report("n1", leases=leases, devices=4)
    return unit


async def gone(kit: Kit, name: str) -> None:
    """Cancel it and play its agent until its lease is off the record."""
    await kit.desired.cancel(name)
    unit = unit_name(kit.records.find_job(name).metadata.uid, 1)
    for _ in range(8):
        await settle(kit)
        lease = kit.records.leases.get(unit)
        if lease is None:
            return
        for service in await kit.platform.list_owned():
            if service.name == unit:
                await kit.platform.remove(unit)
        await kit.list_services()
        ended = lease.status.model_copy(
            update={"state": LeaseState.ENDED, "ended_at": kit.clock.now()}
        )
        leases = {x.metadata.name: x.status for x in kit.records.leases.values()}
        await kit.report("n1", leases={**leases, unit: ended}, devices=4)
        kit.clock.advance(1)
    raise AssertionError(f"{name} never goes")


@pytest.fixture
async def fleet(kit: Kit) -> Kit:
    """Four devices, and nobody limited yet."""
    kit.clock.advance(NOON - kit.clock.now())
    await kit.report("n1", devices=4)
    return kit


async def limit(kit: Kit, **quota: int) -> None:
    await kit.projects.set_quota("vision", Quota(**quota), "boss")
    kit.world.line.quota_moved()


async def test_no_more_than_may_run_and_nobody_else_waits(fleet: Kit) -> None:
    await limit(fleet, running=2)
    for number in range(4):
        await submit(fleet, f"v{number}", priority=9)
    await submit(fleet, "other", SPEECH)
    await submit(fleet, "nobodys", Viewer())
    await settle(fleet)
    assert placed(fleet) == {"v0", "v1", "other", "nobodys"}
    waiting = fleet.records.find_job("v2").status
    assert (waiting.phase, waiting.reason) == (Phase.PENDING, "OverQuota")
    assert waiting.message == "project vision runs 2 of 2 jobs"
    # What it waits for keeps no room: all of the rest may be taken.
    assert fleet.world.line.planned(fleet.clock.now()) == ()
    await submit(fleet, "large", SPEECH, gpu={"memory": 1.0, "count": 2}, priority=-5)
    await settle(fleet)
    assert "large" in placed(fleet)


async def test_the_next_starts_as_one_ends(fleet: Kit) -> None:
    await limit(fleet, running=1)
    for name in ("first", "second", "third"):
        await submit(fleet, name)
    await settle(fleet)
    assert placed(fleet) == {"first"}
    await held(fleet, "first")
    await gone(fleet, "first")
    await settle(fleet)
    assert placed(fleet) == {"second"}


async def test_room_is_kept_for_no_more_than_may_run(fleet: Kit) -> None:
    await submit(fleet, "fill", SPEECH, gpu={"memory": 1.0, "count": 4})
    await settle(fleet)
    await limit(fleet, running=1)
    for number in range(5):
        await submit(fleet, f"v{number}", gpu={"memory": 1.0})
        fleet.clock.advance(0.1)
    await submit(fleet, "other", SPEECH, gpu={"memory": 1.0})
    await settle(fleet)
    now = fleet.clock.now()
    assert sorted(c.order[2] for c in fleet.world.line.planned(now)) == ["other", "v0"]
    # As far as its quota goes it might start before the one ahead does.
    assert fleet.records.find_job("v1").status.reason == "WaitingForRoom"


async def test_gpu_time_is_booked_and_what_is_given_back_is_free_again(fleet: Kit) -> None:
    await limit(fleet, gpu=1000)  # one GPU-hour
    half = {"gpu": {"memory": 0.5}, "duration": 3600}
    for name in ("a", "b", "c"):
        await submit(fleet, name, **half)
    await submit(fleet, "cpu", gpu=None)
    await settle(fleet)
    assert placed(fleet) == {"a", "b", "cpu"}
    assert "has used 1 of 1 GPU-hours today" in fleet.records.find_job("c").status.message
    await held(fleet, "a")
    fleet.clock.advance(360)
    await gone(fleet, "a")
    running, used = fleet.world.quotas.use("vision", fleet.clock.now())
    # b may still take half an hour of it, and a took a tenth of an hour of a half.
    assert running == 2
    assert (500 + 50) * MILLI_GPU_HOUR <= used < (500 + 52) * MILLI_GPU_HOUR
    await settle(fleet)
    assert "c" not in placed(fleet)
    await submit(fleet, "short", gpu={"memory": 0.5}, duration=3000)
    await settle(fleet)
    assert "short" in placed(fleet)


async def test_the_next_day_everything_is_free(fleet: Kit) -> None:
    await limit(fleet, gpu=500)
    await submit(fleet, "a", gpu={"memory": 0.5}, duration=3600)
    await submit(fleet, "b", gpu={"memory": 0.5}, duration=3600)
    await settle(fleet)
    await held(fleet, "a")
    fleet.clock.advance(3600)
    await gone(fleet, "a")
    await settle(fleet)
    assert placed(fleet) == set()
    midnight = 20_001 * DAY
    fleet.clock.advance(midnight - fleet.clock.now() - 30)
    await fleet.report("n1", devices=4)
    await settle(fleet)
    assert placed(fleet) == set()
    fleet.clock.advance(31)
    await fleet.report("n1", devices=4)
    await settle(fleet)
    assert placed(fleet) == {"b"}


async def test_a_job_that_no_day_is_long_enough_for(fleet: Kit) -> None:
    await limit(fleet, gpu=1000)
    wanted = spec(gpu={"memory": 1.0, "count": 2}, duration=86400, whenUnschedulable="Fail")
    job = Job(metadata=ObjectMeta(name="endless"), spec=wanted)
    await fleet.desired.submit(job, idempotency_key="", viewer=VISION)
    await submit(fleet, "patient", gpu={"memory": 1.0, "count": 2}, duration=86400)
    await settle(fleet)
    ended = fleet.records.find_job("endless").status
    assert (ended.phase, ended.reason) == (Phase.FAILED, "Unschedulable")
    assert "project vision has used 0 of 1 GPU-hours today" in ended.message
    assert phase(fleet, "patient") is Phase.PENDING


async def test_the_books_outlive_the_job_and_the_controller(fleet: Kit, tmp_path: Path) -> None:
    await limit(fleet, gpu=2000, running=3)
    await submit(fleet, "a", gpu={"memory": 0.5}, duration=3600)
    await submit(fleet, "b", gpu={"memory": 0.5}, duration=3600)
    await settle(fleet)
    await held(fleet, "a")
    await held(fleet, "b")
    fleet.clock.advance(600)
    await gone(fleet, "a")
    await fleet.desired.delete("a")
    await settle(fleet)
    assert fleet.records.job("a") is None
    now = fleet.clock.now()
    before = fleet.world.quotas.use("vision", now)
    assert before[0] == 1
    (tmp_path / "again").mkdir()
    again = Kit(tmp_path / "again", fleet.store)
    assert again.world.quotas.use("vision", now) == before
    assert again.projects.quota("vision") == Quota(3, 2000)
    again.room.close()
    again.logs.close()


async def test_a_lease_is_written_once_whatever_fails(
    fleet: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(fleet, gpu=2000)
    await submit(fleet, "a", gpu={"memory": 0.5}, duration=3600)
    await settle(fleet)
    unit = await held(fleet, "a")
    fleet.clock.advance(720)
    lease = fleet.records.leases[unit]
    quotas, now = fleet.world.quotas, fleet.clock.now()
    first = quotas.settle(lease, now)
    assert first == [
        Put(
            SPENT,
            "vision/20000",
            {"project": "vision", "day": 20_000, "spent": 100 * MILLI_GPU_HOUR},
        )
    ]
    assert quotas.settle(lease, now) == []
    quotas.unsettle(lease)
    assert quotas.settle(lease, now) == first
    quotas.unsettle(lease)

    def refuse(_ops: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(fleet.store, "submit", refuse)
        with pytest.raises(StoreError):
            await fleet.executor._forget(unit)
    assert quotas.use("vision", now) == (1, 500 * MILLI_GPU_HOUR)


async def test_days_of_long_ago_go_with_a_restart(fleet: Kit, tmp_path: Path) -> None:
    for day in (19_000, 20_000 - KEPT_DAYS - 1, 20_000):
        doc = {"project": "vision", "day": day, "spent": 5}
        fleet.store.submit([Put(SPENT, f"vision/{day}", doc)]).result()
    (tmp_path / "again").mkdir()
    again = Kit(tmp_path / "again", fleet.store)
    again.clock.advance(NOON - again.clock.now())
    kept = type(again.world.quotas)(fleet.store, (), NOON)
    assert kept.use("vision", NOON) == (0, 5)
    assert list(fleet.store.ids(SPENT)) == ["vision/20000"]
    again.room.close()
    again.logs.close()


async def test_an_extension_keeps_within_the_day(fleet: Kit) -> None:
    await limit(fleet, gpu=1000)
    await submit(fleet, "a", gpu={"memory": 0.5}, duration=3600)
    await settle(fleet)
    await held(fleet, "a")
    with pytest.raises(ConflictError, match=r"has used 0\.5 of 1 GPU-hours today, and 1 more"):
        await fleet.operations.extend("a", 7200, VISION)
    await fleet.operations.extend("a", 3600, VISION)


async def test_limits_of_datasets(fleet: Kit) -> None:
    await limit(fleet, dataset_bytes=10 << 30)
    check = fleet.projects.check_dataset_bytes
    check("vision", 4 << 30, 6 << 30)
    check("speech", 1 << 50, 1 << 50)
    check("", 1 << 50, 1 << 50)
    with pytest.raises(QuotaExceededError, match="may have 10Gi of datasets and has 8Gi"):
        check("vision", 8 << 30, 3 << 30)


async def test_why_names_the_limit_and_when_it_is_kept_again(fleet: Kit) -> None:
    await limit(fleet, running=1)
    await submit(fleet, "a", duration=600)
    await submit(fleet, "b", duration=600)
    await settle(fleet)
    await held(fleet, "a")
    why = await fleet.views.why("b", viewer=VISION)
    assert why.summary == (
        "project vision runs 1 of 1 jobs; nobody else waits because of it; "
        "within its limits again by 12:10 UTC at the latest (in 10m); there would be room now"
    )


async def test_the_forecast_knows_the_limits(fleet: Kit) -> None:
    await limit(fleet, running=2, gpu=1000)
    hour = {"gpu": {"memory": 0.5}, "duration": 3600}
    await submit(fleet, "a", **hour)
    await settle(fleet)
    await held(fleet, "a")
    jobs = [
        Job(metadata=ObjectMeta(name=name), spec=spec(whenUnschedulable="Wait", **fields))
        for name, fields in [
            ("b", hour),
            ("c", {"gpu": None, "duration": 60}),
            ("d", hour),
            ("e", {"gpu": {"memory": 1.0, "count": 2}, "duration": 86400}),
        ]
    ]
    preview = await fleet.operations.plan(jobs, prune="", forecast=True, viewer=VISION)
    now = fleet.clock.now()
    told = {one.resource.metadata.name: one.expected for one in preview.changes}
    assert all(told.values())
    starts = {name: (one.when.value, one.at) for name, one in told.items() if one}
    assert starts["b"] == ("now", now)
    assert starts["c"] == ("later", now + 3600)  # one of the two ends then
    assert starts["d"][0] == "later"
    assert starts["d"][1] == 20_001 * DAY  # of today nothing is left
    assert starts["e"] == ("unknown", 0.0)
    assert told["e"] is not None
    assert "GPU-hours today, and 24 of them are asked for" in told["e"].reason


@pytest.mark.parametrize(
    ("held_at", "ended_at", "now", "start", "end"),
    [
        (T, 0.0, T + 10, T, T + 60),
        (T + 1000, 0.0, T + 10, T - 5, T + 55),  # a worker's clock that is ahead
        (T, T + 20, T + 100, T, T + 20),
        (T, T + 5000, T + 9000, T, T + 60),  # set forward meanwhile
        (T, T - 5000, T + 100, T, T),  # and back
    ],
)
def test_no_clock_of_a_worker_books_more_than_its_lease(
    held_at: float, ended_at: float, now: float, start: float, end: float
) -> None:
    state = LeaseState.ENDED if ended_at else LeaseState.HELD
    one = lease(state, held_at=held_at, status={"ended_at": ended_at}, not_before=T - 5)
    assert held_by(one, now) == Held(start, end, 500)
