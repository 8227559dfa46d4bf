"""Which datasets leave a worker's cache, whatever is in it."""

from __future__ import annotations

import pytest
from cumulus.chronos_bindings.agent.dataset_lru import Cached, evicted
from hypothesis import given
from hypothesis import strategies as st

KEYS = [f"k{n}" for n in range(8)]
entries = st.lists(
    st.builds(Cached, st.sampled_from(KEYS), st.integers(0, 50), st.integers(0, 5).map(float)),
    unique_by=lambda one: one.key,
)


@given(entries, st.sets(st.sampled_from(KEYS)), st.integers(0, 60), st.integers(0, 200))
def test_it_keeps_the_limit_as_far_as_it_may(
    cached: list[Cached], in_use: set[str], need: int, limit: int
) -> None:
    going = evicted(cached, in_use, need=need, limit=limit)
    left = [one for one in cached if one.key not in going]
    total = sum(one.size for one in left) + need
    assert not in_use & set(going)
    assert total <= limit or {one.key for one in left} <= in_use
    used_at = {one.key: one.used_at for one in cached}
    may_go = [one for one in left if one.key not in in_use]
    assert all(used_at[key] <= one.used_at for key in going for one in may_go)
    if going:  # no more than it takes
        last = next(one for one in cached if one.key == going[-1])
        assert total + last.size > limit


@pytest.mark.parametrize(
    ("need", "in_use", "going"),
    [
        (0, set(), []),
        (10, set(), []),
        (11, set(), ["old"]),
        (41, set(), ["old", "mid"]),
        (11, {"old"}, ["mid"]),
        (1000, {"old"}, ["mid", "new"]),
        (11, {"old", "mid", "new"}, []),
    ],
)
def test_the_least_recently_used_go_first(need: int, in_use: set[str], going: list[str]) -> None:
    cached = [Cached("new", 30, 3.0), Cached("old", 30, 1.0), Cached("mid", 30, 2.0)]
    assert evicted(cached, in_use, need=need, limit=100) == going


@given(entries, st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)), st.integers(0, 200))
def test_what_exists_no_more_goes_and_makes_room_for_the_rest(
    cached: list[Cached], in_use: set[str], dropped: set[str], limit: int
) -> None:
    going = evicted(cached, in_use, need=0, limit=limit, dropped=dropped)
    here = {one.key for one in cached}
    assert not in_use & set(going)
    assert (dropped & here) - in_use <= set(going)
    left = [one for one in cached if one.key not in dropped - in_use]
    assert set(going) - dropped == set(evicted(left, in_use, need=0, limit=limit)) - dropped
