"""What people are told of a job that waits: the reason, the fix, the latest start."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.asking import ask_of
from cumulus.controller.reconcile.fixes import fix_for
from cumulus.controller.reconcile.observed import Booking, Free, WorkerSeen
from cumulus.controller.reconcile.outlook import explain
from cumulus.controller.reconcile.queueing import Claim
from cumulus.crd_like_specs.job import JobSpec
from make import T, spec, worker, worker_seen

HALF = worker_seen(milli={0: 250})


@pytest.mark.parametrize(
    ("wanted", "on", "fix"),
    [
        (spec(), HALF, "gpu.memory 0.25 instead of 0.5"),
        (spec(), worker_seen(milli={0: 0}), ""),
        (spec(gpu={"memory": 1}), worker_seen(milli={0: 49}), ""),
        (spec(gpu={"memory": 1, "count": 2}), worker_seen(worker(devices=2), milli={0: 600}), "gpu.memory 0.6 instead of 1"),
        (spec(gpu={"memory": 1, "count": 2}), worker_seen(worker(devices=2), milli={0: 400}), "gpu.count 1 instead of 2"),
        (spec(gpu={"memory": 1, "count": 3}), worker_seen(worker(devices=2), milli={0: 0}), "gpu.count 1 instead of 3"),
        (spec(gpu={"type": "amd"}), worker_seen(), ""),
        (spec(resources={"cpus": 4}), worker_seen(cpus=1500), "resources.cpus 1500m instead of 4"),
        (spec(resources={"cpus": 9}), worker_seen(), "resources.cpus 8 instead of 9"),
        (spec(resources={"memory": "8Gi"}), worker_seen(memory=(6 << 30) + 5), "resources.memory 6Gi instead of 8Gi"),
        (spec(resources={"memory": "8Gi"}), worker_seen(memory=15 << 20), ""),
        (spec(resources={"memory": "8Gi", "cpus": 4}), worker_seen(memory=6 << 30, cpus=2000), "resources.cpus 2 instead of 4 and resources.memory 6Gi instead of 8Gi"),
        (spec(resources={"memory": "8Gi", "cpus": 4}), worker_seen(memory=6 << 30, cpus=2000, milli={0: 100}), ""),
        (spec(resources={"pids": 100}), WorkerSeen(worker(), Free({0: 1000}, 8000, 32 << 30, 60), ready=True), "resources.pids 60 instead of 100"),
        (spec(resources={"pids": 100}), WorkerSeen(worker(), Free({0: 1000}, 8000, 32 << 30, 7), ready=True), ""),
        (spec(duration="2h"), worker_seen(worker(available_until=T + 3660)), "duration 1h (rented until 01:17 UTC)"),
        (spec(duration="2h"), worker_seen(worker(available_until=T + 105)), ""),
        (spec(duration="10m"), worker_seen(worker(available_until=T + 105)), "duration 45s (rented until 00:18 UTC)"),
        (spec(duration="2h", gpu={"memory": 0.5}), worker_seen(worker(available_until=T + 3660), milli={0: 250}), "duration 1h (rented until 01:17 UTC) and gpu.memory 0.25 instead of 0.5"),
        (spec(), worker_seen(worker(cordoned=True)), "cumulusctl uncordon n1"),
        (spec(), worker_seen(worker(drain=True)), "cumulusctl uncordon n1"),
        (spec(), worker_seen(worker(cordoned=True), milli={0: 100}), ""),
        (spec(), worker_seen(worker(fenced=True)), ""),
        (spec(), worker_seen(ready=False), ""),
        (spec(image="x"), worker_seen(worker(status={"platform": "process"})), ""),
        (spec(nodeSelector={"gpu": "a100"}), worker_seen(), "no change: label gpu=a100 missing"),
        (spec(gpu=None), worker_seen(), ""),
    ],
)  # fmt: skip
def test_the_smallest_change(wanted: JobSpec, on: WorkerSeen, fix: str) -> None:
    assert fix_for(ask_of(wanted), on, T).text == fix


@pytest.mark.parametrize(
    ("start", "duration", "fix"),
    [
        (T + 2000, "1h", "duration 33m (kept for big from 00:50 UTC on)"),
        (T + 30, "1h", ""),
        (T + 30, "1m", "duration 20s (kept for big from 00:17 UTC on)"),
        (T, "1h", ""),
    ],
)
def test_short_enough_to_be_over_before_kept_room_begins(
    start: float, duration: str, fix: str
) -> None:
    kept = Booking("big", "n1", start, start + 4000, (0,), 1000, 1000, 1 << 30)
    assert fix_for(ask_of(spec(duration=duration)), worker_seen(), T, (kept,)).text == fix


def told(*workers: WorkerSeen, claim: Claim | None = None, ahead: int = 0, **fields: Any) -> Any:
    return explain(spec(**fields), workers, T, {}, claim=claim, ahead=ahead)


def test_nobody_there_or_room_at_once() -> None:
    assert told().summary == "No GPU workers available"
    assert told(worker_seen()).summary == "starts now on worker n1"


def test_when_it_starts_at_the_latest() -> None:
    held = Booking("other", "n1", 0.0, T + 700, (0,), 800, 1000, 1 << 30)
    busy = WorkerSeen(worker(), Free({0: 200}, 7000, 31 << 30), ready=True, held=(held,))
    room = Booking("train", "n1", T + 700, T + 770, (0,), 500, 1000, 1 << 30)
    outlook = told(busy, claim=Claim((0, T, "train"), room, "other"))
    assert outlook.summary == (
        "asks for 1 x 0.5 GPU, 1 CPU, 1Gi memory for 1m; "
        "none of 1 worker(s) has room now, 1 could take it when idle; "
        "it is the first in the queue; waits for worker n1: fits there by 00:29 UTC at the latest "
        "(in 11m40s), when the lease of other ends; "
        "would start now on n1 with gpu.memory 0.2 instead of 0.5"
    )
    (why,) = outlook.workers
    assert why.reason == (
        "has too little GPU free (device 0: 0.2), 1 x 0.5 asked for; "
        "fits by 00:29 UTC at the latest (in 11m40s), when the lease of other ends"
    )
    assert why.fix == "gpu.memory 0.2 instead of 0.5"
    assert "3 job(s) wait ahead of it, and no room is kept" in told(busy, ahead=3).summary


def test_the_fix_that_keeps_most_is_named_first() -> None:
    tight = worker_seen(worker("n2"), milli={0: 400})
    assert told(HALF, tight).summary.endswith(
        "would start now on n2 with gpu.memory 0.4 instead of 0.5"
    )
    shut = worker_seen(worker("n3", cordoned=True))
    assert told(HALF, shut).summary.endswith("would start now after: cumulusctl uncordon n3")
    assert told(worker_seen(milli={0: 0})).summary.endswith("1 could take it when idle")
