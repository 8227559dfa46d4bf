"""Why a job waits, when it starts at the latest, and what would let it start now. Pure.

For people: `cumulusctl why`. Asks `placement`, `queueing` and `fixes`, and puts it into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...crd_like_specs.errors import NO_WORKERS
from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.job import JobSpec, WorkerReason
from ...crd_like_specs.units import format_seconds
from .asking import Ask, ask_of, asked
from .fixes import Fix, fix_for
from .forecast import Start, clamped, start_on
from .observed import Claims, WorkerSeen
from .placement import Placement, find
from .queueing import Claim
from .quota import Over


@dataclass(frozen=True, slots=True)
class Outlook:
    """summary: one sentence or a few; workers: each with its reason and fix."""

    summary: str
    workers: tuple[WorkerReason, ...] = ()


def explain(
    spec: JobSpec,
    workers: Sequence[WorkerSeen],
    now: float,
    claims: Claims,
    *,
    claim: Claim | None,
    ahead: int,
    best_fit: bool = False,
) -> Outlook:
    """claims: room kept for jobs ahead; claim: for this job itself, None where it is too far back
    in the queue; ahead: how many wait before it.
    """
    if not workers:
        return Outlook(NO_WORKERS)
    ask = ask_of(spec)
    found = find(ask, workers, now, claims, best_fit=best_fit)
    if isinstance(found, Placement):
        return Outlook(f"starts now on worker {found.worker.metadata.name}")
    told, fixes = [], []
    for seen, why in zip(workers, found.reasons, strict=True):
        there = claims.get(why.worker, ())
        fix = fix_for(ask, seen, now, there)
        start = start_on(ask, seen, now, there, best_fit=best_fit)
        later = f"; fits {by(start, now)}" if start else ""
        told.append(why.model_copy(update={"reason": why.reason + later, "fix": fix.text}))
        fixes.append((why.worker, fix))
    fits = sum(why.ever for why in told)
    parts = [
        f"asks for {asked(ask)}",
        f"none of {len(told)} worker(s) has room now, {fits} could take it when idle",
        _when(claim, ahead, now),
        _best(ask, fixes),
    ]
    return Outlook("; ".join(part for part in parts if part), tuple(told))


def explain_over(
    spec: JobSpec, over: Over, workers: Sequence[WorkerSeen], now: float, *, best_fit: bool = False
) -> Outlook:
    """Of a job whose project has all it may have: which limit it is, and until when at the latest."""
    parts = [over.why, "nobody else waits because of it"]
    if over.until is not None:
        left = format_seconds(max(1, round(over.until - now)))
        until = show_clock(over.until, now)
        parts.append(f"within its limits again by {until} at the latest (in {left})")
    elif over.never:
        parts.append("no day is long enough for it: ask for less, or an admin for a larger quota")
    if isinstance(find(ask_of(spec), workers, now, best_fit=best_fit), Placement):
        parts.append("there would be room now")
    return Outlook("; ".join(parts))


def _when(claim: Claim | None, ahead: int, now: float) -> str:
    """What is promised: room is kept for the first of the queue only."""
    place = f"{ahead} job(s) wait ahead of it" if ahead else "it is the first in the queue"
    if claim is None:
        return f"{place}, and no room is kept for it yet" if ahead else ""
    start = Start(claim.room.start, claim.room.devices, claim.after)
    return f"{place}; waits for worker {claim.room.worker}: fits there {by(start, now)}"


def by(start: Start, now: float) -> str:
    """`by 14:05 UTC at the latest (in 12m), when the lease of X ends`."""
    at = clamped(start, now)
    left = format_seconds(max(1, round(at - now)))
    after = f", when the lease of {start.after} ends" if start.after else ""
    return f"by {show_clock(at, now)} at the latest (in {left}){after}"


def _best(ask: Ask, fixes: Sequence[tuple[str, Fix]]) -> str:
    """The change that keeps most of what was asked, of all workers; the first of equals."""
    helpful = [(worker, fix) for worker, fix in fixes if fix.ask is not None]
    if not helpful:
        return ""
    worker, fix = max(helpful, key=lambda pair: pair[1].kept)
    if fix.ask == ask:
        return f"would start now after: {fix.text}"
    return f"would start now on {worker} with {fix.text}"
