"""Leases on a time axis: a lane for each device, a bar for each lease, as tall as its share. Pure.

Where several leases share a device at the same time their bars lie above each other, each at the
lowest place that is free for its whole time, so that what is left of a device is seen as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ....crd_like_specs.job import Phase
from ....crd_like_specs.lease import Lease, LeaseState
from ....crd_like_specs.units import format_fraction
from ...overview import Board, PastLease, PlannedLease, WorkerNow
from .words import tone

WHOLE: Final = 1000
BARS: Final = 4_000
"""On the page, over all lanes; of what was, each lane shows the newest of it."""

LEAST_BARS: Final = 20
STEADY: Final = 10.0
"""Seconds to which plans are rounded up."""

CPU: Final = -1
"""Stands for the lane of a worker's jobs that take no device."""

_STATES: Final = {
    LeaseState.PENDING: ("start", "is being prepared"),
    LeaseState.PREPARING: ("start", "is being prepared"),
    LeaseState.HELD: ("run", "held"),
    LeaseState.ENDING: ("late", "is being ended"),
    LeaseState.ENDED: ("off", "ended"),
    LeaseState.FAILED: ("bad", "could not be held"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One lease on one device. kind: past, now or planned; start, end: POSIX seconds; bottom,
    height: thousandths of the lane.
    """

    job: str
    kind: str
    tone: str
    words: str
    start: float
    end: float
    bottom: int
    height: int


@dataclass(frozen=True, slots=True)
class Lane:
    """One device, or the jobs of a worker that take none. used: thousandths set aside now, of all
    viewers' jobs; until: the end of the rental, 0.0 for none.
    """

    id: str
    sort: str
    worker: str
    device: int
    title: str
    ready: bool
    used: int
    until: float
    bars: tuple[Bar, ...] = ()


@dataclass(slots=True)
class _Item:
    """A bar that has no place in its lane yet."""

    job: str
    attempt: int
    kind: str
    tone: str
    words: str
    start: float
    end: float
    milli: int


def lanes(board: Board) -> tuple[Lane, ...]:
    """Every device of every worker, by worker and index, and what was, is and will be on it."""
    found: dict[tuple[str, int], list[_Item]] = {}
    for lease in board.leases:
        _put(found, lease.spec.worker, lease.spec.devices, _of_lease(lease, board.now))
    for plan in board.planned:
        _put(found, plan.worker, plan.devices, _of_plan(plan))
    devices = sum(len(one.worker.status.devices) or 1 for one in board.workers)
    room = max(LEAST_BARS, BARS // max(1, devices))
    for past in board.past:  # the newest first
        for index in past.devices or (CPU,):
            there = found.setdefault((past.worker, index), [])
            if len(there) < room:
                there.append(_of_past(past))
    return tuple(lane for one in board.workers for lane in _of_worker(one, found))


def _of_worker(one: WorkerNow, found: dict[tuple[str, int], list[_Item]]) -> Iterable[Lane]:
    worker = one.worker
    name, devices = worker.metadata.name, worker.status.devices
    ready = worker.status.condition("Ready")
    until = worker.spec.available_until or 0.0
    for device in devices:
        yield Lane(
            id=f"lane-{name}-{device.index}",
            sort=f"{name} {device.index:04d}",
            worker=name,
            device=device.index,
            title=device.name,
            ready=ready is None or ready.status,
            used=WHOLE - one.free.get(device.index, WHOLE),
            until=until,
            bars=stacked(found.get((name, device.index), ())),
        )
    without = found.get((name, CPU), ())
    if without or not devices:
        yield Lane(
            id=f"lane-{name}-cpu",
            sort=f"{name} 9999",
            worker=name,
            device=CPU,
            title="jobs without GPU",
            ready=ready is None or ready.status,
            used=0,
            until=until,
            bars=in_rows(without),
        )


def stacked(items: Sequence[_Item]) -> tuple[Bar, ...]:
    """Each at the lowest place that is free as long as it lasts, as tall as its share."""
    placed: list[Bar] = []
    for item in sorted(items, key=lambda item: (item.start, -item.milli, item.job)):
        beside = [bar for bar in placed if bar.start < item.end and item.start < bar.end]
        bottom = next(
            (
                at
                for at in sorted({0, *(bar.bottom + bar.height for bar in beside)})
                if at + item.milli <= WHOLE
                and not any(
                    at < bar.bottom + bar.height and bar.bottom < at + item.milli for bar in beside
                )
            ),
            WHOLE - item.milli,  # more than there is: what is late overlaps what is next
        )
        placed.append(_bar(item, bottom, item.milli))
    return tuple(placed)


def in_rows(items: Sequence[_Item]) -> tuple[Bar, ...]:
    """For jobs that take no device: as many rows as there are at once, all of one height."""
    ends: list[float] = []
    rows: list[tuple[_Item, int]] = []
    for item in sorted(items, key=lambda item: (item.start, item.job)):
        row = next((n for n, end in enumerate(ends) if end <= item.start), len(ends))
        ends[row : row + 1] = [item.end]
        rows.append((item, row))
    height = WHOLE // max(1, len(ends))
    return tuple(_bar(item, row * height, height) for item, row in rows)


def _put(
    found: dict[tuple[str, int], list[_Item]], worker: str, devices: Sequence[int], item: _Item
) -> None:
    for index in devices or (CPU,):
        found.setdefault((worker, index), []).append(item)


def _of_lease(lease: Lease, now: float) -> _Item:
    spec, status = lease.spec, lease.status
    colour, words = _STATES[status.state]
    start = status.held_at or spec.not_before or now
    end = status.ended_at or status.expires_at or start + spec.duration
    if spec.revoked and status.state is LeaseState.HELD:
        colour, words = "late", f"is being ended ({spec.revoked})"
    return _Item(
        spec.job_name, spec.attempt, "now", colour, words, start, max(start, end), spec.memory_milli
    )


def _of_plan(plan: PlannedLease) -> _Item:
    after = f", when the lease of {plan.after} ends" if plan.after else ""
    words = f"planned: starts then at the latest{after}"
    # What could start at once is planned for the present moment, which would be another each time.
    late = math.ceil(plan.start / STEADY) * STEADY - plan.start
    start, end = plan.start + late, plan.end + late
    return _Item(plan.job, 0, "planned", "wait", words, start, end, plan.milli)


def _of_past(past: PastLease) -> _Item:
    known = {phase.value for phase in Phase}
    colour = tone(past.outcome) if past.outcome in known else "off"
    late = past.end - past.due
    over = (
        f" {late:.1f} s after its time"
        if past.outcome == Phase.TIMED_OUT.value and late > 0
        else ""
    )
    words = f"{past.outcome}{over}"
    return _Item(past.job, past.attempt, "past", colour, words, past.start, past.end, past.milli)


def _bar(item: _Item, bottom: int, height: int) -> Bar:
    part = f"{format_fraction(item.milli):g} of the device, " if item.milli else ""
    attempt = f", attempt {item.attempt}" if item.attempt > 1 else ""
    return Bar(
        job=item.job,
        kind=item.kind,
        tone=item.tone,
        words=f"{item.job}{attempt}: {part}{item.words}, {_clock(item.start)} to {_clock(item.end)} UTC",
        start=round(item.start, 2),
        end=round(max(item.end, item.start), 2),
        bottom=bottom,
        height=height,
    )


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
