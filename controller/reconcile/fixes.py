"""The smallest change with which a job would fit on a worker now. Pure; for `why`.

What is asked is reduced to what is there, one field at a time, then two; the reduction that keeps
the largest share of what was asked wins. Where the worker is merely closed to work, that is said
instead. Every fix is exact: the changed spec fits (property-tested).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.units import format_bytes, format_cpus, format_seconds
from .asking import Ask
from .fitting import (
    Lack,
    lacking,
    matches,
    missing_labels,
    rental_left,
    roomy,
    usable,
)
from .observed import Booking, WorkerSeen
from .timing import START_ALLOWANCE

MOST_CHANGES: Final = 2
WORTH_SAYING: Final = 0.05
"""A change that leaves less than this share of what was asked helps nobody."""
_MIB: Final = 1 << 20
_LEAST_MEMORY: Final = 16 * _MIB  # as the spec's own limits have it
_LEAST_PIDS: Final = 8


@dataclass(frozen=True, slots=True)
class Fix:
    """ask: as it would have to be; text: the change in words, "" where none is small.

    kept: the share of what was asked that is left, 1.0 where the job stays as it is.
    """

    text: str
    ask: Ask | None = None
    kept: float = 0.0


def fix_for(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking] = ()) -> Fix:
    """claims: room kept on this worker for jobs ahead. `text` is "" where nothing small helps."""
    lack = lacking(ask, seen, now, claims)
    name = seen.worker.metadata.name
    if lack in (Lack.DRAINED, Lack.CORDONED):
        opened = seen.worker.model_copy(
            update={"spec": seen.worker.spec.model_copy(update={"drain": False, "cordoned": False})}
        )
        if lacking(ask, replace(seen, worker=opened), now, claims) is None:
            return Fix(f"cumulusctl uncordon {name}", ask, 1.0)
        return Fix("")
    if lack is Lack.LABEL:
        wrong = ", ".join(f"{key}={wanted}" for key, wanted in missing_labels(ask, seen.worker))
        return Fix(f"no change: label {wrong} missing")
    if lack is None or lack in _BEYOND_THE_JOB:
        return Fix("")
    for count in range(1, MOST_CHANGES + 1):
        found = list(_reduced(ask, seen, now, claims, count))
        if found:
            return max(found, key=lambda fix: fix.kept)  # the first of equals
    return Fix("")


_BEYOND_THE_JOB: Final = frozenset(
    {Lack.IMAGES, Lack.ISOLATION, Lack.CONTACT, Lack.FENCED, Lack.DISK, Lack.DATASETS}
)


def _reduced(
    ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking], count: int
) -> Iterator[Fix]:
    for fields in combinations(_FIELDS, count):
        changed, texts, kept = ask, [], 1.0
        for field in fields:
            value, share, text = field(changed, seen, now, claims)
            if value is None:
                break
            changed, kept = value, kept * share
            texts.append(text)
        else:
            if kept >= WORTH_SAYING and lacking(changed, seen, now, claims) is None:
                yield Fix(" and ".join(texts), changed, kept)


_Change = tuple[Ask | None, float, str]
_NONE: Final[_Change] = (None, 0.0, "")


def _gpu_memory(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    """The share that as many devices as asked for still have."""
    free = usable(ask, seen, now, claims)
    left = sorted(
        (
            free.milli.get(device.index, 0)
            for device in seen.worker.status.devices
            if matches(ask, device)
        ),
        reverse=True,
    )
    if not ask.count or len(left) < ask.count or not 0 < left[ask.count - 1] < ask.milli:
        return _NONE
    milli = left[ask.count - 1]
    text = f"gpu.memory {milli / 1000:g} instead of {ask.milli / 1000:g}"
    return replace(ask, milli=milli), milli / ask.milli, text


def _gpu_count(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    count = len(roomy(ask, seen.worker, usable(ask, seen, now, claims)))
    if not 0 < count < ask.count:
        return _NONE
    return replace(ask, count=count), count / ask.count, f"gpu.count {count} instead of {ask.count}"


def _cpus(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    cpus = usable(ask, seen, now, claims).cpus
    if not 0 < cpus < ask.cpus:
        return _NONE
    text = f"resources.cpus {format_cpus(cpus)} instead of {format_cpus(ask.cpus)}"
    return replace(ask, cpus=cpus), cpus / ask.cpus, text


def _memory(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    memory = usable(ask, seen, now, claims).memory // _MIB * _MIB
    if not _LEAST_MEMORY <= memory < ask.memory:
        return _NONE
    text = f"resources.memory {format_bytes(memory)} instead of {format_bytes(ask.memory)}"
    return replace(ask, memory=memory), memory / ask.memory, text


def _pids(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    pids = usable(ask, seen, now, claims).pids
    if pids is None or not _LEAST_PIDS <= pids < ask.pids:
        return _NONE
    return replace(ask, pids=pids), pids / ask.pids, f"resources.pids {pids} instead of {ask.pids}"


def _duration(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> _Change:
    """Short enough for the rental, and to be over before a room that is kept begins."""
    ends: list[tuple[int, str]] = []
    left = rental_left(seen.worker, now)
    until = seen.worker.spec.available_until
    if left is not None and until is not None:
        ends.append((left, f"rented until {show_clock(until, now, early=True)}"))
    for claim in claims:
        if claim.start > now:
            text = f"kept for {claim.job} from {show_clock(claim.start, now, early=True)} on"
            ends.append((int(claim.start - now - START_ALLOWANCE), text))
    for seconds, why in sorted(ends, reverse=True):
        whole = seconds - seconds % 60 if seconds >= 60 else seconds
        if 0 < whole < ask.duration:
            changed = replace(ask, duration=whole)
            text = f"duration {format_seconds(whole)} ({why})"
            if lacking(changed, seen, now, claims) in (None, *_OF_AMOUNT):
                return changed, whole / ask.duration, text
    return _NONE


_OF_AMOUNT: Final = (
    Lack.ALL_CPUS, Lack.ALL_MEMORY, Lack.ALL_PIDS, Lack.DEVICES,
    Lack.CPUS, Lack.MEMORY, Lack.PIDS, Lack.GPU,
)  # fmt: skip

_FIELDS: Final[tuple[Callable[[Ask, WorkerSeen, float, Sequence[Booking]], _Change], ...]] = (
    _duration,
    _gpu_memory,
    _gpu_count,
    _cpus,
    _memory,
    _pids,
)
"""Duration first: a shorter job may use room that is kept from a later time on."""
