"""Where a job may start for its image's sake, and when it never can."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cumulus.controller.reconcile.actions import CreateService, PutLease
from cumulus.controller.reconcile.image_seen import ImageSeen, awaited
from cumulus.controller.reconcile.observed import WorkerSeen
from cumulus.controller.reconcile.plan import plan
from cumulus.controller.reconcile.rules_image import on_its_way
from cumulus.crd_like_specs.images import (
    DISK_TOO_FULL,
    FETCHING,
    IMAGE_MISSING,
    IMAGES_PRESENT,
    NETWORK_ISOLATED,
)
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.meta import Condition
from make import T, job, lease, seen, worker, worker_seen

JOB_IMAGE = "sha256:image"
ID = "sha256:" + "1" * 64
HELD = ImageSeen(ID)
NOWHERE = ImageSeen("tool:1", obtainable=False, looked_at=T + 1)


def having(*images: str, name: str = "n1", reason: str = "", message: str = "") -> WorkerSeen:
    """A worker with these images; reason: why it lacks one that it should have."""
    said = Condition(type=IMAGES_PRESENT, status=not reason, reason=reason, message=message)
    return worker_seen(worker(name, status={"images": images, "conditions": (said,)}))


def placed(of: Any, **fields: Any) -> str:
    """Name of the worker, or the rule that found none."""
    decision = plan(of, seen(**fields), T + 2)
    if decision.rule != "place":
        return decision.rule
    (action,) = decision.actions
    assert isinstance(action, PutLease)
    return action.lease.spec.worker


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ((having("other"), having("tool:1", name="n2")), "n2"),
        ((having("other"), having(ID, name="n2")), "n2"),
        ((having("other"), having("other", name="n2")), "n1"),
        ((having(reason=DISK_TOO_FULL), having("other", name="n2")), "n2"),
        ((having(reason=DISK_TOO_FULL),), "n1"),
        ((having(reason=FETCHING), having("other", name="n2")), "n1"),
    ],
)
def test_an_image_that_can_be_had_starts_where_it_is_or_anywhere(
    workers: tuple[WorkerSeen, ...], expected: str
) -> None:
    assert placed(job(image="tool:1"), workers=workers, image=HELD) == expected


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ((having("other"), having("tool:1", name="n2")), "n2"),
        ((having("other"), having("docker.io/tool:1", name="n2")), "image-missing"),
        ((having("other"),), "image-missing"),
        ((replace(having("tool:1"), known=False), having(name="n2")), "image-missing"),
        ((), "no-workers"),
        ((replace(having(), ready=False, known=False),), "wait-for-room"),
    ],
)
def test_one_that_nobody_can_give_starts_where_it_is_or_nowhere(
    workers: tuple[WorkerSeen, ...], expected: str
) -> None:
    waits = {"whenUnschedulable": "Wait"} if expected == "wait-for-room" else {}
    assert placed(job(image="tool:1", **waits), workers=workers, image=NOWHERE) == expected


def test_an_image_that_is_missing_ends_the_job_with_what_to_do() -> None:
    of = job(image="r.example.org/tool:1", whenUnschedulable="Wait")
    status = plan(of, seen(workers=(having(),), image=NOWHERE), T + 2).status
    assert status is not None
    assert (status.phase, status.reason) == (Phase.FAILED, "ImageMissing")
    assert status.message == (
        "image 'r.example.org/tool:1' is neither on the controller's engine nor on any worker, "
        "and the controller is not configured for its registry r.example.org (registries)"
    )


def test_the_engine_is_asked_once_more_before_a_job_ends() -> None:
    stale = replace(NOWHERE, looked_at=T - 1)
    decision = plan(job(image="tool:1"), seen(workers=(having(),), image=stale), T + 2)
    assert (decision.rule, decision.wake_at, decision.actions) == ("look-for-image", T + 3, ())


def test_what_has_its_lease_is_past_that() -> None:
    held = lease(status={"image": ID})
    decision = plan(
        job(Phase.LEASING, image="tool:1"), seen(held, workers=(having(),), image=NOWHERE), T
    )
    (action,) = decision.actions
    assert isinstance(action, CreateService)
    assert action.service.image == ID


@pytest.mark.parametrize(
    ("said", "image"),
    [("", JOB_IMAGE), (ID, ID)],
)
def test_code_runs_in_the_image_that_the_lease_made_sure_of(said: str, image: str) -> None:
    held = lease(status={"image": said})
    (action,) = plan(job(Phase.LEASING), seen(held), T).actions
    assert isinstance(action, CreateService)
    assert action.service.image == image


def test_jobs_in_the_job_image_wait_while_a_worker_is_being_given_it() -> None:
    told = "does not have the job image yet: job:latest: 40 % of 765Mi"
    coming = replace(having("other"), awaits=told)
    decision = plan(job(), seen(workers=(coming,)), T)
    assert decision.rule == "wait-for-room"
    assert decision.status is not None
    assert decision.status.message == f"n1 {told}"
    assert [(r.reason, r.ever) for r in decision.status.waiting_for] == [(told, True)]
    assert placed(job(), workers=(coming, having(JOB_IMAGE, name="n2"))) == "n2"
    assert placed(job(image="tool:1"), workers=(coming,), image=HELD) == "n1"


def test_a_worker_that_could_not_try_its_isolation_yet_is_waited_for() -> None:
    untried = Condition(type=NETWORK_ISOLATED, status=False, reason=IMAGE_MISSING)
    failed = untried.model_copy(update={"reason": "Reachable"})
    for said, rule in ((untried, "wait-for-room"), (failed, "unschedulable")):
        bare = worker_seen(worker(status={"network_isolation": False, "conditions": (said,)}))
        for of in (job(), job(image="tool:1")):
            assert placed(of, workers=(bare,), image=HELD) == rule
        assert placed(job(network="Egress"), workers=(bare,)) == "n1"


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (worker(), ""),
        (having(ID).worker, ""),
        (having(ID, reason=FETCHING, message="another").worker, ""),
        (having("x").worker, "does not have the job image yet"),
        (having(reason=FETCHING, message="40 %").worker, "does not have the job image yet: 40 %"),
    ],
)
def test_what_a_worker_awaits(of: Any, why: str) -> None:
    assert awaited(of, ID) == why
    assert awaited(of, "") == ""


def test_a_job_says_what_it_waits_for_on_its_worker() -> None:
    coming = having(reason=FETCHING, message="tool:1: 40 % of 2Gi")
    preparing = lease(LeaseState.PREPARING)
    of = job(Phase.LEASING, image="tool:1")
    status = plan(of, seen(preparing, workers=(coming,), image=HELD), T).status
    assert status is not None
    assert status.message == "preparing on its worker: tool:1: 40 % of 2Gi"
    assert on_its_way(having(ID, reason=FETCHING).worker, ID) == ""
    assert on_its_way(having(ID).worker, ID) == ""
    assert on_its_way(worker(), ID) == ""


def test_code_in_a_runtime_starts_where_its_image_is_or_can_be_had() -> None:
    torch = job(runtime="torch")
    held = ImageSeen(ID, name="job:torch")
    nowhere = replace(NOWHERE, name="tool:1")
    coming = replace(having("other"), awaits="does not have the job image yet")
    assert placed(torch, workers=(having("other"), having(ID, name="n2")), image=held) == "n2"
    assert placed(torch, workers=(coming,), image=held) == "n1"
    assert placed(torch, workers=(having("tool:1"),), image=nowhere) == "n1"
    assert placed(torch, workers=(having("other"),), image=nowhere) == "image-missing"
    (action,) = plan(job(Phase.LEASING, runtime="torch"), seen(lease(), image=held), T).actions
    assert isinstance(action, CreateService)
    assert action.service.image == ID
    assert [mount.target for mount in action.service.mounts] == ["/job", "/env"]


def test_a_runtime_that_is_no_longer_configured_ends_its_jobs() -> None:
    decision = plan(job(runtime="torch"), seen(image=ImageSeen(obtainable=False)), T)
    assert decision.status is not None
    assert (decision.rule, decision.status.reason) == ("runtime-missing", "RuntimeMissing")
    assert "no runtime 'torch' any more" in decision.status.message
