"""Requirement lines, checked so that pip can take them as nothing else. Pure.

Called by `prepare`, whatever was checked before: here is the last door to pip. What a line may say
is `crd_like_specs.requirement_lines`' to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.requirement_lines import MOST_LINES, canonical, redact, shown

__all__ = ["key", "normalise", "redact"]


def normalise(lines: Iterable[str]) -> tuple[str, ...]:
    """Canonical requirements, sorted and without repetitions; blanks and comments left out.

    Raises Permanent(reason="RequirementsFailed") that names every line that is refused and why.
    """
    kept: set[str] = set()
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if number > MOST_LINES:
            problems.append(f"more than {MOST_LINES} lines")
            break
        try:
            kept.add(canonical(line))
        except ValueError as e:
            problems.append(f"line {number}: {shown(line.strip())!r}: {e}")
    if problems:
        raise Permanent(
            "the requirements cannot be installed: " + "; ".join(problems),
            reason="RequirementsFailed",
        )
    return tuple(sorted(kept - {""}))


def key(image: str, requirements: tuple[str, ...]) -> str:
    """Name of the environment for an image id and normalised requirements: 64 hex digits."""
    text = "\n".join((image, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()
