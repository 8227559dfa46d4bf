"""What is durable, in memory: tables, secondary indexes and the ring of recent changes.

No I/O. One thread applies (recovery first, then whoever commits); any thread reads. Everything a
reader may see changes under one lock, so that lists, versions and watches agree with each other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from ...crd_like_specs.errors import ValidationError
from .codec import DELETED, decode
from .records import Change, Doc, Entry, Indexes, KeyFunction
from .ring import Ring

_NOTHING: Final[dict[str, Entry]] = {}
Keys = tuple[tuple[str, str], ...]


class TableIndex:
    """The secondary indexes of one table: index → value → ids, and id → its keys."""

    def __init__(self, table: str, functions: dict[str, KeyFunction]) -> None:
        self._table = table
        self._functions = functions
        # Dicts for sets: they keep their order, so that runs repeat exactly.
        self._ids: dict[str, dict[str, dict[str, None]]] = {name: {} for name in functions}
        self._keys: dict[str, Keys] = {}

    def keys(self, id_: str, doc: Doc) -> Keys:
        """(index, value) pairs; ValidationError where a key function cannot read the document."""
        found: dict[tuple[str, str], None] = {}
        for name, function in self._functions.items():
            try:
                for value in function(doc):
                    found[name, value] = None
            except Exception as error:
                raise ValidationError(
                    f"{self._table}/{id_}: index {name!r} cannot read the document: {error!r}"
                ) from error
        return tuple(found)

    def set(self, id_: str, keys: Keys) -> None:
        """File the record under these keys and no others."""
        old = self._keys.get(id_, ())
        if old == keys:
            return
        for name, value in old:
            ids = self._ids[name][value]
            del ids[id_]
            if not ids:
                del self._ids[name][value]
        for name, value in keys:
            self._ids[name].setdefault(value, {})[id_] = None
        if keys:
            self._keys[id_] = keys
        else:
            self._keys.pop(id_, None)

    def ids(self, index: str, value: str) -> dict[str, None]:
        """Ids under a value; LookupError if there is no such index."""
        if index not in self._ids:
            raise LookupError(f"table {self._table!r} has no index {index!r}")
        return self._ids[index].get(value, {})


class State:
    """See the module docstring. `rv`: version of the last change applied."""

    def __init__(self, indexes: Indexes, ring: Ring) -> None:
        self.lock = threading.Lock()
        self.ring = ring
        self.rv = 0
        self._tables: dict[str, dict[str, Entry]] = {}
        self._indexes = {table: TableIndex(table, dict(made)) for table, made in indexes.items()}

    # Reading, from any thread

    def names(self) -> list[str]:
        """Tables that hold something."""
        with self.lock:
            return [name for name, entries in self._tables.items() if entries]

    def entries(self, table: str) -> dict[str, Entry]:
        """The live table. Only the thread that applies may iterate over it."""
        return self._tables.get(table, _NOTHING)

    def listing(self, table: str) -> tuple[list[tuple[str, Entry]], int]:
        """All of a table, and the version at which this was all of it."""
        with self.lock:
            return list(self.entries(table).items()), self.rv

    def found(self, table: str, index: str, value: str) -> list[tuple[str, Entry]]:
        """Records under a value of an index."""
        with self.lock:
            entries = self.entries(table)
            return [(id_, entries[id_]) for id_ in self._index(table, index).ids(index, value)]

    def found_ids(self, table: str, index: str, value: str) -> list[str]:
        """Their ids alone."""
        with self.lock:
            return list(self._index(table, index).ids(index, value))

    def number(self, table: str, index: str, value: str) -> int:
        """How many there are."""
        with self.lock:
            return len(self._index(table, index).ids(index, value))

    def _index(self, table: str, index: str) -> TableIndex:
        made = self._indexes.get(table)
        if made is None:
            raise LookupError(f"table {table!r} has no index {index!r}")
        return made

    # Changing, from one thread

    def keys(self, table: str, id_: str, raw: bytes) -> Keys:
        """What the document will be filed under; to be asked before anything is written."""
        made = self._indexes.get(table)
        return made.keys(id_, decode(raw)) if made else ()

    def apply(self, changes: Sequence[Change]) -> None:
        """Make durable changes visible, all at once."""
        with self.lock:
            for change in changes:
                if change.kind == DELETED:
                    del self._tables[change.table][change.id]
                else:
                    self._set(change.table, change.id, Entry(change.rv, change.raw))
                made = self._indexes.get(change.table)
                if made:
                    made.set(change.id, change.keys)
                self.rv = change.rv
                self.ring.append(change)

    def load(self, rv: int, records: Iterable[tuple[int, str, str, bytes]]) -> int:
        """Take over a snapshot (rv, table, id, document each) that holds all up to `rv`.

        Returns how many there were. The ring starts after it: watchers from before must list again.
        """
        count = 0
        for record_rv, table, id_, raw in records:
            keys = self.keys(table, id_, raw)
            self._set(table, id_, Entry(record_rv, raw))
            if keys:
                self._indexes[table].set(id_, keys)
            count += 1
        self.rv = rv
        self.ring.start_after(rv)
        return count

    def copy(self) -> dict[str, dict[str, Entry]]:
        """Every table, sharing the entries: what a snapshot is written from."""
        return {name: dict(entries) for name, entries in self._tables.items()}

    def _set(self, table: str, id_: str, entry: Entry) -> None:
        self._tables.setdefault(table, {})[id_] = entry
