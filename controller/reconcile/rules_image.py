"""What a job's image has to do with where it may start, and whether it can at all. Pure.

An image that the controller's engine holds, or that a registry gives, comes to whichever worker
the job is placed on, before its lease is held. Any other has to be on the worker already.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...crd_like_specs.images import DISK_TOO_FULL, IMAGES_PRESENT, registry_of
from ...crd_like_specs.job import Cause, Phase
from ...crd_like_specs.worker import Worker
from .actions import Plan
from .case import Case
from .image_seen import ImageSeen, has_image
from .observed import WorkerSeen
from .timing import IMAGE_LOOK


def image_missing(case: Case) -> Plan | None:
    """Neither the controller nor a registry can give the image, and no worker has it."""
    image, name = case.seen.image, image_name(case)
    if case.job.spec.runtime and not name and case.lease is None and case.service is None:
        text = f"this controller has no runtime {case.job.spec.runtime!r} any more (runtimes)"
        return case.end(
            "runtime-missing",
            Phase.FAILED,
            cause=Cause.PREPARATION,
            reason="RuntimeMissing",
            message=text,
        )
    if not name or image.obtainable or case.lease is not None or case.service is not None:
        return None
    known = [seen.worker for seen in case.seen.workers if seen.known]
    if not known or any(has_image(worker, name) for worker in known):
        return None
    if image.looked_at < case.status.submitted_at:  # it may have come to the engine since
        return case.wait("look-for-image", case.now + IMAGE_LOOK)
    return case.end(
        "image-missing",
        Phase.FAILED,
        cause=Cause.PREPARATION,
        reason="ImageMissing",
        message=f"image {name!r} is neither on the controller's engine nor on any worker, and "
        f"the controller is not configured for its registry {registry_of(name)} (registries)",
    )


def image_name(case: Case) -> str:
    """What the job, or the runtime of its code, calls its image; "" for the job image."""
    return case.job.spec.image or case.seen.image.name


def job_image(case: Case) -> str:
    """What a service for code uses, as far as its lease does not know better."""
    seen = case.seen
    return seen.image.reference if case.job.spec.runtime else seen.default_image


def in_order(workers: Iterable[WorkerSeen], name: str, image: ImageSeen) -> tuple[WorkerSeen, ...]:
    """Those that can have the image, and first those that have it; last those whose disk is too
    full for an image. name: as the job says it.
    """

    def rank(seen: WorkerSeen) -> int:
        if has_image(seen.worker, name) or has_image(seen.worker, image.reference):
            return 0
        present = seen.worker.status.condition(IMAGES_PRESENT)
        return 2 if present is not None and present.reason == DISK_TOO_FULL else 1

    ranked = [(rank(seen), seen) for seen in workers]
    ranked.sort(key=lambda one: one[0])
    return tuple(seen for place, seen in ranked if place == 0 or image.obtainable)


def on_its_way(worker: Worker, reference: str) -> str:
    """What the worker says of an image that it is being given, "" where it has it."""
    present = worker.status.condition(IMAGES_PRESENT)
    if present is None or present.status or not reference or has_image(worker, reference):
        return ""
    return present.message
