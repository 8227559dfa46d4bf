"""Watching: every change once, in order, or a clear word that it is too late."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cumulus.controller.store import Event, EventType, Put, Store, Watcher
from cumulus.crd_like_specs.errors import ExpiredError, StoreError

A, M, D, B = EventType.ADDED, EventType.MODIFIED, EventType.DELETED, EventType.BOOKMARK


def seen(events: list[Event]) -> list[tuple[EventType, str, int]]:
    return [(event.type, event.id, event.rv) for event in events]


def drain(watcher: Watcher, limit: int = 2) -> list[Event]:
    found: list[Event] = []
    while events := watcher.poll(limit):
        found += events
    return found


def doc(phase: str = "Pending") -> dict[str, str]:
    return {"phase": phase}


def test_changes_come_in_order_and_once(store: Store) -> None:
    store.put("jobs", "before", doc())
    watcher = store.watch()
    assert watcher.poll(10) == []
    store.put("jobs", "a", doc())
    store.put("jobs", "a", doc("Running"))
    store.put("jobs", "a", doc("Running"))
    store.delete("jobs", "a")
    events = watcher.poll(10)
    assert seen(events) == [(A, "a", 2), (M, "a", 3), (D, "a", 4)]
    assert [event.doc["phase"] for event in events] == ["Pending", "Running", "Running"]
    assert {event.table for event in events} == {"jobs"}
    assert watcher.cursor == 4
    assert watcher.poll(10) == []


def test_a_poll_hands_out_at_most_what_was_asked_for(store: Store) -> None:
    watcher = store.watch()
    store.submit([Put("jobs", str(n), doc()) for n in range(5)]).result()
    assert seen(watcher.poll(2)) == [(A, "0", 1), (A, "1", 2)]
    assert watcher.cursor == 2
    assert len(drain(watcher)) == 3


def test_a_bookmark_says_how_far_one_came_past_other_tables(store: Store) -> None:
    watcher = store.watch(0, frozenset({"jobs"}))
    store.put("jobs", "a", doc())
    store.put("leases", "l", {})
    store.put("leases", "l", {"x": 1})
    assert seen(watcher.poll(10)) == [(A, "a", 1), (B, "", 3)]
    assert watcher.poll(10) == []
    store.put("leases", "m", {})
    (bookmark,) = watcher.poll(10)
    assert (bookmark.type, bookmark.rv, bookmark.record) == (B, 4, None)
    assert (bookmark.table, bookmark.doc) == ("", {})


def test_one_resumes_where_one_was(store: Store) -> None:
    for number in range(5):
        store.put("jobs", str(number), doc())
    assert seen(store.watch(3).poll(10)) == [(A, "3", 4), (A, "4", 5)]
    assert store.watch(5).poll(10) == []


def test_a_version_that_never_was_is_refused(store: Store) -> None:
    with pytest.raises(ExpiredError, match="from the future"):
        store.watch(1)


@pytest.mark.parametrize("limits", [{"ring_events": 3}, {"ring_bytes": 60}])
def test_who_falls_behind_must_list_again(limits: dict[str, int]) -> None:
    store = Store.open(None, **limits)  # type: ignore[arg-type]
    slow = store.watch()
    for number in range(6):
        store.put("jobs", str(number), doc())
    with pytest.raises(ExpiredError, match="too old: changes up to 3 are no longer kept"):
        slow.poll(10)
    with pytest.raises(ExpiredError):
        store.watch(2)
    assert seen(store.watch(3).poll(10)) == [(A, "3", 4), (A, "4", 5), (A, "5", 6)]


def test_a_snapshot_and_its_watcher_leave_no_gap(store: Store) -> None:
    store.put("jobs", "a", doc())
    store.put("leases", "l", {})
    records, watcher = store.snapshot_and_watch("jobs")
    assert [record.id for record in records] == ["a"]
    assert watcher.cursor == 2
    store.put("leases", "m", {})
    store.put("jobs", "b", doc())
    assert seen(watcher.poll(10)) == [(A, "b", 4)]


def test_watchers_do_not_share_documents(store: Store) -> None:
    first, second = store.watch(), store.watch()
    store.put("jobs", "a", doc())
    first.poll(1)[0].doc["phase"] = "spoiled"
    assert second.poll(1)[0].doc == doc()


def test_one_resumes_across_a_restart(reopen: Callable[[], Store]) -> None:
    store = reopen()
    store.put("jobs", "a", doc())
    store.put("jobs", "b", doc())
    store.delete("jobs", "a")
    events = seen(reopen().watch(1).poll(10))
    assert events == [(A, "b", 2), (D, "a", 3)]


def test_what_a_snapshot_stands_for_cannot_be_watched_after_a_restart(
    reopen: Callable[[], Store],
) -> None:
    store = reopen()
    store.put("jobs", "a", doc())
    store.put("jobs", "b", doc())
    store.compact()
    store.put("jobs", "c", doc())
    assert len(store.watch(0).poll(10)) == 3
    store = reopen()
    with pytest.raises(ExpiredError):
        store.watch(1)
    assert seen(store.watch(2).poll(10)) == [(A, "c", 3)]


def test_subscribers_are_told_the_newest_version(store: Store) -> None:
    told: list[int] = []
    end = store.subscribe(told.append)
    store.put("jobs", "a", doc())
    store.put("jobs", "a", doc())
    store.submit([Put("jobs", "b", doc()), Put("jobs", "c", doc())]).result()
    end()
    end()
    store.put("jobs", "d", doc())
    assert told == [1, 3]


def test_a_subscriber_that_raises_is_dropped_and_harms_nobody(store: Store) -> None:
    calls: list[int] = []

    def closed_loop(rv: int) -> None:
        calls.append(rv)
        raise RuntimeError("Event loop is closed")

    told: list[int] = []
    store.subscribe(closed_loop)
    store.subscribe(told.append)
    store.put("jobs", "a", doc())
    store.put("jobs", "b", doc())
    assert calls == [1]
    assert told == [1, 2]
    assert store.healthy


def test_a_cache_is_up_to_date_before_its_writer_goes_on(store: Store) -> None:
    cache: dict[str, str] = {}
    order: list[str] = []

    def update(events: list[Event]) -> None:
        assert store.version == events[-1].rv
        for event in events:
            assert (store.get("jobs", event.id) is None) == (event.type is D)
            order.append("cache")
            if event.type is D:
                del cache[event.id]
            else:
                cache[event.id] = event.doc["phase"]

    end = store.on_commit(update)
    store.subscribe(lambda _: order.append("wake"))
    future = store.submit([Put("jobs", "a", doc())])
    future.add_done_callback(lambda _: order.append("writer"))
    future.result()
    assert cache == {"a": "Pending"}
    assert order[:2] == ["cache", "wake"]
    store.delete("jobs", "a")
    assert cache == {}
    assert store.healthy
    end()
    store.put("jobs", "b", doc())
    assert cache == {}


def test_a_cache_that_missed_what_is_durable_ends_writing(store: Store) -> None:
    def broken(events: list[Event]) -> None:
        raise RuntimeError(f"no room for {len(events)}")

    store.on_commit(broken)
    store.put("jobs", "a", doc())  # it is written, and its writer is told so
    assert store.get("jobs", "a") is not None
    assert not store.healthy
    with pytest.raises(StoreError, match=r"read-only until a restart.*no room for 1"):
        store.put("jobs", "b", doc())
    assert store.get("jobs", "b") is None
