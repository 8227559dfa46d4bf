"""A transaction while it is being made: reads through layers, writes into a layer of its own.

Pure. Made by the committer for each piece of work; handed to the work, then sealed into changes.
A transaction that raises leaves nothing behind; one that changes nothing has no changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final

from ...crd_like_specs.errors import ConflictError, NotFoundError
from .codec import ADDED, DELETED, MODIFIED, check_name, decode, encode
from .layers import Entries, Layer
from .records import Change, Doc, Entry
from .state import Keys, State

_UNSEALED: Final = Entry(0, b"")


class Batch:
    """What the transactions of one write have changed so far, over the durable state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._layers: dict[str, Layer] = {}
        self.rv = state.rv

    def table(self, name: str) -> Entries:
        """The table as the transactions before left it."""
        layer = self._layers.get(name)
        return self._state.entries(name) if layer is None else layer

    def names(self) -> Iterable[str]:
        """Tables that may hold something."""
        return dict.fromkeys([*self._state.names(), *self._layers])

    def keys(self, table: str, id_: str, raw: bytes) -> Keys:
        """What the document will be filed under."""
        return self._state.keys(table, id_, raw)

    def take(self, changes: Iterable[Change]) -> None:
        """A transaction succeeded: what it changed is the base of the next one."""
        for change in changes:
            layer = self._layers.get(change.table)
            if layer is None:
                layer = self._layers[change.table] = Layer(self._state.entries(change.table))
            if change.kind == DELETED:
                layer.drop(change.id)
            else:
                layer.set(change.id, Entry(change.rv, change.raw))
            self.rv = change.rv


class Transaction:
    """See the module docstring. Several tables may be changed at once."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._layers: dict[str, Layer] = {}
        self._views: dict[str, Txn] = {}

    def table(self, name: str) -> Txn:
        """The table as a dict of documents that may be changed in place."""
        if name not in self._views:
            self._views[name] = Txn(name, self._layer(name))
        return self._views[name]

    def names(self) -> list[str]:
        """Tables that may hold something."""
        return list(self._batch.names())

    def put(self, table: str, id_: str, raw: bytes, expect: int | None) -> None:
        """Write an encoded document; ConflictError unless the record is at `expect`."""
        layer = self._layer(table)
        if expect is not None:
            _check(table, id_, layer.get(id_), expect)
        layer.set(id_, Entry(0, raw))

    def delete(self, table: str, id_: str, expect: int | None) -> None:
        """Remove a record; NotFoundError if there is none, ConflictError unless at `expect`."""
        layer = self._layer(table)
        entry = layer.get(id_)
        if entry is None:
            raise NotFoundError(f"{table}/{id_} does not exist")
        if expect is not None:
            _check(table, id_, entry, expect)
        layer.drop(id_)

    def seal(self) -> tuple[list[Change], int]:
        """What changed, versions given, and the highest version among all that was written.

        A document that is written as it already was keeps its version.
        """
        for view in self._views.values():
            view.flush()
        changes: list[Change] = []
        rv = self._batch.rv
        highest = 0
        for table, layer in self._layers.items():
            for id_, entry in layer.changes.items():
                old = layer.base.get(id_)
                keys: Keys = ()
                if entry is None:
                    if old is None:
                        continue
                    kind, raw = DELETED, old.raw
                elif old is not None and old.raw == entry.raw:
                    highest = max(highest, old.rv)
                    continue
                else:
                    kind, raw = (MODIFIED if old else ADDED), entry.raw
                    keys = self._batch.keys(table, id_, raw)
                rv = highest = rv + 1
                changes.append(Change(kind, table, id_, rv, raw, keys))
        return changes, highest or self._batch.rv

    def _layer(self, table: str) -> Layer:
        layer = self._layers.get(table)
        if layer is None:
            check_name(table, "table name")
            layer = self._layers[table] = Layer(self._batch.table(table))
        return layer


def _check(table: str, id_: str, entry: Entry | None, expect: int) -> None:
    found = entry.rv if entry else 0
    if found == expect:
        return
    if expect == 0:
        raise ConflictError(f"{table}/{id_} exists already (version {found})")
    now = f"it is at version {found}" if entry else "it does not exist"
    raise ConflictError(f"{table}/{id_} was expected at version {expect}, but {now}")


class Txn(MutableMapping[str, Doc]):
    """A table inside a transaction. Documents read from it may be changed in place."""

    def __init__(self, name: str, layer: Layer) -> None:
        self._name = name
        self._layer = layer
        self._open: dict[str, Doc] = {}

    def __getitem__(self, key: str) -> Doc:
        if key not in self._open:
            entry = self._layer.get(key)
            if entry is None:
                raise KeyError(key)
            self._open[key] = decode(entry.raw)
        return self._open[key]

    def __setitem__(self, key: str, value: Doc) -> None:
        check_name(key, f"id in table {self._name!r}")
        self._layer.set(key, _UNSEALED)
        self._open[key] = value

    def __delitem__(self, key: str) -> None:
        if self._layer.get(key) is None:
            raise KeyError(key)
        self._open.pop(key, None)
        self._layer.drop(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._layer.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._layer)

    def __len__(self) -> int:
        return len(self._layer)

    def clear(self) -> None:
        """Remove everything (the inherited one is quadratic here)."""
        for key in list(self):
            del self[key]

    def flush(self) -> None:
        """Encode what was handed out, since it may have been changed in place."""
        for key, doc in self._open.items():
            raw = encode(doc, f"{self._name}/{key}")
            known = self._layer.get(key)
            if known is None or known.raw != raw:
                self._layer.set(key, Entry(0, raw))


def replace_all(
    transaction: Transaction, data: Mapping[str, Mapping[Any, Mapping[str, Any]]]
) -> None:
    """Make the tables equal to `data` and remove all others."""
    for name in transaction.names():
        view = transaction.table(name)
        wanted = data.get(name, {})
        for key in [key for key in view if key not in wanted]:
            del view[key]
    for name, docs in data.items():
        view = transaction.table(name)
        for key, doc in docs.items():
            view[key] = dict(doc)


Work = Callable[[Transaction], object]
