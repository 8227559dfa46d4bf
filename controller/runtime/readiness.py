"""The Ready condition of a worker's record: written down when it turns, for all who watch. Pure."""

from __future__ import annotations

from typing import Final

from ...crd_like_specs.meta import Condition
from ...crd_like_specs.worker import Worker

READY: Final = "Ready"


def with_ready(worker: Worker, *, ready: bool, now: float) -> Worker:
    """The worker with its Ready condition as it is now; the same object where it is so already.

    now: POSIX seconds, kept as the condition's `since` where it turns.
    """
    old = worker.status.condition(READY)
    if old is not None and old.status == ready:
        return worker
    reason = "InContact" if ready else "OutOfContact"
    message = "" if ready else "its agent is silent, or its node is down"
    others = tuple(c for c in worker.status.conditions if c.type != READY)
    turned = Condition(type=READY, status=ready, reason=reason, message=message, since=now)
    status = worker.status.model_copy(update={"conditions": (*others, turned)})
    return worker.model_copy(update={"status": status})
