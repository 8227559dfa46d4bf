"""The Ready condition of a worker's record: written down when it turns, for all who watch. Pure."""

from __future__ import annotations

from typing import Final

from ...crd_like_specs.meta import Condition
from ...crd_like_specs.worker import Worker
from ..reconcile.observed import Unready

READY: Final = "Ready"

_IN_CONTACT: Final = "InContact"
_WORDS: Final = {
    Unready.FENCED: "an operator vouches that nothing runs there; it takes no jobs until unfenced",
    Unready.OUT_OF_CONTACT: "its agent is silent",
    Unready.NODE_DOWN: "its agent speaks, but the platform does not reach its node",
    Unready.NOT_CLEAN: "its agent is removing what nobody wants there any more",
}


def with_ready(worker: Worker, unready: Unready | None, now: float) -> Worker:
    """The worker with its Ready condition as it is now; the same object where it is so already.

    unready: None where it takes jobs. now: POSIX seconds, kept as the condition's `since` where it
    turns.
    """
    old = worker.status.condition(READY)
    ready, reason = unready is None, _IN_CONTACT if unready is None else unready.value
    if old is not None and (old.status, old.reason) == (ready, reason):
        return worker
    since = old.since if old is not None and old.status == ready else now
    message = "" if unready is None else _WORDS[unready]
    others = tuple(c for c in worker.status.conditions if c.type != READY)
    turned = Condition(type=READY, status=ready, reason=reason, message=message, since=since)
    status = worker.status.model_copy(update={"conditions": (*others, turned)})
    return worker.model_copy(update={"status": status})
