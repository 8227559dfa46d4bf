"""The store against a plain dict, against stock TinyDB, and its files against damage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cumulus.controller.store import Delete, Put, RecordDB, Store
from cumulus.controller.store.codec import (
    LoggedOp,
    LoggedTransaction,
    batches_within,
    decode,
    encode,
    frame,
    parse_transaction,
    transaction_line,
    unframe,
)
from cumulus.controller.store.layers import Layer
from cumulus.controller.store.records import Entry
from cumulus.controller.store.storage import JournalStorage
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, StoreError
from hypothesis import given, settings
from hypothesis import strategies as st
from store_faults import FakeDisk
from tinydb import TinyDB, where
from tinydb.storages import MemoryStorage
from tinydb.table import Document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DOCS = st.dictionaries(TEXT, JSON, max_size=5)
NAMES = TEXT.filter(bool)
IDS = st.sampled_from(["a", "b", "c", "d"])
TABLES = st.sampled_from(["jobs", "leases"])
SMALL = st.fixed_dictionaries({"n": st.integers(0, 2)})


# Codec


@given(DOCS)
def test_documents_read_back_as_they_were(doc: dict[str, Any]) -> None:
    raw = encode(doc, "here")
    assert decode(raw) == doc
    assert json.loads(raw) == doc
    assert not {b"\t"[0], b"\n"[0]} & set(raw)


OPS = st.one_of(
    st.builds(
        LoggedOp, st.sampled_from([b"A", b"M"]), NAMES, NAMES, DOCS.map(lambda d: encode(d, ""))
    ),
    st.builds(LoggedOp, st.just(b"D"), NAMES, NAMES, st.just(b"")),
)
RVS = st.integers(0, 2**60)


@given(RVS, RVS, st.lists(OPS, max_size=4))
def test_transactions_read_back_as_they_were(batch: int, first: int, ops: list[LoggedOp]) -> None:
    line = transaction_line(batch, first, ops)
    assert line.count(b"\n") == 1
    fields = unframe(line)
    assert fields is not None
    assert parse_transaction(fields) == LoggedTransaction(batch, first, tuple(ops))
    assert list(batches_within(b"rubbish J1 00000000 3 abc" + line)) == [batch]


@given(
    st.lists(
        st.binary(max_size=20).map(lambda b: b.replace(b"\t", b"").replace(b"\n", b"")), min_size=1
    ),
    st.data(),
)
def test_any_damage_to_a_line_shows(fields: list[bytes], data: st.DataObject) -> None:
    line = frame(*fields)
    assert unframe(line) == fields
    at = data.draw(st.integers(0, len(line) - 1))
    flip = data.draw(st.integers(1, 255))
    assert unframe(line[:at] + bytes([line[at] ^ flip]) + line[at + 1 :]) is None
    assert unframe(line[:at]) is None


# Layers

STEPS = st.lists(st.tuples(IDS, st.none() | st.integers(1, 9)), max_size=12)


@given(STEPS, STEPS)
def test_a_layer_is_a_dict_that_leaves_its_base_alone(
    below: list[tuple[str, int | None]], above: list[tuple[str, int | None]]
) -> None:
    model: dict[str, Entry] = {}
    base = Layer({})
    layer = base
    for number, steps in enumerate((below, above)):
        before = dict(model)
        if number:
            layer = Layer(base)
        for key, value in steps:
            if value is not None:
                model[key] = Entry(value, b"")
                layer.set(key, Entry(value, b""))
            elif key in model:
                del model[key]
                layer.drop(key)
        assert list(layer) == list(model)
        assert len(layer) == len(model)
        assert {key: layer.get(key) for key in layer} == model
        if number:
            assert {key: base.get(key) for key in base} == before


# The store against a model

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), TABLES, IDS, SMALL, st.none() | st.integers(0, 12)),
        st.tuples(st.just("delete"), TABLES, IDS, st.none() | st.integers(0, 12)),
        st.tuples(
            st.just("submit"),
            st.lists(
                st.builds(Put, TABLES, IDS, SMALL, st.none() | st.just(0))
                | st.builds(Delete, TABLES, IDS),
                max_size=3,
                unique_by=lambda op: (op.table, op.id),
            ),
        ),
        st.tuples(st.just("compact")),
        st.tuples(st.just("restart")),
    ),
    max_size=25,
)
Model = dict[tuple[str, str], tuple[int, dict[str, Any]]]


class Modelled:
    """What the store should be."""

    def __init__(self) -> None:
        self.rv = 0
        self.records: Model = {}

    def transact(self, ops: list[Put | Delete]) -> int:
        """The version, or the error that the store should raise."""
        records, rv, highest = dict(self.records), self.rv, 0
        for op in ops:
            found = records.get((op.table, op.id))
            if isinstance(op, Delete) and found is None:
                raise NotFoundError("")
            if op.expect is not None and op.expect != (found[0] if found else 0):
                raise ConflictError("")
            if isinstance(op, Put) and found and found[1] == op.doc:
                highest = max(highest, found[0])
                continue
        for op in sorted(ops, key=self._order(ops)):
            found = records.get((op.table, op.id))
            if isinstance(op, Put) and found and found[1] == op.doc:
                continue
            rv = highest = rv + 1
            if isinstance(op, Put):
                records[op.table, op.id] = (rv, dict(op.doc))
            else:
                del records[op.table, op.id]
        self.records, self.rv = records, rv
        return highest or rv

    @staticmethod
    def _order(ops: list[Put | Delete]) -> Any:
        # Versions are given table by table, in the order in which the tables were first named.
        tables = list(dict.fromkeys(op.table for op in ops))
        return lambda op: tables.index(op.table)


def storage_of(disk: FakeDisk | None) -> Store:
    indexes = {"jobs": {"n": lambda doc: (str(doc["n"]),)}}
    db = RecordDB(disk=disk, indexes=indexes)
    assert isinstance(db.storage, JournalStorage)
    return Store(db.storage, db)


@pytest.mark.parametrize("journal", [False, True])
@settings(max_examples=120)
@given(calls=CALLS)
def test_any_sequence_is_what_a_dict_would_be(journal: bool, calls: list[tuple[Any, ...]]) -> None:
    disk = FakeDisk() if journal else None
    store, model = storage_of(disk), Modelled()
    watcher, told = store.watch(0), dict[tuple[str, str], dict[str, Any]]()
    for kind, *arguments in calls:
        if kind == "compact":
            store.compact()
        elif kind == "restart":
            if disk is not None:
                store.close()
                store = storage_of(disk)
                watcher = store.watch()
        else:
            compare(store, model, ops_of(kind, arguments))
            follow(watcher.poll(100), told)
        assert store.version == model.rv
        for table in ("jobs", "leases"):
            records, rv = store.list(table)
            assert rv == model.rv
            expected = {i: v for (t, i), v in model.records.items() if t == table}
            assert {r.id: (r.rv, r.doc) for r in records} == expected
        for n in range(3):
            ids = {i for (t, i), v in model.records.items() if t == "jobs" and v[1]["n"] == n}
            assert set(store.ids_by("jobs", "n", str(n))) == ids
        assert told == {key: doc for key, (_, doc) in model.records.items()}
    store.close()


def ops_of(kind: str, arguments: list[Any]) -> list[Put | Delete]:
    if kind == "submit":
        return list(arguments[0])
    return [Put(*arguments) if kind == "put" else Delete(*arguments)]


def compare(store: Store, model: Modelled, ops: list[Put | Delete]) -> None:
    future = store.submit(ops)
    expected: int | type[Exception]
    try:
        expected = model.transact(ops)
    except (NotFoundError, ConflictError) as error:
        expected = type(error)
    refused = future.exception()
    assert expected == (type(refused) if refused else future.result())


def follow(events: list[Any], told: dict[tuple[str, str], dict[str, Any]]) -> None:
    for event in events:
        key = (event.table, event.id)
        if event.type.value == "DELETED":
            assert told.pop(key) == event.doc
        else:
            assert (event.type.value == "ADDED") == (key not in told)
            told[key] = event.doc


# TinyDB's API against stock TinyDB

QUERIES = st.integers(0, 2).map(lambda n: where("n") == n)
TABLE_CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), IDS, SMALL),
        st.tuples(st.just("insert_multiple"), st.lists(st.tuples(IDS, SMALL), max_size=3)),
        st.tuples(st.just("upsert"), IDS, SMALL),
        st.tuples(st.just("update"), SMALL, QUERIES),
        st.tuples(st.just("update_ids"), SMALL, st.lists(IDS, max_size=3, unique=True)),
        st.tuples(st.just("update_call"), QUERIES),
        st.tuples(st.just("update_multiple"), st.lists(st.tuples(SMALL, QUERIES), max_size=2)),
        st.tuples(st.just("remove"), QUERIES),
        st.tuples(st.just("remove_ids"), st.lists(IDS, max_size=3)),
        st.tuples(st.just("truncate")),
    ),
    max_size=20,
)
NUMBERS = {"a": 1, "b": 2, "c": 3, "d": 4}


def add_one(doc: dict[str, Any]) -> None:
    doc["n"] = (doc["n"] + 1) % 3
    doc.setdefault("seen", []).append(doc["n"])


def call(table: Any, kind: str, arguments: list[Any], ids: Any) -> Any:
    match kind:
        case "insert":
            return table.insert(Document(arguments[1], ids(arguments[0])))
        case "insert_multiple":
            return table.insert_multiple([Document(d, ids(i)) for i, d in arguments[0]])
        case "upsert":
            return table.upsert(Document(arguments[1], ids(arguments[0])))
        case "update":
            return table.update(*arguments)
        case "update_ids":
            return table.update(arguments[0], doc_ids=[ids(i) for i in arguments[1]])
        case "update_call":
            return table.update(add_one, arguments[0])
        case "update_multiple":
            return table.update_multiple(arguments[0])
        case "remove":
            return table.remove(arguments[0])
        case "remove_ids":
            return table.remove(doc_ids=[ids(i) for i in arguments[0]])
        case _:
            return table.truncate()


def outcome(table: Any, kind: str, arguments: list[Any], ids: Any, back: Any) -> Any:
    try:
        result = call(table, kind, arguments, ids)
    except (ValueError, KeyError) as error:
        return type(error)
    return [back(i) for i in result] if isinstance(result, list) else back(result)


@pytest.mark.parametrize("journal", [False, True])
@settings(max_examples=120)
@given(calls=TABLE_CALLS)
def test_any_sequence_is_what_stock_tinydb_would_make_of_it(
    journal: bool, calls: list[tuple[Any, ...]]
) -> None:
    with (
        RecordDB(disk=FakeDisk() if journal else None) as db,
        TinyDB(storage=MemoryStorage) as tiny,
    ):
        ours, stock = db.table("t"), tiny.table("t")
        letters = {number: letter for letter, number in NUMBERS.items()}
        for kind, *arguments in calls:
            # Copies: MemoryStorage keeps what it is given, and nested values alias.
            mine = outcome(ours, kind, arguments, str, lambda i: i)
            before = json.dumps(stock.storage.read())
            theirs = outcome(stock, kind, arguments, NUMBERS.get, lambda i: letters.get(i, i))
            assert mine == theirs
            if isinstance(theirs, type):
                # Stock TinyDB has half done what raised; here nothing was.
                stock.storage.write(json.loads(before) or {})
            assert [(d.doc_id, d) for d in ours.all()] == [
                (letters[d.doc_id], d) for d in stock.all()
            ]
            for n in range(3):
                found = [d.doc_id for d in ours.search(where("n") == n)]
                assert found == [letters[d.doc_id] for d in stock.search(where("n") == n)]
            assert len(ours) == len(stock)


# Damage


@settings(max_examples=150)
@given(writes=st.lists(st.tuples(IDS, SMALL), min_size=1, max_size=8), data=st.data())
def test_a_damaged_journal_is_refused_or_loses_its_last_record_only(
    writes: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    states = [storage.state.copy()]
    for id_, doc in writes:
        raw = encode(doc, id_)
        version = storage.state.rv
        if storage.commit(lambda t, i=id_, r=raw: t.put("t", i, r, None)) > version:
            states.append(storage.state.copy())
    files = disk.contents()
    storage.close()
    journal = bytearray(files["journal.1"])
    last_line = journal.rindex(b"J1 ")
    at = data.draw(st.integers(0, len(journal) - 1))
    journal[at] ^= data.draw(st.integers(1, 255))
    bad = FakeDisk({"journal.1": bytes(journal)})
    if at < last_line or len(states) == 1:
        with pytest.raises(StoreError, match=r"journal\.1 is damaged at offset"):
            JournalStorage(disk=bad)
    else:
        again = JournalStorage(disk=bad)
        assert again.state.copy() == states[-2]
        again.close()


@settings(max_examples=100)
@given(writes=st.lists(st.tuples(IDS, SMALL), min_size=1, max_size=8), data=st.data())
def test_a_cut_anywhere_leaves_a_state_that_was(
    writes: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    header = len(disk.contents()["journal.1"])
    states = [storage.state.copy()]
    for id_, doc in writes:
        raw = encode(doc, id_)
        storage.commit(lambda t, i=id_, r=raw: t.put("t", i, r, None))
        states.append(storage.state.copy())
    journal = disk.contents()["journal.1"]
    storage.close()
    size = data.draw(st.integers(header, len(journal)))
    again = JournalStorage(disk=FakeDisk({"journal.1": journal[:size]}))
    assert again.state.copy() in states
    again.close()
