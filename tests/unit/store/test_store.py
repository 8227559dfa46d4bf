"""The facade, in memory and over a journal alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cumulus.controller.store import Delete, Put, Record, Store
from cumulus.crd_like_specs.errors import (
    ConflictError,
    NotFoundError,
    StoreError,
    ValidationError,
)


def job(phase: str = "Pending", **more: Any) -> dict[str, Any]:
    return {"phase": phase, **more}


def test_a_record_is_read_as_it_was_written(store: Store) -> None:
    rv = store.put("jobs", "a", job(text='tab\t, line\n, "ü"', number=1.5, nothing=None))
    record = store.get("jobs", "a")
    assert record is not None
    assert (record.table, record.id, record.rv) == ("jobs", "a", rv)
    assert record.doc == job(text='tab\t, line\n, "ü"', number=1.5, nothing=None)
    assert store.get("jobs", "b") is None
    assert store.get("elsewhere", "a") is None


def test_nothing_handed_out_or_in_aliases_the_store(store: Store) -> None:
    mine = job(inner={"n": 1})
    store.put("jobs", "a", mine)
    mine["inner"]["n"] = 2
    first = store.get("jobs", "a")
    assert first is not None
    first.doc["inner"]["n"] = 3
    again = store.get("jobs", "a")
    assert again is not None
    assert again.doc["inner"]["n"] == 1
    assert first.doc["inner"]["n"] == 3


def test_versions_rise_by_one_with_each_change_of_the_whole_store(store: Store) -> None:
    assert [
        store.put("jobs", "a", job()),
        store.put("leases", "a", {}),
        store.put("jobs", "a", job("Running")),
        store.delete("leases", "a"),
    ] == [1, 2, 3, 4]
    assert store.version == 4


def test_writing_the_same_document_again_changes_nothing(store: Store) -> None:
    rv = store.put("jobs", "a", job())
    store.put("jobs", "b", job())
    assert store.put("jobs", "a", job()) == rv
    assert store.put("jobs", "a", job(), expect=rv) == rv
    assert store.version == 2


def test_compare_and_set(store: Store) -> None:
    rv = store.put("jobs", "a", job(), expect=0)
    with pytest.raises(ConflictError, match="jobs/a exists already"):
        store.put("jobs", "a", job("Running"), expect=0)
    newer = store.put("jobs", "a", job("Running"), expect=rv)
    with pytest.raises(ConflictError, match=f"expected at version {rv}, but it is at.*{newer}"):
        store.put("jobs", "a", job("Failed"), expect=rv)
    with pytest.raises(ConflictError, match="expected at version 7, but it does not exist"):
        store.put("jobs", "b", job(), expect=7)
    with pytest.raises(ConflictError):
        store.delete("jobs", "a", expect=rv)
    store.delete("jobs", "a", expect=newer)
    with pytest.raises(NotFoundError, match="jobs/a does not exist"):
        store.delete("jobs", "a")
    assert store.put("jobs", "a", job(), expect=0) == newer + 2


def test_a_transaction_is_done_whole_or_not_at_all(store: Store) -> None:
    store.put("jobs", "a", job())
    done = store.submit([Put("leases", "l", {}, expect=0), Delete("jobs", "a"), Put("w", "w", {})])
    assert done.result() == store.version == 4
    failed = store.submit([Put("jobs", "n", job()), Delete("jobs", "a")])
    with pytest.raises(NotFoundError):
        failed.result()
    assert store.get("jobs", "n") is None
    assert store.version == 4


def test_a_transaction_that_changes_nothing_has_the_version_of_what_it_names(store: Store) -> None:
    rv = store.put("jobs", "a", job())
    store.put("jobs", "b", job())
    assert store.submit([Put("jobs", "a", job())]).result() == rv
    assert store.submit([]).result() == store.version == 2


@pytest.mark.parametrize(
    ("table", "id_", "doc", "what"),
    [
        ("jobs", "a", [1], "jobs/a: a document is a JSON object, not list"),
        ("jobs", "a", job(x=float("nan")), "jobs/a.x: nan is not"),
        ("jobs", "a", job(x=[1.5, {"y": (float("-inf"),)}]), r"jobs/a.x\[1\].y\[0\]: -inf"),
        ("jobs", "a", job(x={1: 2}), "jobs/a: not a JSON document: Dict key must be str"),
        ("jobs", "a", job(x=object()), "jobs/a: not a JSON document"),
        ("jobs", "a", job(x=2**70), "jobs/a: not a JSON document: Integer exceeds 64-bit range"),
        ("jobs", "a", job(x="\ud800"), "jobs/a: not a JSON document"),
        ("jobs", "", job(), "record id: expected a non-empty string, got ''"),
        ("jobs", 7, job(), "record id: expected a non-empty string, got 7"),
        ("jobs", "\ud800", job(), "not valid Unicode"),
        ("", "a", job(), "table name"),
        ("jobs", "a", {"no": "phase"}, "jobs/a: index 'phase' cannot read the document: KeyError"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    store: Store, table: Any, id_: Any, doc: Any, what: str
) -> None:
    with pytest.raises(ValidationError, match=what):
        store.put(table, id_, doc)
    assert store.version == 0


def test_two_operations_on_a_record_in_one_transaction_are_refused(store: Store) -> None:
    with pytest.raises(ValidationError, match="two operations"):
        store.submit([Put("jobs", "a", job()), Delete("jobs", "a")])


def test_lists_come_with_the_version_they_are_whole_at(store: Store) -> None:
    store.put("jobs", "a", job())
    store.put("leases", "l", {})
    store.put("jobs", "b", job())
    records, rv = store.list("jobs")
    assert [(r.id, r.rv) for r in records] == [("a", 1), ("b", 3)]
    assert rv == 3
    assert store.list("none") == ([], 3)
    assert store.ids("jobs") == ["a", "b"]


def test_indexes_follow_the_documents(store: Store) -> None:
    store.put("jobs", "a", job("Pending", labels=["x", "y", "x"]))
    store.put("jobs", "b", job("Pending"))
    assert store.ids_by("jobs", "phase", "Pending") == ["a", "b"]
    assert store.ids_by("jobs", "label", "x") == ["a"]
    store.put("jobs", "a", job("Running", labels=["y"]))
    assert [r.id for r in store.by("jobs", "phase", "Running")] == ["a"]
    assert store.by("jobs", "phase", "Running") == [store.get("jobs", "a")]
    assert store.count("jobs", "phase", "Pending") == 1
    assert store.count("jobs", "label", "x") == 0
    assert store.count("jobs", "label", "y") == 1
    store.delete("jobs", "a")
    assert store.by("jobs", "label", "y") == []
    assert store.ids_by("jobs", "phase", "none") == []


@pytest.mark.parametrize(("table", "index"), [("jobs", "color"), ("leases", "phase")])
def test_an_index_that_does_not_exist_is_an_error(store: Store, table: str, index: str) -> None:
    with pytest.raises(LookupError, match=f"table '{table}' has no index '{index}'"):
        store.by(table, index, "x")


def test_a_document_may_have_no_keys_at_all() -> None:
    store = Store.open(None, {"t": {"tag": lambda doc: doc["tags"]}})
    store.put("t", "a", {"tags": ["x"]})
    store.put("t", "a", {"tags": []})
    store.put("t", "b", {"tags": []})
    assert store.count("t", "tag", "x") == 0
    store.put("t", "a", {"tags": ["x"]})
    assert store.ids_by("t", "tag", "x") == ["a"]


def test_everything_is_there_after_a_restart(reopen: Callable[[], Store]) -> None:
    store = reopen()
    store.put("jobs", "a", job("Running", labels=["x"]))
    store.put("jobs", "gone", job())
    store.put("leases", "tab\tand\nline", {"deep": {"er": [1, None]}})
    store.delete("jobs", "gone")
    before = [store.list(table) for table in ("jobs", "leases")]
    for _ in range(2):
        store = reopen()
        assert [store.list(table) for table in ("jobs", "leases")] == before
        assert store.version == 4
        assert store.ids_by("jobs", "label", "x") == ["a"]
        assert store.count("jobs", "phase", "Pending") == 0
    assert store.put("jobs", "b", job()) == 5


def test_what_holds_secrets_is_readable_by_its_owner_only(
    reopen: Callable[[], Store], tmp_path: Path
) -> None:
    store = reopen()
    store.put("jobs", "a", job())
    store.compact()
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "store").iterdir()} == {0o600}


def test_a_closed_store_can_be_read_but_not_written(store: Store) -> None:
    store.put("jobs", "a", job())
    store.close()
    store.close()
    assert store.get("jobs", "a") is not None
    with pytest.raises(StoreError, match="the store is closed"):
        store.put("jobs", "a", job("Running"))


def test_sixty_four_writers_lose_nothing(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(3):
            store.put("jobs", f"{writer}-{number}", job())
            count_one()

    def count_one() -> None:
        while True:
            record = store.get("counters", "shared")
            count = record.doc["count"] + 1 if record else 1
            try:
                store.put("counters", "shared", {"count": count}, record.rv if record else 0)
            except ConflictError:
                continue
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.ids("jobs")) == 192
    counter = store.get("counters", "shared")
    assert counter is not None
    assert counter.doc == {"count": 192}
    assert store.version == 384


def test_in_memory_there_are_no_threads() -> None:
    before = threading.active_count()
    store = Store.open(None)
    future = store.submit([Put("jobs", "a", job())])
    assert future.done()
    store.compact()
    assert threading.active_count() == before
    assert store.healthy


def test_records_compare_by_content() -> None:
    assert Record("t", "a", 1, b"{}") == Record("t", "a", 1, b"{}")
