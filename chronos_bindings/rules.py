"""What every partitioner holds to: limits of a request, and how a refusal reads. Pure.

Called by `ledger` and `native`, so that both refuse the same things in the same words.
"""

from __future__ import annotations

import math
from typing import Final

from ..crd_like_specs.errors import Permanent

MARGIN: Final = 3600
"""Seconds a share outlives its end when nobody releases it.

The agent's monotonic timer ends a lease and releases the share; the partitioner's own expiry is
only the net below it. Chronos counts by the wall clock, so that the margin must outlast a step of
that clock, or a share would vanish under a job that still runs."""

_LONGEST: Final = 2**31 - 1  # Chronos wraps larger numbers around
_DEVICES: Final = 2**16


def check_request(device: int, memory_milli: int, seconds: float) -> None:
    """Raise `Permanent(reason="BadRequest")`, naming what was given and what was expected."""
    problems = []
    if not _whole(device) or not 0 <= device < _DEVICES:
        problems.append(f"device {device!r}: expected an index from 0")
    if not _whole(memory_milli) or not 1 <= memory_milli <= 1000:
        problems.append(f"memory {memory_milli!r}: expected 1 to 1000 thousandths of a device")
    if isinstance(seconds, bool) or not 1 <= seconds <= _LONGEST:  # NaN fails this too
        problems.append(f"duration {seconds!r}: expected 1 to {_LONGEST} seconds")
    if problems:
        raise Permanent("; ".join(problems), reason="BadRequest")


def native_seconds(seconds: float, margin: float) -> int:
    """The whole number of seconds to ask Chronos for, so that it never ends a share early."""
    return min(math.ceil(seconds + margin), _LONGEST)


def native_fraction(memory_milli: int) -> float:
    """The fraction to ask Chronos for. It adds up in float32, where ten tenths exceed one."""
    return memory_milli / 1000 * (1 - 1e-6)


def no_capacity(device: int, asked: int, free: int) -> Permanent:
    """Refusal for want of room; asked, free: thousandths."""
    return Permanent(
        f"device {device} has {free / 1000:g} of its memory free, {asked / 1000:g} was asked",
        reason="NoCapacity",
    )


def no_device(device: int, known: str) -> Permanent:
    """Refusal for want of the device; known: says which there are."""
    return Permanent(f"there is no device {device}: {known}", reason="NoDevice")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
