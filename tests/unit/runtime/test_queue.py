"""The queue of keys: once, one at a time, again if asked meanwhile, later in order."""

from __future__ import annotations

from cumulus.controller.runtime.queue import BACKOFF_CEILING, KeyQueue
from hypothesis import given
from hypothesis import strategies as st


def test_a_key_added_twice_comes_once() -> None:
    queue = KeyQueue()
    queue.add("a")
    queue.add("a")
    assert queue.take(0) == "a"
    assert queue.take(0) is None


def test_first_in_first_out() -> None:
    queue = KeyQueue()
    for key in "cab":
        queue.add(key)
    assert [queue.take(0) for _ in range(3)] == ["c", "a", "b"]


def test_added_while_busy_comes_again_after_done() -> None:
    queue = KeyQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add("a")
    assert queue.take(0) is None
    queue.done("a")
    assert queue.take(0) == "a"
    queue.done("a")
    assert queue.take(0) is None


def test_later_keys_come_when_due_and_the_earliest_time_holds() -> None:
    queue = KeyQueue()
    queue.add_at("a", 10)
    queue.add_at("a", 5)
    queue.add_at("a", 20)
    assert queue.next_due() == 5
    assert queue.take(4.9) is None
    assert queue.take(5) == "a"
    queue.done("a")
    assert queue.take(100) is None
    assert queue.next_due() is None


def test_failures_back_off_to_a_ceiling_and_are_forgiven() -> None:
    queue = KeyQueue()
    delays = [queue.retry("a", 0) for _ in range(12)]
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert delays[-1] == BACKOFF_CEILING
    queue.forgive("a")
    assert queue.retry("a", 0) == 0.1


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["add", "at", "take", "done"]),
            st.integers(0, 9),
        )
    )
)
def test_never_two_workers_on_a_key_and_nothing_is_lost(steps: list[tuple[str, str, int]]) -> None:
    queue, busy, owed = KeyQueue(), set[str](), set[str]()
    for key, verb, time in steps:
        if verb == "add":
            queue.add(key)
            owed.add(key)
        elif verb == "at":
            queue.add_at(key, time)
            owed.add(key)
        elif verb == "take":
            taken = queue.take(time)
            if taken:
                assert taken not in busy
                busy.add(taken)
                owed.discard(taken)
        elif key in busy:
            busy.discard(key)
            queue.done(key)
    for key in busy:
        queue.done(key)
    found = set()
    while (taken := queue.take(10)) is not None:
        found.add(taken)
        queue.done(taken)
    assert owed <= found
