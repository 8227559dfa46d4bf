"""Whether a job is within its project's quota, why not, and from when on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cumulus.controller.reconcile.asking import ask_of
from cumulus.controller.reconcile.quota import (
    DAY,
    MILLI_GPU_HOUR,
    Held,
    Limits,
    QuotaSeen,
    by_day,
    hours,
    over_quota,
)
from hypothesis import given
from hypothesis import strategies as st
from make import spec

NOON = 20_000 * DAY + 43_200.0
HOUR = 3600
ASK = replace(ask_of(spec()), milli=500, count=1, duration=HOUR)
CPU = replace(ASK, milli=0, count=0)


def seen(
    running: int | None = None,
    gpu: float | None = None,
    held: tuple[Held, ...] = (),
    spent: float = 0.0,
) -> QuotaSeen:
    """gpu, spent: GPU-hours."""
    limit = None if gpu is None else round(gpu * 1000) * MILLI_GPU_HOUR
    used = {20_000: round(spent * 1000) * MILLI_GPU_HOUR}
    return QuotaSeen("vision", Limits(running, limit), held, used)


def until(hours_: float, milli: int = 0) -> Held:
    return Held(NOON - 60, NOON + hours_ * HOUR, milli)


@pytest.mark.parametrize(
    "one", [seen(), seen(running=1), seen(gpu=0.5), seen(running=2, held=(until(5),))]
)
def test_within(one: QuotaSeen) -> None:
    assert over_quota(ASK, one, NOON) is None


@pytest.mark.parametrize(
    ("one", "why", "at"),
    [
        (
            seen(running=2, held=(until(3), until(1))),
            "project vision runs 2 of 2 jobs",
            NOON + HOUR,
        ),
        (seen(running=0), "project vision runs 0 of 0 jobs", None),
        (
            seen(gpu=2.5, spent=2.4),
            (
                "project vision has used 2.4 of 2.5 GPU-hours today, and 0.5 are asked for; "
                "the next 2.5 are free at Oct 5 00:00 UTC"
            ),
            20_001 * DAY - HOUR / 5,
        ),
        (
            seen(running=1, gpu=1.0, spent=1.0, held=(until(1),)),
            (
                "project vision runs 1 of 1 jobs; "
                "project vision has used 1 of 1 GPU-hours today, and 0.5 are asked for; "
                "the next 1 are free at Oct 5 00:00 UTC"
            ),
            20_001 * DAY,
        ),
    ],
)
def test_over_says_why_and_from_when_on_not(one: QuotaSeen, why: str, at: float | None) -> None:
    found = over_quota(ASK, one, NOON)
    assert found is not None
    assert (found.why, found.until, found.never) == (why, at, False)
    if at is not None:
        later = replace(one, held=[h for h in one.held if h.end > at])
        assert over_quota(ASK, later, at) is None
        # Whole leases were booked; a moment before it is still too much.
        assert over_quota(ASK, one, at - 1) is not None


def test_a_lease_that_is_due_but_not_gone_is_so_in_a_moment() -> None:
    found = over_quota(CPU, seen(running=1, held=(Held(NOON - 9, NOON - 1, 0),)), NOON)
    assert found is not None
    assert found.until == NOON + 1


def test_gpu_time_is_none_of_a_job_without_a_gpu() -> None:
    assert over_quota(CPU, seen(gpu=0.0, spent=3.0), NOON) is None


def test_what_no_day_is_long_enough_for() -> None:
    asks = replace(ASK, milli=1000, count=4, duration=2 * HOUR)
    found = over_quota(asks, seen(gpu=2.5), NOON)
    assert found is not None
    assert found.never
    assert found.until is None
    assert found.why == (
        "project vision has used 0 of 2.5 GPU-hours today, and 8 of them are asked for"
    )
    # Across midnight each day gives its part.
    parted = over_quota(replace(asks, duration=HOUR), seen(gpu=2.5), NOON)
    assert parted is not None
    assert (parted.never, parted.until) == (False, 20_001 * DAY - 2250)


def test_a_job_ahead_keeps_its_place_and_one_that_ends_before_may_go_first() -> None:
    ahead = replace(seen(running=1), ahead=(Held(NOON + 2 * HOUR, NOON + 9 * HOUR, 0),))
    assert over_quota(ASK, ahead, NOON) is None
    found = over_quota(replace(ASK, duration=3 * HOUR), ahead, NOON)
    assert found is not None
    assert found.why == (
        "project vision runs 0 of 1 jobs, and the next are for those of its jobs that are ahead"
    )
    assert found.until == NOON + 9 * HOUR


def test_what_is_held_counts_for_all_that_it_may_last() -> None:
    one = seen(gpu=2.0, held=(Held(NOON, NOON + 4 * HOUR, 500),))
    found = over_quota(ASK, one, NOON)
    assert found is not None
    assert found.why.startswith("project vision has used 2 of 2 GPU-hours today")


@given(
    start=st.floats(0, 4e9),
    seconds=st.integers(0, 40 * DAY),
    milli=st.integers(0, 16_000),
)
def test_days_take_all_of_it_and_no_day_more_than_it_has(
    start: float, seconds: int, milli: int
) -> None:
    parts = list(by_day(start, start + seconds, milli))
    assert abs(sum(amount for _, amount in parts) - seconds * 1000 * milli) <= milli
    assert (
        [day for day, _ in parts] == list(range(parts[0][0], parts[-1][0] + 1)) if parts else True
    )
    assert all(0 <= amount <= DAY * 1000 * milli for _, amount in parts)


HELD = st.builds(
    lambda begun, left, milli: Held(NOON - begun, NOON + left, milli),
    st.integers(0, DAY),
    st.integers(-30, 3 * DAY),
    st.integers(0, 4000),
)


@given(
    running=st.none() | st.integers(0, 4),
    gpu=st.none() | st.integers(0, 30),
    held=st.lists(HELD, max_size=6),
    spent=st.integers(0, 30),
    milli=st.integers(0, 1000),
    count=st.integers(1, 4),
    duration=st.integers(1, 2 * DAY),
)
def test_it_may_start_when_that_is_foretold(
    running: int | None,
    gpu: int | None,
    held: list[Held],
    spent: int,
    milli: int,
    count: int,
    duration: int,
) -> None:
    ask = replace(ASK, milli=milli, count=count, duration=duration)
    one = seen(running, gpu, tuple(held), spent)
    found = over_quota(ask, one, NOON)
    if found is None:
        assert running is None or sum(h.start <= NOON for h in held) < running
        return
    assert found.why
    if found.until is not None:
        assert found.until > NOON
        # Whatever ended meanwhile took what was booked for it, and not more.
        over = [h for h in held if h.end <= found.until]
        used = dict(one.spent)
        for h in over:
            end = h.end if h.end > NOON else NOON + 1
            for day, amount in by_day(h.start, end, h.milli):
                used[day] = used.get(day, 0) + amount
        left = replace(one, held=[h for h in held if h.end > found.until], spent=used)
        assert over_quota(ask, left, found.until) is None


def test_amounts_for_people_are_never_too_small() -> None:
    assert [hours(n * MILLI_GPU_HOUR) for n in (0, 1, 2500)] == ["0", "0.001", "2.5"]
    assert hours(1) == "0.001"
