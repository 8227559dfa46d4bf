"""What the plan is told of the image that a job names. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...crd_like_specs.images import IMAGE_MISSING, IMAGES_PRESENT, NETWORK_ISOLATED, familiar
from ...crd_like_specs.worker import Worker


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """name: what the job, or the runtime of its code, calls it, "" for the job image. reference: what a service is to use, the id where the controller's engine holds the image,
    else what the job says. obtainable: it can be brought to any worker, by the controller or by a
    registry. looked_at: when the engine was last asked, POSIX seconds.
    """

    reference: str = ""
    obtainable: bool = True
    looked_at: float = math.inf
    name: str = ""


def has_image(worker: Worker, reference: str) -> bool:
    """Whether the worker says that it has the image of this name or id."""
    return familiar(reference) in worker.status.images


def isolation_untried(worker: Worker) -> bool:
    """True while the worker cannot try whether it isolates jobs, for want of the job image."""
    said = worker.status.condition(NETWORK_ISOLATED)
    return said is not None and not said.status and said.reason == IMAGE_MISSING


def awaited(worker: Worker, image: str) -> str:
    """Why jobs in this image, which its worker is being given, have to wait there, or "".

    A worker that says nothing of images that it should have is none that could be given any.
    """
    present = worker.status.condition(IMAGES_PRESENT)
    if present is None or not image or has_image(worker, image):
        return ""
    detail = f": {present.message}" if present.message and not present.status else ""
    return f"does not have the job image yet{detail}"
