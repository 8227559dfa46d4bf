"""The decision: what one job needs now. Pure: no I/O, no clock, no randomness, no logger.

`plan(job, seen, now)` walks an ordered table; the first rule that answers decides. Called by
`runtime/reconciler.py` whenever anything about the job may have changed, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.job import Cause, Job, Phase
from . import (
    rules_end,
    rules_extend,
    rules_image,
    rules_kept,
    rules_lost,
    rules_quota,
    rules_run,
    rules_start,
)
from .actions import Plan
from .case import Case
from .observed import Seen
from .timing import PLATFORM_RETRY


@dataclass(frozen=True, slots=True)
class Rule:
    """A name that shows in events, and its condition and answer in one small function."""

    name: str
    decide: Callable[[Case], Plan | None]


LIVE: Final = (
    Rule("admit", rules_start.admit),
    Rule("note-checkpoint", rules_kept.note_checkpoint),
    Rule("note-outputs", rules_kept.note_outputs),
    Rule("note-service", rules_run.note_service),
    Rule("follow-generation", rules_start.follow_generation),
    Rule("supersede", rules_start.supersede),
    Rule("ended", rules_run.ended),
    Rule("vanished", rules_run.vanished),
    Rule("fenced", rules_lost.fenced),
    Rule("lost", rules_lost.lost),
    Rule("lease-lost", rules_lost.lease_lost),
    Rule("stop", rules_run.stop),
    Rule("extend", rules_extend.extend),
    Rule("overdue", rules_run.overdue),
    Rule("follow", rules_run.follow),
    Rule("stop-unstarted", rules_start.stop_unstarted),
    Rule("clean-first", rules_start.clean_first),
    Rule("back-off", rules_start.back_off),
    Rule("code-missing", rules_start.code_missing),
    Rule("await-lease", rules_start.await_lease),
    Rule("image-missing", rules_image.image_missing),
    Rule("over-quota", rules_quota.wait_for_quota),
    Rule("find-place", rules_start.find_place),
)
"""For attempts that are not over. Order matters: an end that was seen beats every wish."""

OVER: Final = (
    Rule("supersede", rules_start.supersede),
    Rule("follow-generation", rules_start.follow_generation),
    Rule("note-checkpoint", rules_kept.note_checkpoint),
    Rule("note-outputs", rules_kept.note_outputs),
    Rule("clean-up", rules_end.clean_up),
    Rule("collect", rules_end.collect),
)
"""For jobs whose last attempt is over."""


def plan(job: Job, seen: Seen, now: float) -> Plan:
    """What `job` needs, given the world as `seen` at `now` (POSIX seconds).

    Deterministic and total: every situation gets a plan, and carrying it out twice does no harm.
    """
    case = Case(job, seen, now)
    if not seen.observed:
        return Plan("platform-unseen", (), None, now + PLATFORM_RETRY)
    for rule in OVER if job.status.phase.terminal else LIVE:
        decision = rule.decide(case)
        if decision is not None:
            return decision
    raise AssertionError(f"no rule for {job.metadata.name} in {job.status.phase}")


def plan_failure(job: Job, seen: Seen, error: Permanent, now: float) -> Plan:
    """What becomes of a job whose action failed for good: the attempt ends with that reason."""
    cause = None if error.reason == "Unsupported" else Cause.REJECTED
    return Case(job, seen, now).end(
        "permanent-failure", Phase.FAILED, cause=cause, reason=error.reason, message=error.message
    )
