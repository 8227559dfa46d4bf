"""What workers said they use: newest only, rates from two looks, nothing of the silent."""

from __future__ import annotations

import pytest
from cumulus.api.frames import DeviceUsage, NodeUsage, UnitUsage
from cumulus.controller.runtime.metrics import Metrics
from cumulus.controller.runtime.usage import STALE, Usage
from cumulus.crd_like_specs.errors import NotFoundError
from make import UID, T, lease
from runtime_kit import Kit

UNIT = f"cumulus-{UID}-1"


def look(time: float, cpu: float, *, unit: str = UNIT, memory: int = 100) -> NodeUsage:
    units = (UnitUsage(unit, cpu, memory, 200, 300),)
    return NodeUsage(time, 7, units, (DeviceUsage(0, 1024, 370), DeviceUsage(1, 5, -1)))


async def test_a_rate_takes_two_looks_of_the_same_unit(kit: Kit) -> None:
    await kit.records.put_lease(lease())
    book = Usage()
    book.put("n1", look(50.0, 10.0), T)
    (first,) = book.shown(kit.records, T)
    assert [job.cpus for job in first.jobs] == [-1.0]
    book.put("n1", look(55.0, 12.5), T + 5)
    (then,) = book.shown(kit.records, T + 5)
    (job,) = then.jobs
    assert (job.unit, job.attempt, job.cpus, job.cpu_seconds) == (UNIT, 1, 0.5, 12.5)
    assert (job.memory, job.memory_peak, job.gpu_memory) == (100, 200, 300)
    book.put("n1", look(54.0, 12.5), T + 6)  # its clock stepped back
    assert book.shown(kit.records, T + 6)[0].jobs[0].cpus == -1.0


async def test_units_without_a_lease_on_record_are_nobodys(kit: Kit) -> None:
    book = Usage()
    book.put("n1", look(1.0, 1.0), T)
    book.put("n2", look(1.0, 1.0, unit="something else"), T)
    assert [(use.worker, use.jobs) for use in book.shown(kit.records, T)] == [
        ("n1", ()),
        ("n2", ()),
    ]
    assert [use.worker for use in book.shown(kit.records, T, "n2")] == ["n2"]


def test_the_silent_and_the_gone_are_not_shown(kit: Kit) -> None:
    book = Usage()
    book.put("n1", look(1.0, 1.0), T)
    book.put("n2", look(1.0, 1.0), T + STALE)
    assert [use.worker for use in book.shown(kit.records, T + STALE)] == ["n2"]
    book.forget("n2")
    book.forget("n2")
    assert book.shown(kit.records, T + STALE) == ()


async def test_views_tell_it_and_know_which_workers_there_are(kit: Kit) -> None:
    await kit.report("n1")
    kit.agents.used("n1", look(1.0, 1.0))
    assert [use.worker for use in await kit.views.usage("")] == ["n1"]
    assert [use.worker for use in await kit.views.usage("n1")] == ["n1"]
    with pytest.raises(NotFoundError, match="worker 'n9' not found"):
        await kit.views.usage("n9")


async def test_metrics_are_by_worker_and_device_never_by_job(kit: Kit) -> None:
    metrics = Metrics(kit.records, kit.world, kit.queue, kit.clock)
    await kit.report("n1", devices=2)
    kit.agents.used("n1", look(1.0, 1.0))
    kit.agents.used("n1", look(2.0, 1.5))

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"cumulus_{name}", labels)

    assert value("worker_disk_free_bytes", worker="n1") == 7
    assert value("worker_jobs_memory_bytes", worker="n1") == 100
    assert value("worker_jobs_cpus", worker="n1") == 0.5
    assert value("device_memory_used_bytes", worker="n1", device="0") == 1024
    assert value("device_busy_ratio", worker="n1", device="0") == 0.37
    assert value("device_busy_ratio", worker="n1", device="1") is None
    assert value("device_share_free_ratio", worker="n1", device="1") == 1
    names = {
        label for family in metrics.registry.collect() for s in family.samples for label in s.labels
    }
    assert names <= {"worker", "device", "phase", "le"}
