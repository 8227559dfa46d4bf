"""One pass for one key: observe, plan, act, write the status down. Called by `loop.py`.

The order makes every crash harmless: actions come before the status that tells of them, and each
can be repeated; a status that would overwrite someone else's change is thrown away with its plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.job import Cause, Job, JobStatus, Phase
from ..reconcile.actions import CreateService, Plan, PutLease
from ..reconcile.cleanup import plan_orphan
from ..reconcile.plan import plan, plan_failure
from .clock import Clock
from .executor import Executor
from .records import Records
from .world import World

ORPHAN: Final = "uid:"
"""Prefix of keys that name what belongs to no job; job names cannot hold a colon."""

KEPT: Final = "kept"
"""Rule of a finished job that only waits for the end of its time to live."""

Transition = Callable[[Job, Job, str], None]


SAME_PLACE: Final = frozenset({"admit", "wait-for-room", "back-off", "over-quota"})
"""Rules after which a job that waits has not left its place in the queue."""


class Reconciler:
    """on_transition(old, new, rule): told of every status written, after it is durable.

    moved_up(): a job left the queue, so that those behind it may have a chance now.
    """

    def __init__(
        self,
        records: Records,
        world: World,
        executor: Executor,
        clock: Clock,
        on_transition: Transition = lambda *_: None,
        moved_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._records = records
        self._world = world
        self._executor = executor
        self._clock = clock
        self._on_transition = on_transition
        self._moved_up = moved_up

    async def reconcile(self, key: str) -> float | None:
        """When to look at the key again (POSIX seconds), None where only news matters.

        Temporary and ConflictError reach the caller, who tries again.
        """
        if key.startswith(ORPHAN):
            return await self._orphan(key.removeprefix(ORPHAN))
        job = self._records.job(key)
        if job is None:
            return None
        done = await self._decide(key)
        if done is None:
            return None
        job, decision = done
        if decision.status is not None:
            await self._write(job, decision.status, decision.rule)
            if job.status.phase is Phase.PENDING and decision.rule not in SAME_PLACE:
                self._moved_up()
        if decision.rule == KEPT:
            return None  # there may be very many: `upkeep.py` knows when each may go
        # What was done is seen at once: the next step need not wait for news of it.
        return self._clock.now() if decision.actions else decision.wake_at

    def who(self, key: str) -> dict[str, object]:
        """Fields by which log lines about this key are found."""
        if key.startswith(ORPHAN):
            return {"job_id": key.removeprefix(ORPHAN)}
        job = self._records.job(key)
        return {"job": key} if job is None else _who(job)

    async def _decide(self, key: str) -> tuple[Job, Plan] | None:
        """Plan and act; the job as it was planned for, None where it is gone."""
        job = self._records.job(key)
        if job is None:
            return None
        now = self._clock.now()
        decision = plan(job, self._world.seen(job, now), now)
        # Two jobs may not be given the same room: what is planned counts before it is durable.
        placed = [action.lease for action in decision.actions if isinstance(action, PutLease)]
        for lease in placed:
            self._world.reserve(lease)
        try:
            for action in decision.actions:
                logger.bind(**_who(job), rule=decision.rule).info(type(action).__name__)
                await self._executor.do(action)
        except Permanent as error:
            # Only a start that cannot be is the job's end; whatever else fails is tried again.
            if not isinstance(action, CreateService):
                raise
            decision = plan_failure(job, self._world.seen(job, now), error, now)
            logger.bind(**_who(job)).warning("{}: {}", error.reason, error.message)
        finally:
            for lease in placed:
                self._world.unreserve(lease)  # where its record was not written
        return job, decision

    async def _orphan(self, uid: str) -> float | None:
        if self._records.name_of(uid) is not None:
            return None
        now = self._clock.now()
        decision = plan_orphan(self._world.seen_orphan(uid, now), now)
        for action in decision.actions:
            logger.bind(job_id=uid).info("orphan: {}", type(action).__name__)
            await self._executor.do(action)
        return now if decision.actions else decision.wake_at

    async def _write(self, job: Job, status: JobStatus, rule: str) -> None:
        new = await self._records.put_status(job, status)
        _log_transition(job, new, rule)
        self._on_transition(job, new, rule)


def _log_transition(old: Job, new: Job, rule: str) -> None:
    """A line for each change of phase, and for each other reason why it stays in one."""
    was, now = old.status, new.status
    # What a job's own exception says is the user's, and may hold anything.
    ended = now.attempts[-1:] if now.attempts != was.attempts else ()
    detail = "" if any(attempt.cause is Cause.ERROR for attempt in ended) else now.message
    log = logger.bind(**_who(new), rule=rule, reason=now.reason, detail=detail)
    if now.phase is not was.phase:
        log.info("{} -> {}", was.phase.value, now.phase.value)
    elif now.reason and now.reason != was.reason:
        log.info("stays {}: {}", now.phase.value, now.reason)


def _who(job: Job) -> dict[str, object]:
    """Fields by which log lines are found."""
    return {
        "job_id": job.metadata.uid,
        "job": job.metadata.name,
        "attempt": job.status.attempt,
        "worker": job.status.worker,
    }
