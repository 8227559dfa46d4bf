"""The plots: samples as columns, thinned to what a screen shows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...overview import Sample

POINTS = 720
"""Of a plot at most."""

Columns = list[list[float | None]]


def columns(samples: Sequence[Sample], points: int = POINTS) -> Columns:
    """`[times, waiting, running, used %, overrun]`, oldest first. Thinned by taking of each stretch
    what is worth seeing: its highest queue, use and overrun.
    """
    size = max(1, -(-len(samples) // points))
    rows = [_one(samples[at : at + size]) for at in range(0, len(samples), size)]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], [], []]


def _one(stretch: Sequence[Sample]) -> tuple[float | None, ...]:
    late = max(sample.overrun for sample in stretch)
    return (
        round(stretch[-1].time, 1),
        max(sample.waiting for sample in stretch),
        max(sample.running for sample in stretch),
        round(max(100 * s.used / s.total if s.total else 0.0 for s in stretch), 1),
        round(late, 3) if late >= 0 else None,
    )
