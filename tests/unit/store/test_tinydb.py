"""TinyDB's own API over the journal, where it coincides with the stock one and where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cumulus.controller.store import JournalStorage, RecordDB, RecordTable
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from tinydb import TinyDB, where
from tinydb.storages import MemoryStorage
from tinydb.table import Document


@pytest.fixture(params=["memory", "journal"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordDB]:
    folder = tmp_path if request.param == "journal" else None
    with RecordDB(folder, indexes={"jobs": {"phase": lambda doc: (doc["phase"],)}}) as opened:
        yield opened


@pytest.fixture
def jobs(db: RecordDB) -> RecordTable:
    table = db.table("jobs")
    assert isinstance(table, RecordTable)
    return table


def doc(id_: str, phase: str = "Pending", **more: Any) -> Document:
    return Document({"phase": phase, **more}, id_)  # type: ignore[arg-type]


def test_insert_get_search_update_remove(jobs: RecordTable) -> None:
    assert jobs.insert(doc("a")) == "a"
    assert jobs.insert_multiple([doc("b"), doc("c", "Running")]) == ["b", "c"]
    assert len(jobs) == 3
    found = jobs.get(doc_id="a")  # type: ignore[call-overload]
    assert found == {"phase": "Pending"}
    assert found.doc_id == "a"
    assert jobs.get(doc_id="z") is None  # type: ignore[call-overload]
    assert jobs.contains(doc_id="b")  # type: ignore[arg-type]
    assert jobs.contains(where("phase") == "Running")
    assert [d.doc_id for d in jobs.search(where("phase") == "Pending")] == ["a", "b"]
    assert jobs.update({"phase": "Failed"}, where("phase") == "Pending") == ["a", "b"]
    assert jobs.update({"seen": True}) == ["a", "b", "c"]
    assert jobs.count(where("seen") == True) == 3  # noqa: E712 (TinyDB's query language)
    assert jobs.remove(where("phase") == "Failed") == ["a", "b"]
    assert jobs.remove(doc_ids=["c", "z"]) == ["c"]  # type: ignore[list-item]
    assert jobs.all() == []


def test_upsert_and_truncate(jobs: RecordTable) -> None:
    assert jobs.upsert(doc("a")) == ["a"]
    assert jobs.upsert(doc("a", "Running", more=1)) == ["a"]
    assert jobs.all() == [{"phase": "Running", "more": 1}]
    jobs.truncate()
    assert len(jobs) == 0


def test_an_id_that_exists_cannot_be_inserted(jobs: RecordTable) -> None:
    jobs.insert(doc("a"))
    with pytest.raises(ValueError, match="already exists"):
        jobs.insert(doc("a"))


def test_ids_are_never_made_up(jobs: RecordTable) -> None:
    with pytest.raises(ValueError, match="insert Document"):
        jobs.insert({"phase": "Pending"})
    with pytest.raises(ValidationError, match="id in table 'jobs'"):
        jobs.insert(doc(7))  # type: ignore[arg-type]


def test_an_update_that_raises_leaves_nothing_behind(jobs: RecordTable) -> None:
    jobs.insert_multiple([doc("a"), doc("b")])

    def half(found: Any) -> None:
        found["phase"] = "Running"
        if found.get("stop"):
            raise RuntimeError("half way")

    jobs.update({"stop": True}, doc_ids=["b"])  # type: ignore[list-item]
    rv = jobs.list()[1]
    with pytest.raises(RuntimeError, match="half way"):
        jobs.update(half)
    assert [d["phase"] for d in jobs.all()] == ["Pending", "Pending"]
    assert jobs.list()[1] == rv


def test_an_update_that_changes_nothing_costs_no_version(jobs: RecordTable) -> None:
    jobs.insert(doc("a"))
    rv = jobs.list()[1]
    jobs.update({"phase": "Pending"})
    jobs.update({"phase": "Running"}, doc_ids=["z"])  # type: ignore[list-item]
    assert jobs.list()[1] == rv


def test_results_never_alias_what_is_stored(jobs: RecordTable) -> None:
    jobs.insert(doc("a", inner={"n": 1}))
    query = where("phase") == "Pending"
    jobs.search(query)[0]["inner"]["n"] = 2
    assert jobs.search(query)[0]["inner"]["n"] == 1
    jobs.all()[0]["inner"]["n"] = 3
    assert jobs.all()[0]["inner"]["n"] == 1


def test_one_and_true_are_not_confused(jobs: RecordTable) -> None:
    jobs.insert(doc("a", n=1))
    jobs.insert(doc("b", n="1"))
    assert len(jobs.search(where("n") == 1)) == 1
    assert [type(d["n"]) for d in jobs.search(where("n") == True)] == [int]  # noqa: E712 (as above)


def test_versions_and_indexes(jobs: RecordTable) -> None:
    rv = jobs.put("a", {"phase": "Pending"}, expect=0)
    with pytest.raises(ConflictError):
        jobs.put("a", {"phase": "Running"}, expect=rv + 1)
    assert [d.doc_id for d in jobs.by("phase", "Pending")] == ["a"]
    docs, version = jobs.list()
    assert (docs, version) == ([{"phase": "Pending"}], rv)
    assert jobs.delete("a", expect=rv) == rv + 1
    with pytest.raises(NotFoundError):
        jobs.delete("a")


def test_tables_and_dropping_them(db: RecordDB) -> None:
    for name in ("jobs", "leases", "workers"):
        db.table(name).insert(doc("a"))
    assert db.tables() == {"jobs", "leases", "workers"}
    db.drop_table("leases")
    db.drop_table("never there")
    assert db.tables() == {"jobs", "workers"}
    db.drop_tables()
    assert db.tables() == set()
    assert "RecordDB" in repr(db)


def test_the_storage_contract_of_tinydb(db: RecordDB) -> None:
    storage = db.storage
    assert isinstance(storage, JournalStorage)
    assert storage.read() is None
    storage.write({"jobs": {"a": {"phase": "Pending"}, "b": {"phase": "Running"}}})
    read = storage.read()
    assert read is not None
    assert list(read) == ["jobs"]
    docs = read["jobs"]
    assert list(docs) == ["a", "b"]
    assert "a" in docs
    assert 7 not in docs
    assert list(docs.values()) == [{"phase": "Pending"}, {"phase": "Running"}]
    assert dict(docs.items()) == {"a": {"phase": "Pending"}, "b": {"phase": "Running"}}
    assert docs["a"] == {"phase": "Pending"}
    with pytest.raises(KeyError):
        docs["z"]
    storage.write({"jobs": {"b": {"phase": "Failed"}}, "leases": {"l": {}}})
    read = storage.read()
    assert read is not None
    assert {name: dict(docs) for name, docs in read.items()} == {
        "jobs": {"b": {"phase": "Failed"}},
        "leases": {"l": {}},
    }


def test_a_transaction_reads_what_it_wrote(jobs: RecordTable) -> None:
    jobs.insert_multiple([doc("a"), doc("b")])
    seen: list[object] = []

    def updater(table: Any) -> None:
        del table["a"]
        seen.append(list(table))
        table["c"] = {"phase": "Pending"}
        table["a"] = {"phase": "Running"}
        seen.extend([list(table), len(table), "a" in table, 7 in table])
        table["b"]["phase"] = "Failed"
        seen.append(table["b"])
        table.pop("c")
        seen.append(list(table))
        with pytest.raises(KeyError):
            table["c"]
        with pytest.raises(KeyError):
            del table["c"]

    jobs._update_table(updater)
    assert seen == [["b"], ["b", "c", "a"], 3, True, False, {"phase": "Failed"}, ["b", "a"]]
    assert {d.doc_id: d["phase"] for d in jobs.all()} == {"a": "Running", "b": "Failed"}


def test_the_default_table_works_as_in_tinydb() -> None:
    with RecordDB() as ours, TinyDB(storage=MemoryStorage) as stock:
        ours.insert(doc("a"))
        stock.insert({"phase": "Pending"})
        assert list(ours) == list(stock)
        assert len(ours) == len(stock) == 1
