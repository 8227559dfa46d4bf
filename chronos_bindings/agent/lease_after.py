"""What a lease's record is after a step: the other half of the plan. Pure.

Called by `lease_task` with what the step gave. now: monotonic seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ...api.frames import LeaseWanted
from ...crd_like_specs.errors import DriverError, Permanent
from ...crd_like_specs.lease import RESTARTED, LeaseState
from .lease_plan import FAILED, LOOK_AFTER_KILL, LOOK_EVERY
from .lease_record import Record, Step, Verb

PATIENCE: Final = 120.0
"""Seconds for which a step that fails now and then is repeated before the lease fails."""

_FIRST_RETRY: Final = 0.1
_RETRY_CEILING: Final = 5.0
_UNTIL_DONE: Final = frozenset(
    {Verb.RENEW, Verb.RELEASE, Verb.SAVE, Verb.DROP}
)  # giving up would leak
_FOR_STARTING: Final = frozenset({Verb.STAGE, Verb.PREPARE, Verb.HOLD})


def wanted(record: Record, lease: LeaseWanted, mono: float, wall: float) -> Record:
    """The controller lists it. A lease that had been held (by an agent before this one) has an
    end, which counts from here on even before its shares are taken again.
    """
    spec = lease.spec
    longer = spec.duration - record.duration
    if record.deadline is not None and record.duration and longer > 0 and not record.ending:
        record = _extended(record, longer)
    record = replace(
        record,
        duration=float(spec.duration),
        is_code=bool(lease.code_digest),
        stop_after=float(spec.stop_after_disconnect),
    )
    if record.deadline is None and spec.not_after > 0:
        # Nobody here knows better than the wall clock; but never is it later than held just now.
        left = min(spec.not_after - wall, float(spec.duration))
        record = replace(
            record,
            deadline=mono + left,
            expires_at=spec.not_after,
            held_at=spec.not_after - spec.duration,
        )
    return record


def _extended(record: Record, seconds: float) -> Record:
    """It ends so much later: it is warned again before that, and its shares are to be taken for
    longer too.
    """
    assert record.deadline is not None, "it is held"
    return replace(
        record,
        deadline=record.deadline + seconds,
        expires_at=record.expires_at + seconds,
        warned=False,
        renew=bool(record.partitions),
    )


def renewed(record: Record, partitions: tuple[str, ...], epoch: int) -> Record:
    """The shares are taken for the time that is left now; () while they are not."""
    done = bool(partitions)
    return replace(succeeded(record), partitions=partitions, epoch=epoch, renew=not done)


def began(record: Record, step: Step) -> Record:
    """A step that brings the lease up is under way."""
    if step.verb in _FOR_STARTING and record.state is LeaseState.PENDING:
        return replace(record, state=LeaseState.PREPARING)
    return record


def succeeded(record: Record) -> Record:
    """The step at hand worked: its failures are forgotten, but not why the lease failed."""
    message = record.message if record.state is LeaseState.FAILED else ""
    return replace(record, failures=0, failing_since=0.0, retry_at=0.0, message=message)


def held(
    record: Record, partitions: tuple[str, ...], epoch: int, mono: float, wall: float
) -> Record:
    """The shares are taken; the first time sets the end."""
    record = replace(record, state=LeaseState.HELD, partitions=partitions, epoch=epoch, renew=False)
    if record.deadline is None:
        record = replace(
            record,
            held_at=wall,
            expires_at=wall + record.duration,
            deadline=mono + record.duration,
        )
    return record


def ended(record: Record, step: Step, now: float) -> Record:
    """END: from now on it goes one way only."""
    state = LeaseState.FAILED if record.state is LeaseState.FAILED else LeaseState.ENDING
    return replace(
        succeeded(record),
        state=state,
        ending=step.reason,
        ending_at=now,
        grace=step.grace,
        notice=step.notice,
        warned=record.warned and not step.notice,  # of its lease's own end, which is another matter
        verify_at=now,
        reason=record.reason or step.reason,
        message=record.message if state is LeaseState.FAILED else step.message,
    )


def failed(record: Record, error: DriverError, now: float) -> Record:
    """It cannot be held; what runs under it is killed."""
    return replace(
        succeeded(record),
        state=LeaseState.FAILED,
        ending=FAILED,
        ending_at=now,
        grace=0.0,
        verify_at=now,
        reason=error.reason,
        message=error.message,
    )


def termed(record: Record, now: float) -> Record:
    """TERM was sent."""
    return replace(record, termed=True, verify_at=now + LOOK_EVERY)


def killed(record: Record, now: float) -> Record:
    """KILL was sent."""
    return replace(record, killed_at=now, verify_at=now)


def looked(record: Record, now: float, *, gone: bool) -> Record:
    """VERIFY gave this; a lease that holds nothing is over with it."""
    pause = LOOK_EVERY if record.killed_at is None else LOOK_AFTER_KILL
    record = replace(record, gone=gone, seen_running=not gone, verify_at=now + pause)
    if gone and record.gone_at is None:
        over = record.expires_at - record.deadline if record.deadline is not None else 0.0
        ended_at = record.ended_at or (over + now if over else 0.0)
        record = replace(record, gone_at=now, ended_at=ended_at)
    return released(record) if gone and not record.partitions else record


def weighed(record: Record, weight: int | None, now: float) -> Record:
    """WEIGH gave this many bytes; None: nobody can tell, which must hold up nothing."""
    return replace(record, weight=weight or 0, verify_at=now + LOOK_EVERY)


def former(record: Record, now: float) -> Record:
    """It was of the machine's life before this one: nothing of it runs, which is yet verified."""
    return replace(
        record,
        state=LeaseState.ENDING,
        ending=RESTARTED,
        ending_at=now,
        verify_at=now,
        reason=RESTARTED,
        message="its machine was started anew",
    )


def released(record: Record) -> Record:
    """Nothing runs and nothing is held: it is over once what it left is safe."""
    record = replace(succeeded(record) if record.failures else record, partitions=())
    return _over(record) if record.saved else record


def saving(record: Record) -> Record:
    """SAVE found something, and is at it."""
    failed_before = record.state is LeaseState.FAILED
    state = record.state if failed_before else LeaseState.SAVING
    return replace(record, saving=True, state=state)


def saved(record: Record, now: float = 0.0, message: str = "") -> Record:
    """What it left is safe, or was given up: `message` says why. now: 0.0 where it left nothing."""
    message = record.message or message
    return _over(replace(record, saving=False, saved=True, saved_at=now, message=message))


def _over(record: Record) -> Record:
    """Nothing of it is left to do; one that had failed before stays so."""
    return record if record.state is LeaseState.FAILED else replace(record, state=LeaseState.ENDED)


def missed(record: Record, step: Step, error: DriverError, now: float) -> Record:
    """The step failed: try again later, or give the lease up.

    What ends a lease is never given up: VERIFY, TERM and KILL are due again at their own times.
    """
    since = record.failing_since or now
    if step.verb in _FOR_STARTING and (isinstance(error, Permanent) or now - since >= PATIENCE):
        return failed(record, error, now)
    pause = min(_FIRST_RETRY * 2.0 ** min(record.failures, 10), _RETRY_CEILING)
    if step.verb in _FOR_STARTING | _UNTIL_DONE:
        return replace(
            record,
            failures=record.failures + 1,
            failing_since=since,
            retry_at=now + pause,
            message=error.message,
        )
    if step.verb is Verb.WARN:
        return replace(record, warned=True)
    if step.verb is Verb.WEIGH:
        return weighed(record, None, now)
    if step.verb is Verb.TERM:
        return termed(record, now)
    if step.verb is Verb.KILL:
        return killed(record, now)
    return looked(record, now, gone=False)
