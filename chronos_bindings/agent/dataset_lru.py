"""Which datasets go from a worker's cache to make room. Pure; called by `dataset_cache`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cached:
    """Something in the cache. size: bytes that it takes on the disk; used_at: POSIX seconds."""

    key: str
    size: int
    used_at: float


def evicted(
    cached: Iterable[Cached],
    in_use: Collection[str],
    *,
    need: int,
    limit: int,
    dropped: Collection[str] = (),
) -> list[str]:
    """Keys to remove so that `need` more bytes keep within the limit: all that are dropped, then the
    least recently used first, none that is in use, and no more than it takes. Where that is not
    enough, all that may go goes: what is in use stays, above the limit if need be.
    """
    found = sorted(cached, key=lambda one: (one.key not in dropped, one.used_at, one.key))
    above = sum(one.size for one in found) + need - limit
    going = []
    for one in found:
        if above <= 0 and one.key not in dropped:
            break
        if one.key not in in_use:
            going.append(one.key)
            above -= one.size
    return going
