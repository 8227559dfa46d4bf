"""The checkpoints of a job as a table, the newest first. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from ...crd_like_specs.checkpoint import Snapshot
from ...crd_like_specs.units import show_bytes
from . import output


def table(found: Sequence[Snapshot], now: float) -> str:
    """Nothing where there are none. now: POSIX seconds."""
    if not found:
        return ""
    rows = [["CHECKPOINT", "ATTEMPT", "SIZE", "FILES", "TAKEN"]]
    rows += [
        [
            kept.digest,
            str(kept.attempt),
            show_bytes(kept.size),
            str(kept.files),
            f"{output.ago(kept.taken_at, now)} ago",
        ]
        for kept in reversed(found)
    ]
    return output.table(rows)
