"""Times and spans that options take. PURE; `now` is an argument."""

from __future__ import annotations

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.instants import parse_instant
from ...crd_like_specs.units import parse_seconds


def past(text: str, option: str, now: float) -> float:
    """`10m` (so long ago) or `2026-12-01T10:00:00Z`: POSIX seconds; ValidationError."""
    try:
        return now - parse_seconds(text.strip().removesuffix("ago").strip())
    except ValueError:
        pass
    try:
        return parse_instant(text)
    except ValueError as e:
        raise ValidationError(
            f"{option}: {text!r:.60} is not understood: "
            "expected a span such as 10m, or a time such as 2026-12-01T10:00:00Z"
        ) from e


def seconds(text: str, what: str) -> int:
    """`30m` → 1800; ValidationError."""
    try:
        return parse_seconds(text)
    except ValueError as e:
        raise ValidationError(f"{what}: {e}") from e
