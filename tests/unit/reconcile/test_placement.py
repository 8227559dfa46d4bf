"""First fit, and the reason for each worker that does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.asking import ask_of, asked
from cumulus.controller.reconcile.fitting import Profile
from cumulus.controller.reconcile.observed import Booking, Free, Unready, WorkerSeen
from cumulus.controller.reconcile.placement import Placement, Refusals, place
from cumulus.crd_like_specs.job import JobSpec
from cumulus.crd_like_specs.meta import Condition
from cumulus.crd_like_specs.worker import DISK_PRESSURE
from make import T, spec, worker, worker_seen

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
FULL = {"conditions": (Condition(type=DISK_PRESSURE, status=True, reason="", message=""),)}


@pytest.mark.parametrize(
    ("wanted", "on", "reason", "ever"),
    [
        (spec(nodeSelector={"zone": "b"}), worker_seen(), "lacks label zone=b", False),
        (spec(image="x"), worker_seen(worker(status={"platform": "process"})), "runs no images (platform process)", False),
        (spec(), worker_seen(worker(status={"network_isolation": False})), "cannot isolate jobs from the network (the agent's check failed)", False),
        (spec(resources={"cpus": 9}), worker_seen(), "has 8 CPU, 9 asked for", False),
        (spec(resources={"memory": "33Gi"}), worker_seen(), "has 32Gi memory, 33Gi asked for", False),
        (spec(datasets=[{"digest": ONE, "extracted": 3 << 30}]), worker_seen(worker(status={"dataset_cache": 2 << 30})), "keeps 2Gi of datasets at most, 3Gi asked for", False),
        (spec(gpu={"count": 2}), worker_seen(), "has 1 device(s), 2 asked for", False),
        (spec(gpu={"type": "amd"}), worker_seen(), "has 0 device(s) of type amd, 1 asked for", False),
        (spec(), worker_seen(ready=False, unready=Unready.NOT_CLEAN), "is not ready (its agent is removing what nobody wants there any more)", True),
        (spec(), worker_seen(ready=False, silent=7), "is not ready (agent silent for 7 s or node down)", True),
        (spec(), worker_seen(worker(cordoned=True)), "is cordoned", True),
        (spec(), worker_seen(worker(status=FULL)), "has a disk that is nearly full", True),
        (spec(), worker_seen(worker(drain=True)), "is being drained", True),
        (spec(resources={"cpus": 2}), worker_seen(cpus=1500), "has 1500m CPU free, 2 asked for", True),
        (spec(), worker_seen(memory=1 << 29), "has 512Mi memory free, 1Gi asked for", True),
        (spec(), worker_seen(milli={0: 499}), "has too little GPU free (device 0: 0.499), 1 x 0.5 asked for", True),
    ],
)  # fmt: skip
def test_reason(wanted: JobSpec, on: WorkerSeen, reason: str, ever: Any) -> None:
    found = place(wanted, [on], T)
    assert isinstance(found, Refusals)
    assert (found.reasons[0].reason, found.reasons[0].ever) == (reason, ever)
    assert found.hopeless is not ever


def test_first_worker_with_room() -> None:
    workers = [
        worker_seen(worker(n), milli={0: m}) for n, m in (("a", 499), ("b", 500), ("c", 1000))
    ]
    found = place(spec(), workers, T)
    assert isinstance(found, Placement)
    assert (found.worker.metadata.name, found.devices) == ("b", (0,))


def test_several_devices_of_one_worker() -> None:
    many = worker_seen(worker(devices=4), milli={0: 400, 2: 100})
    found = place(spec(gpu={"memory": 0.5, "count": 2}), [many], T)
    assert isinstance(found, Placement)
    assert found.devices == (1, 3)


@pytest.mark.parametrize("kind", ["nvidia", "NVIDIA", "h200", "any", ""])
def test_type_matches_kind_or_name(kind: str) -> None:
    assert isinstance(place(spec(gpu={"type": kind}), [worker_seen()], T), Placement)


def test_no_gpu_asked_for_needs_no_device() -> None:
    found = place(spec(gpu=None), [worker_seen(worker(devices=0))], T)
    assert isinstance(found, Placement)
    assert found.devices == ()


def test_network_jobs_run_where_isolation_fails() -> None:
    leaky = worker_seen(worker(status={"network_isolation": False}))
    assert isinstance(place(spec(network="Egress"), [leaky], T), Placement)


@pytest.mark.parametrize(
    ("constraint", "fits"), [("n1", True), ("!n1", False), ("*", True), ("n2,n1", True)]
)
def test_a_workers_own_name_is_a_label_that_nobody_can_set(constraint: str, fits: bool) -> None:
    forged = worker_seen(worker(labels={"cumulus.dev/worker": "n9"}))
    wanted = spec(nodeSelector={"cumulus.dev/worker": constraint})
    assert isinstance(place(wanted, [forged], T), Placement) is fits


def test_best_fit_fills_the_fullest_device_and_worker() -> None:
    workers = [
        worker_seen(worker("a")),
        worker_seen(worker("b", devices=3), milli={0: 900, 1: 500, 2: 499}),
        worker_seen(worker("c"), milli={0: 600}),
    ]
    found = place(spec(), workers, T, best_fit=True)
    assert isinstance(found, Placement)
    assert (found.worker.metadata.name, found.devices) == ("b", (1,))
    both = place(spec(gpu={"memory": 0.5, "count": 2}), workers, T, best_fit=True)
    assert isinstance(both, Placement)
    assert both.devices == (0, 1)


def test_best_fit_of_jobs_without_gpu_leaves_gpus_alone_then_fills_cpu_then_memory() -> None:
    def chosen(*workers: WorkerSeen) -> str:
        found = place(spec(gpu=None), list(workers), T, best_fit=True)
        assert isinstance(found, Placement)
        return found.worker.metadata.name

    bare = {"devices": 0}
    assert chosen(worker_seen(worker("a")), worker_seen(worker("b", **bare))) == "b"
    assert (
        chosen(worker_seen(worker("a", **bare)), worker_seen(worker("b", **bare), cpus=2000)) == "b"
    )
    full = worker_seen(worker("b", **bare), memory=2 << 30)
    assert chosen(worker_seen(worker("a", **bare)), full) == "b"
    assert chosen(worker_seen(worker("a", **bare)), worker_seen(worker("b", **bare))) == "a"


@pytest.mark.parametrize(
    ("left", "asked", "fits"), [(100, 100, True), (99, 100, False), (None, 100, True)]
)
def test_pids_are_set_aside_where_the_worker_says_how_many_it_has(
    left: int | None, asked: int, fits: bool
) -> None:
    seen = WorkerSeen(
        worker(status={"pids": 200 if left else 0}),
        Free({0: 1000}, 8000, 32 << 30, left),
        ready=True,
    )
    found = place(spec(resources={"pids": asked}), [seen], T)
    assert isinstance(found, Placement) is fits
    if isinstance(found, Refusals):
        assert found.reasons[0].reason == "has 99 pids free, 100 asked for"
        never = place(spec(resources={"pids": 201}), [seen], T)
        assert isinstance(never, Refusals)
        assert (never.reasons[0].reason, never.hopeless) == ("has 200 pids, 201 asked for", True)


def test_the_reasons_kept_are_of_those_that_could_ever_take_it_first() -> None:
    workers = [worker_seen(worker(f"a{n}", devices=0)) for n in range(3)]
    workers += [worker_seen(worker(f"b{n}"), milli={0: 0}) for n in range(3)]
    found = place(spec(), workers, T)
    assert isinstance(found, Refusals)
    assert [why.worker for why in found.some(2)] == ["b0", "b1"]
    assert [why.worker for why in found.some(4)] == ["b0", "b1", "b2", "a0"]
    assert len(found.reasons) == 6


def test_a_fenced_worker_takes_nothing() -> None:
    found = place(spec(), [worker_seen(worker(fenced=True))], T)
    assert isinstance(found, Refusals)
    assert (found.reasons[0].reason, found.reasons[0].ever) == ("is fenced", True)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (spec(gpu=None), "1 CPU, 1Gi memory for 1m"),
        (spec(gpu={"type": "any", "count": 2}), "2 x 1 GPU, 1 CPU, 1Gi memory for 1m"),
        (spec(gpu={"type": "H200"}, nodeSelector={"z": "!b", "a": ["c", "d"]}), "1 x 1 GPU of type h200, 1 CPU, 1Gi memory, on a=c,d z=!b for 1m"),
    ],
)  # fmt: skip
def test_what_is_asked_in_words(wanted: JobSpec, said: str) -> None:
    assert asked(ask_of(wanted)) == said


def test_room_of_a_device_that_is_gone_is_nobodys() -> None:
    """A lease may outlive the device it was on: a worker that came back with fewer."""
    gone = Booking("old", "n1", 0.0, T + 30, (0, 7), 500, 1000, 1 << 30)
    seen = WorkerSeen(worker(), Free({0: 500}, 7000, 31 << 30), ready=True, held=(gone,))
    profile = Profile(seen, (), T)
    assert (profile.times, profile.at(1).milli) == ([T, T + 30], {0: 1000})


def test_a_worker_that_has_the_datasets_is_preferred_among_equals() -> None:
    wanted = spec(datasets=[{"digest": ONE, "path": "/a"}, {"digest": TWO, "path": "/b"}])
    held: dict[str, tuple[str, ...]] = {"a": (), "b": (ONE,), "c": (ONE, TWO), "d": (TWO, ONE)}
    fleet = [worker_seen(worker(n, status={"datasets": has})) for n, has in held.items()]

    def chosen(*workers: WorkerSeen, best_fit: bool = False) -> str:
        found = place(wanted, workers, T, best_fit=best_fit)
        assert isinstance(found, Placement)
        return found.worker.metadata.name

    assert chosen(*fleet) == "c"
    assert chosen(*fleet[:2]) == "b"
    assert chosen(*fleet, best_fit=True) == "c"
    fuller = worker_seen(worker("e"), milli={0: 500})
    assert chosen(*fleet, fuller, best_fit=True) == "e", "less is left over there"
    plain = place(spec(), fleet, T)
    assert isinstance(plain, Placement)
    assert plain.worker.metadata.name == "a"


def test_the_same_content_in_two_places_is_there_once() -> None:
    twice = [{"digest": ONE, "path": path, "extracted": 3 << 30} for path in ("/a", "/b")]
    assert ask_of(spec(datasets=twice)).data == 3 << 30
    assert "3Gi of datasets" in asked(ask_of(spec(datasets=twice)))
