"""When and where jobs that are not there yet would start. Pure: for `cumulusctl plan`.

The same reckoning as the queue's (`queueing`, `forecast`), over a copy: jobs that wait and jobs
that would come are lined up together, each takes the place that is earliest for it, and those
behind respect it. What comes of it is how it would go if nothing else came and every lease lasted
to its end; most end sooner, so jobs start sooner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Final

from ...crd_like_specs.errors import NO_WORKERS
from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.job import WorkerReason
from ...crd_like_specs.units import format_seconds
from .asking import Ask, asked
from .fitting import Ledger, booked
from .fleet import Fleet
from .forecast import Forecast, Start, clamped
from .observed import Booking, WorkerSeen
from .outlook import by
from .placement import Placement, Refusals, find, largest
from .queueing import Order
from .quota import Held, Over, QuotaSeen, over_quota, within_from

REACH: Final = 256
"""So many jobs of the queue are looked at, those that would come among them; further back nobody
can tell."""

TRIES: Final = 8
"""So often room that is found is looked at for the project's limits, and the other way round."""

REASONS: Final = 10
"""Workers whose reasons are told."""


class When(str, Enum):
    """Whether it starts."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"  # nothing that exists could ever take it
    UNKNOWN = "unknown"  # not as things are: workers are away or closed, or it is too far back
    NOTHING = "nothing"  # there is nothing to start


@dataclass(frozen=True, slots=True)
class Coming:
    """A job that waits, or would. planned: its start is to be told; fails: it ends where nothing
    could ever take it; project: whose limits it has to keep to.
    """

    order: Order
    name: str
    ask: Ask
    planned: bool = False
    fails: bool = False
    project: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """at: POSIX seconds of the start, 0.0 where there is none; ends: by when its lease is over, at
    the latest; reason: one sentence; workers: why those cannot, with NEVER and UNKNOWN.
    """

    when: When
    reason: str = ""
    at: float = 0.0
    ends: float = 0.0
    worker: str = ""
    devices: tuple[int, ...] = ()
    workers: tuple[WorkerReason, ...] = ()


def preview(
    coming: Iterable[Coming],
    workers: Sequence[WorkerSeen],
    now: float,
    *,
    best_fit: bool = False,
    quotas: Mapping[str, QuotaSeen] = MappingProxyType({}),
) -> dict[str, Outcome]:
    """Name of each planned job → its start. coming: everybody who waits or would, in any order;
    quotas: of projects that have limits.
    """
    limits = dict(quotas)
    line = sorted(coming, key=lambda one: one.order)
    workers = Fleet(workers)  # of which it is remembered who has room
    forecast = Forecast(best_fit=best_fit)
    kept: dict[str, list[Booking]] = {}
    found: dict[str, Outcome] = {}
    for one in islice(line, REACH):
        seen = limits.get(one.project)
        over = None if seen is None else over_quota(one.ask, seen, now)
        if seen is None or over is None:
            outcome = _start(one, workers, now, kept, forecast, best_fit=best_fit)
        else:
            outcome = _over(one, seen, over, workers, now, kept, forecast)
        if outcome.worker and seen is not None:
            held = Held(outcome.at, outcome.ends, one.ask.milli * one.ask.count)
            limits[one.project] = replace(seen, ahead=(*seen.ahead, held))
        if outcome.worker:
            room = booked(one.ask, one.name, outcome.worker, outcome.devices, outcome.at)
            kept.setdefault(outcome.worker, []).append(room)
        if one.planned:
            found[one.name] = outcome
    for one in islice(line, REACH, None):
        if one.planned:
            text = f"more than {REACH} jobs are ahead of it in the queue"
            found[one.name] = Outcome(When.UNKNOWN, text)
    return found


def without(workers: Iterable[WorkerSeen], jobs: Collection[str]) -> list[WorkerSeen]:
    """The fleet as it is once these jobs have given back what they hold."""
    return [_freed(seen, jobs) if seen.held else seen for seen in workers]


def _freed(seen: WorkerSeen, jobs: Collection[str]) -> WorkerSeen:
    gone = [lease for lease in seen.held if lease.job in jobs]
    if not gone:
        return seen
    left = Ledger(seen.free)
    for lease in gone:
        left.add(lease, 1)
    rest = tuple(lease for lease in seen.held if lease.job not in jobs)
    return replace(seen, free=left.free(), held=rest)


def _start(
    one: Coming,
    workers: Sequence[WorkerSeen],
    now: float,
    kept: Mapping[str, Sequence[Booking]],
    forecast: Forecast,
    *,
    best_fit: bool,
) -> Outcome:
    if not workers:
        return Outcome(When.NEVER if one.fails else When.UNKNOWN, NO_WORKERS)
    placed = find(one.ask, workers, now, kept, best_fit=best_fit)
    if isinstance(placed, Placement):
        name, ends = placed.worker.metadata.name, now + one.ask.duration
        return Outcome(When.NOW, "there is room now", now, ends, name, placed.devices)
    later = forecast.earliest(one.ask, workers, now, kept)
    if later is None:
        return _cannot(one, placed) if one.planned else Outcome(When.UNKNOWN)
    seen, start = later
    at = clamped(start, now)
    ends = at + one.ask.duration
    return Outcome(
        When.LATER, _waits(start, now), at, ends, seen.worker.metadata.name, start.devices
    )


def _over(
    one: Coming,
    seen: QuotaSeen,
    over: Over,
    workers: Sequence[WorkerSeen],
    now: float,
    kept: Mapping[str, Sequence[Booking]],
    forecast: Forecast,
) -> Outcome:
    """The start of a job whose project has all it may have now: where it is within its limits, and
    there is room.
    """
    at = over.until
    for _ in range(TRIES):
        found = None if at is None else forecast.earliest(one.ask, workers, at, kept)
        if at is None or found is None:
            break
        there = clamped(found[1], at) if found[1].at > at else at
        at = within_from(one.ask, seen, now, there)
        if at == there:
            left = format_seconds(max(1, round(at - now)))
            reason = f"{over.why}; may start by {show_clock(at, now)} at the latest (in {left})"
            name = found[0].worker.metadata.name
            return Outcome(When.LATER, reason, at, at + one.ask.duration, name, found[1].devices)
    return Outcome(When.NEVER if over.never and one.fails else When.UNKNOWN, over.why)


def _waits(start: Start, now: float) -> str:
    return f"fits {by(start, now)}"


def _cannot(one: Coming, refused: Refusals) -> Outcome:
    reasons = refused.some(REASONS)
    if not refused.hopeless:
        first = f": {reasons[0].worker} {reasons[0].reason}" if reasons else ""
        return Outcome(When.UNKNOWN, f"no worker takes it as things are{first}", workers=reasons)
    what = largest(one.ask, refused.workers, refused.now)
    text = f"asks for {asked(one.ask)}; the largest that exists: {what}"
    return Outcome(When.NEVER, text, workers=reasons)
