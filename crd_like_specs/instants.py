"""Points in time as people write them, and the pydantic type that reads them. Pure.

2026-12-01T10:00:00Z and 2026-12-01T11:00:00+01:00 are the same; a number is POSIX seconds. What
names no zone is refused: the client's, the controller's and the worker's need not be the same.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_EXPECTED: Final = "a time with its zone such as 2026-12-01T10:00:00Z, or POSIX seconds"
_LATEST: Final = 253402300799.0  # the end of the year 9999, where calendars stop


def parse_instant(raw: object) -> float:
    """POSIX seconds; ValueError names what was given and what was expected."""
    if isinstance(raw, str):
        try:
            found = datetime.fromisoformat(raw.strip())
        except ValueError as error:
            raise ValueError(f"{raw!r:.60} is not understood: expected {_EXPECTED}") from error
        if found.tzinfo is None:
            raise ValueError(f"{raw!r:.60} names no zone: expected {_EXPECTED}")
        raw = found.timestamp()
    wrong = isinstance(raw, float) and not math.isfinite(raw)  # asked of a long integer, it fails
    if isinstance(raw, bool) or not isinstance(raw, int | float) or wrong:
        raise ValueError(f"{raw!r:.60} is not understood: expected {_EXPECTED}")
    if not 0 <= raw <= _LATEST:
        raise ValueError(f"{raw!r:.60} is out of range: expected {_EXPECTED}")
    return float(raw)


def show_instant(when: float) -> str:
    """`2026-12-01T10:00:00Z`, whole seconds."""
    return f"{datetime.fromtimestamp(int(when), UTC):%Y-%m-%dT%H:%M:%SZ}"


def show_clock(when: float, now: float, *, early: bool = False) -> str:
    """A time of the next days for people, to the minute: `14:05 UTC`, `Dec 1 14:05 UTC`.

    What happens by then is never said too early, with `early` never too late.
    """
    minute = (math.floor if early else math.ceil)(when / 60) * 60
    there, here = datetime.fromtimestamp(minute, UTC), datetime.fromtimestamp(now, UTC)
    day = "" if there.date() == here.date() else f"{there:%b} {there.day} "
    return f"{day}{there:%H:%M} UTC"


Instant = Annotated[
    float,
    BeforeValidator(parse_instant),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time", "examples": ["2026-12-01T10:00:00Z"]},
                {"type": "number", "minimum": 0, "maximum": _LATEST},
            ]
        },
        mode="validation",
    ),
]
