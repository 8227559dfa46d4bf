"""How much of the fleet a project may have at once, and in a day; whether a job is within it. Pure.

Told of what the project holds and has used by `runtime/quotas.py`; asked by the rule `over-quota`, by
the queue (who is over quota is not in it, and keeps nobody waiting) and by forecasts.

GPU time is reckoned by the UTC day in which it is held. A lease counts from its start for all that
it may last, so that what is promised can be kept; what it gives back sooner is free again at once.
Whole numbers throughout: amounts are micro-GPU-seconds, thousandths of a device times milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...crd_like_specs.instants import show_clock, show_instant
from .asking import Ask
from .timing import SOON

DAY: Final = 86400
MILLI_GPU_HOUR: Final = 3_600_000
"""Micro-GPU-seconds of a thousandth of a GPU for an hour."""

REACH: Final = 8
"""Days that are looked at for the next time at which a job is within its quota."""


@dataclass(frozen=True, slots=True)
class Limits:
    """running: jobs at once; gpu: micro-GPU-seconds in a UTC day. None: any number."""

    running: int | None = None
    gpu: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What one job of the project has, or is kept for it. start, end: POSIX seconds; milli:
    thousandths of a device, of all its devices together.
    """

    start: float
    end: float
    milli: int


@dataclass(frozen=True, slots=True)
class QuotaSeen:
    """A project with limits. spent: day (of the epoch) → micro-GPU-seconds of what is over; held:
    what it holds now; ahead: what is kept for its jobs that are ahead of the one that asks.
    """

    project: str
    limits: Limits
    held: Sequence[Held] = ()
    spent: Mapping[int, int] = field(default_factory=dict)
    ahead: Sequence[Held] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """Why a job is to wait. until: POSIX seconds at which it is within its quota at the latest, None
    where that cannot be told; never: no day is long enough for it; full: no job of the project may
    start now, whatever it asks for.
    """

    why: str
    until: float | None = None
    never: bool = False
    full: bool = False


def by_day(start: float, end: float, milli: int) -> Iterator[tuple[int, int]]:
    """(day, micro-GPU-seconds) of so many thousandths held for that time."""
    first, last = round(start * 1000), round(end * 1000)
    while first < last:
        day = first // (DAY * 1000)
        until = min(last, (day + 1) * DAY * 1000)
        yield day, (until - first) * milli
        first = until


def over_quota(ask: Ask, seen: QuotaSeen, now: float) -> Over | None:
    """Why a job that asks for this must not start now; None where it may."""
    booked = _Booked(seen, now)
    if booked.takes(ask, now):
        return None
    until = _first(ask, booked, now)
    never = until is None and _never(ask, seen, now)
    return Over(booked.why(ask), until, never=never, full=booked.full)


def within_from(ask: Ask, seen: QuotaSeen, now: float, after: float) -> float | None:
    """The first moment from `after` on at which it may start, as things are now; None where that
    cannot be told.
    """
    booked = _Booked(seen, now)
    return after if booked.takes(ask, after) else _first(ask, booked, after)


def _first(ask: Ask, booked: _Booked, now: float) -> float | None:
    moments = sorted(set(_moments(ask, booked, now)))
    return next((at for at in moments if booked.takes(ask, at)), None)


def within_quota(ask: Ask, seen: QuotaSeen, now: float, at: float) -> bool:
    """Whether it may start then, as things are now."""
    return _Booked(seen, now).takes(ask, at)


def no_longer(seen: QuotaSeen, mine: Held, seconds: int, now: float) -> str:
    """Why what is held (and among `seen.held`) cannot last so many seconds longer; "" where it can."""
    limit, booked = seen.limits.gpu, _Booked(seen, now)
    if limit is None:
        return ""
    for day, amount in by_day(mine.end, mine.end + seconds, mine.milli):
        used = booked.spent.get(day, 0)
        if amount and used + amount > limit:
            when = "today" if day == int(now // DAY) else f"on {show_day(day)}"
            return (
                f"project {seen.project} has used {hours(used)} of {hours(limit)} GPU-hours {when}, "
                f"and {hours(amount)} more are asked for"
            )
    return ""


def _never(ask: Ask, seen: QuotaSeen, now: float) -> bool:
    """Whether it would be over although the project had used nothing, whenever it started."""
    empty = _Booked(QuotaSeen(seen.project, Limits(None, seen.limits.gpu)), now)
    return not any(empty.takes(ask, at) for at in (now, *_moments(ask, empty, now)))


def _moments(ask: Ask, booked: _Booked, now: float) -> Iterator[float]:
    """When a job may come to be within its quota: as others end, as days begin, and so late in a
    day that what it takes of it is left.
    """
    yield from (end for _, end, _ in booked.held if end > now)
    rate, today = ask.milli * ask.count, int(now // DAY)
    if booked.limits.gpu is None or not rate:
        return
    for day in range(today, today + REACH):
        yield max(now, day * DAY)
        left = booked.limits.gpu - booked.spent.get(day, 0)
        late = (day + 1) * DAY - max(0, left) // rate / 1000
        if max(now, day * DAY) < late < (day + 1) * DAY:
            yield late


class _Booked:
    """What a project has used, holds, and is to have, as of now."""

    def __init__(self, seen: QuotaSeen, now: float) -> None:
        self.project, self.limits, self._now = seen.project, seen.limits, now
        # What is over but not yet gone is so in a moment.
        self.held = [
            (one.start, one.end if one.end > now else now + SOON, one.milli)
            for one in (*seen.held, *seen.ahead)
        ]
        self._kept = len(seen.ahead)
        self.spent = dict(seen.spent)
        if self.limits.gpu is not None:
            for start, end, milli in self.held:
                for day, amount in by_day(start, end, milli):
                    self.spent[day] = self.spent.get(day, 0) + amount

    def takes(self, ask: Ask, at: float) -> bool:
        """Whether it is within the limits from then to its end."""
        return self._one_more(at, at + ask.duration) and self._day(ask, at) is None

    @property
    def full(self) -> bool:
        """Whether as many as may be run now."""
        running = sum(start <= self._now for start, _, _ in self.held)
        return self.limits.running is not None and running >= self.limits.running

    def _one_more(self, start: float, end: float) -> bool:
        """Whether there is one fewer than may be, at every moment of this time."""
        if self.limits.running is None:
            return True
        there = [(s, e) for s, e, _ in self.held if s < end and e > start]
        moments = [start, *(s for s, _ in there if s > start)]
        return all(
            sum(s <= moment < e for s, e in there) < self.limits.running for moment in moments
        )

    def _day(self, ask: Ask, at: float) -> int | None:
        """The first day of which too little is left for it, None where there is enough."""
        rate = ask.milli * ask.count
        if self.limits.gpu is None or not rate:
            return None
        for day, amount in by_day(at, at + ask.duration, rate):
            if self.spent.get(day, 0) + amount > self.limits.gpu:
                return day
        return None

    def why(self, ask: Ask) -> str:
        """For people: each limit that is in the way."""
        now, parts = self._now, []
        if not self._one_more(now, now + ask.duration):
            running = len(self.held) - self._kept
            parts.append(f"project {self.project} runs {running} of {self.limits.running} jobs")
            if self.limits.running is not None and running < self.limits.running:
                parts[-1] += ", and the next are for those of its jobs that are ahead"
        day = self._day(ask, now)
        if day is not None:
            parts.append(self._of_day(ask, day))
        return "; ".join(parts)

    def _of_day(self, ask: Ask, day: int) -> str:
        limit = self.limits.gpu
        assert limit is not None, "without a limit no day is full"
        today = int(self._now // DAY)
        wanted = dict(by_day(self._now, self._now + ask.duration, ask.milli * ask.count))[day]
        used = self.spent.get(day, 0)
        when = "today" if day == today else f"on {show_day(day)}"
        text = f"project {self.project} has used {hours(used)} of {hours(limit)} GPU-hours {when}"
        if wanted > limit:
            return f"{text}, and {hours(wanted)} of them are asked for"
        frees = show_clock((day + 1) * DAY, self._now)
        return f"{text}, and {hours(wanted)} are asked for; the next {hours(limit)} are free at {frees}"


def hours(amount: int) -> str:
    """GPU-hours of an amount, to the thousandth, never too few."""
    return f"{-(-amount // MILLI_GPU_HOUR) / 1000:g}"


def show_day(day: int) -> str:
    """`2026-12-01`, of a day of the epoch."""
    return show_instant(day * DAY)[:10]
