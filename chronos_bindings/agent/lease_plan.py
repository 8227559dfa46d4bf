"""What to do next for one lease: an ordered table, the first rule that answers decides. Pure.

Called by `lease_task` after every step, at every timer and at all news. The timeline of a lease:

    wanted ── stage ── prepare ── hold ──────── warn ──── end,term ─── kill ── verify ── weigh, release ── save
                                   │             │           │           │
                                held_at   expires - notice  expires   + 1 s (or spec.grace)

Where the controller ends it with notice, `end,warn` come so long before `term`. What the unit left
is saved once its share is given back: that delays no other job.

The end needs no controller: a deadline, once known, is kept whoever can be heard. What begins
something new does need one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...crd_like_specs.lease import DISCONNECTED, EXPIRED, LeaseState
from .lease_record import Record, Step, Verb, View, Wait

NOT_WANTED: Final = "NotWanted"
FAILED: Final = "Failed"

EXPIRY_GRACE: Final = 1.0
"""Seconds from SIGTERM to SIGKILL when the lease's own time is over."""

NOTICE_CEILING: Final = 30.0
NOTICE_SHARE: Final = 0.1

SETTLED: Final = 2.0
"""A unit so young may not have installed its handler yet: the warning signal would kill it."""

FREE_PATIENCE: Final = 10.0
"""Seconds after a unit is gone for which its devices' memory is waited for: a driver cleans up
behind a killed process. Then the share is given back all the same, and the worker says so."""

LOOK_EVERY: Final = 0.25
LOOK_AFTER_KILL: Final = 0.05
KILL_EVERY: Final = 1.0

Answer = Step | Wait | None
Rule = Callable[[Record, View], Answer]


def next_step(record: Record, view: View) -> Step | Wait:
    """The step to take now, or how long to wait."""
    answer = next(found for rule in RULES if (found := rule(record, view)) is not None)
    if isinstance(answer, Step) or record.ending:
        return answer
    timers = (answer.until, limit(record, view), _warn_at(record, view))
    return Wait(answer.rule, min((t for t in timers if t is not None), default=None))


def notice(duration: float) -> float:
    """Seconds of warning before the end of a lease of this length."""
    return min(NOTICE_CEILING, NOTICE_SHARE * duration)


def limit(record: Record, view: View) -> float | None:
    """When the lease is over without anybody's word: by its time, or for want of contact."""
    if record.deadline is None or not record.stop_after:
        return record.deadline
    return min(record.deadline, view.contact_at + record.stop_after)


def begins(record: Record, view: View) -> Step | None:
    """Why the lease must be ended from now on, if it must; also asked while a step is under way."""
    spec = view.wanted.spec if view.wanted else None
    if view.informed and spec is None and not (record.ending and record.grace <= 0):
        return Step(Verb.END, "unwanted", NOT_WANTED)
    if record.ending:
        return _hurried(record, view)
    if record.deadline is not None and view.mono >= record.deadline:
        return Step(Verb.END, "expired", EXPIRED, EXPIRY_GRACE)
    over = limit(record, view)
    if over is not None and view.mono >= over:
        return Step(Verb.END, "disconnected", DISCONNECTED, EXPIRY_GRACE)
    if spec is not None and spec.revoked:
        return Step(Verb.END, "revoked", spec.revoked, spec.grace, spec.notice)
    if view.excess and view.running:
        why = view.excess
        return Step(Verb.END, "too-large", why.reason, EXPIRY_GRACE, message=why.message)
    return None


def _hurried(record: Record, view: View) -> Step | None:
    """It was paused, and is given less time now: it was cancelled. The end begins anew, with that."""
    spec, over = view.wanted.spec if view.wanted else None, limit(record, view)
    if spec is None or not spec.revoked or record.gone or (over is not None and view.mono >= over):
        return None
    given, had = spec.notice + spec.grace, record.notice + record.grace
    if given >= had or view.mono + given >= record.ending_at + had:
        return None
    return Step(Verb.END, "hurried", record.ending, spec.grace, spec.notice)


def _over(record: Record, view: View) -> Answer:
    """After the end: what starts late is looked at, and so killed; what it left is saved; once
    unwanted it is forgotten.
    """
    if not record.over:
        return None
    if view.running:
        late = view.mono >= record.verify_at
        return Step(Verb.VERIFY, "stray") if late else Wait("stray", record.verify_at)
    if not record.saved:
        if record.saving:
            return Wait("saving")
        return _unless_failing(record, view, Step(Verb.SAVE, "save"))
    if view.informed and view.wanted is None:
        if record.saved_at and view.contact_at <= record.saved_at:
            return Wait("telling")  # what was kept is on record before the lease is forgotten
        return _unless_failing(record, view, Step(Verb.DROP, "drop"))
    return Wait("over")


def _release(record: Record, view: View) -> Answer:
    if not record.ending or not record.gone:
        return None
    if record.weight != 0 and view.mono < (record.gone_at or 0.0) + FREE_PATIENCE:
        due = record.weight is None or view.mono >= record.verify_at
        return Step(Verb.WEIGH, "weigh") if due else Wait("device-busy", record.verify_at)
    return _unless_failing(record, view, Step(Verb.RELEASE, "release"))


def _begin(record: Record, view: View) -> Answer:
    return begins(record, view)


def _last_words(record: Record, view: View) -> Answer:
    """Ended before its time: tell the job why, while it can still hear."""
    if not record.ending or record.warned or record.grace <= 0 or not view.running:
        return None
    return Step(Verb.WARN, "last-words") if record.ending != EXPIRED else None


def _term(record: Record, view: View) -> Answer:
    running = view.running or record.seen_running
    if not record.ending or record.termed or record.grace <= 0 or not running:
        return None
    return Step(Verb.TERM, "term") if view.mono >= _term_at(record, view) else None


def _stop(record: Record, view: View) -> Answer:
    """Between SIGTERM and the proof that nothing runs."""
    if not record.ending:
        return None
    running = view.running or record.seen_running
    term_at = _term_at(record, view)
    kill_at = term_at + record.grace
    over = limit(record, view)
    if over is not None:  # no grace, whoever gave it, goes beyond what the end itself allows
        kill_at = min(kill_at, max(over, record.ending_at) + EXPIRY_GRACE)
    if record.killed_at is not None:
        kill_at = max(kill_at, record.killed_at + KILL_EVERY)
    if running and view.mono >= kill_at:
        return Step(Verb.KILL, "kill")
    if view.mono >= record.verify_at:
        return Step(Verb.VERIFY, "verify")
    if not running:
        return Wait("stopping", record.verify_at)
    next_at = kill_at if record.termed else min(term_at, kill_at)
    return Wait("stopping", min(record.verify_at, next_at))


def _warn(record: Record, view: View) -> Answer:
    warn_at = _warn_at(record, view)
    if warn_at is None or view.mono < warn_at:
        return None
    return Step(Verb.WARN, "warn")


def _renew(record: Record, view: View) -> Answer:
    if not record.renew or record.state is not LeaseState.HELD:
        return None
    if record.partitions and record.epoch != view.epoch:
        return None  # they were lost: `hold-again` takes them for the time that is left
    return _unless_failing(record, view, Step(Verb.RENEW, "renew"))


def _held(record: Record, view: View) -> Answer:
    if record.state is not LeaseState.HELD or _lost(record, view):
        return None
    return Wait("held")


def _out_of_contact(record: Record, view: View) -> Answer:
    """Nothing new begins unheard. A lease that had been held has a deadline, and goes on."""
    if view.wanted is not None and (view.contact or record.deadline is not None):
        return None
    return Wait("out-of-contact")


def _build(record: Record, view: View) -> Answer:
    if not record.staged:
        verb, rule = Verb.STAGE, "stage"
    elif not record.env_ready:
        verb, rule = Verb.PREPARE, "prepare"
    else:
        verb, rule = Verb.HOLD, "hold-again" if record.state is LeaseState.HELD else "hold"
    return _unless_failing(record, view, Step(verb, rule))


RULES: Final[tuple[Rule, ...]] = (
    _over,
    _release,
    _begin,
    _last_words,
    _term,
    _stop,
    _warn,
    _renew,
    _held,
    _out_of_contact,
    _build,
)


def _term_at(record: Record, view: View) -> float:
    """When SIGTERM is due: after the notice, but never beyond the lease's own end."""
    over = limit(record, view)
    at = record.ending_at + record.notice
    return at if over is None else min(at, max(over, record.ending_at))


def _lost(record: Record, view: View) -> bool:
    """The partitioner lost all it held since the shares were taken."""
    return bool(record.partitions) and record.epoch != view.epoch


def _warn_at(record: Record, view: View) -> float | None:
    """When the job is to be warned; None where it was, cannot be, or there is no time for it."""
    if record.warned or record.deadline is None or not view.running:
        return None
    at = max(record.deadline - notice(record.duration), view.running_since + SETTLED)
    return at if at < record.deadline else None


def _unless_failing(record: Record, view: View, step: Step) -> Step | Wait:
    """The step, or a wait until it may be tried again."""
    if view.mono >= record.retry_at:
        return step
    return Wait(f"{step.rule}-failing", record.retry_at)
