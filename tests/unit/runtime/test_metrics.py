"""Metrics: what transitions count, and what is read when scraped."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.runtime.metrics import Metrics
from cumulus.crd_like_specs.job import Job, Phase
from make import T, job, lease
from runtime_kit import Kit


@pytest.fixture
def metrics(kit: Kit) -> Metrics:
    return Metrics(kit.records, kit.world, kit.queue, kit.clock)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"cumulus_{name}", labels)


def at(phase: Phase, **status: Any) -> Job:
    return job(phase, status=status)


def test_starts_ends_and_durations(metrics: Metrics) -> None:
    running = at(Phase.RUNNING, started_at=T + 2)
    metrics.transition(at(Phase.STARTING), running, "running")
    metrics.transition(running, running, "running")
    done = at(Phase.SUCCEEDED, started_at=T + 2, finished_at=T + 12)
    metrics.transition(running, done, "succeeded")
    metrics.transition(done, done, "kept")
    assert value(metrics, "job_start_seconds_count") == 1
    assert value(metrics, "job_start_seconds_sum") == 2
    assert value(metrics, "jobs_finished_total", phase="Succeeded") == 1
    assert value(metrics, "job_duration_seconds_sum") == 10


def test_retries_are_counted_and_jobs_that_never_ran_have_no_duration(metrics: Metrics) -> None:
    again = at(Phase.PENDING, attempt=2, reason="Retrying")
    metrics.transition(at(Phase.RUNNING), again, "failed")
    metrics.transition(again, at(Phase.PENDING, attempt=3, reason="Suspended"), "suspended")
    metrics.transition(again, at(Phase.CANCELLED, attempt=2), "stopped")
    assert value(metrics, "attempts_retried_total") == 1
    assert value(metrics, "job_duration_seconds_count") == 0
    metrics.overrun(1.5)
    assert value(metrics, "lease_overrun_seconds_sum") == 1.5


async def test_gauges_are_read_when_asked(kit: Kit, metrics: Metrics) -> None:
    assert value(metrics, "job_success_ratio") == 1
    for name, phase in [
        ("a", Phase.SUCCEEDED),
        ("b", Phase.FAILED),
        ("c", Phase.TIMED_OUT),
        ("d", Phase.CANCELLED),
        ("e", Phase.RUNNING),
        ("f", Phase.PENDING),
    ]:
        await kit.put(job(phase, name=name, uid=name * 32))
    await kit.records.put_lease(lease())
    kit.queue.add("e")
    assert value(metrics, "job_success_ratio") == pytest.approx(1 / 3)
    assert value(metrics, "jobs_running") == 1
    assert value(metrics, "jobs_active") == 2
    assert value(metrics, "leases") == 1
    assert value(metrics, "queue_depth") == 1
    assert value(metrics, "workers_ready") == 0
    await kit.report("n1")
    assert value(metrics, "workers_ready") == 1
