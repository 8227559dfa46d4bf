"""Whether a lease may last longer: what has been promised to others comes first. Pure.

Asked by the API before it notes the wish; `rules_extend.py` carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.units import format_seconds
from .fitting import Profile
from .observed import Booking, Free, WorkerSeen
from .timing import RENTAL_END


def refusal(
    mine: Booking, seen: WorkerSeen, claims: Sequence[Booking], longer: int, now: float
) -> str:
    """Why the lease cannot last so many seconds longer, with how long it can, in a sentence; "" where it
    can. mine: the lease, among those held on the worker; claims: room kept there for others.
    """
    worker, end = seen.worker, mine.end + longer
    name, until = worker.metadata.name, worker.spec.available_until
    if worker.spec.drain:
        return f"worker {name} is being drained: the job is moved away from there"
    if until is not None and end + RENTAL_END > until:
        left = until - RENTAL_END - mine.end
        return (
            f"worker {name} is rented until {show_clock(until, now, early=True)}: {_at_most(left)}"
        )
    return _kept_for_others(mine, seen, claims, end, now)


def _kept_for_others(
    mine: Booking, seen: WorkerSeen, claims: Sequence[Booking], end: float, now: float
) -> str:
    """Whether it would still be there when somebody else is to have its room."""
    held = tuple(replace(one, end=end) if one.job == mine.job else one for one in seen.held)
    profile = Profile(replace(seen, held=held), claims, now)
    for index, moment in enumerate(profile.times):
        if moment >= end or not _overdrawn(profile.at(index)):
            continue
        there = [one for one in claims if one.start <= moment < one.end]
        first = min(there, key=lambda one: one.start, default=None)
        whom = f"job {first.job}" if first is not None else "another job"
        left = moment - max(mine.end, now)
        starts = show_clock(moment, now)
        return (
            f"its room on worker {seen.worker.metadata.name} is kept for {whom} "
            f"from {starts} on: {_at_most(left)}"
        )
    return ""


def _overdrawn(free: Free) -> bool:
    return (
        min(free.milli.values(), default=0) < 0
        or free.cpus < 0
        or free.memory < 0
        or (free.pids is not None and free.pids < 0)
    )


def _at_most(left: float) -> str:
    whole = int(left)
    if whole <= 0:
        return "it cannot be extended"
    whole -= whole % 60 if whole > 600 else 0
    return f"it can be extended by {format_seconds(whole)} at most"
