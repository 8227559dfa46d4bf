"""TinyDB's own API over the journal: `RecordDB`, its tables, and documents with string ids.

For tools, tests and small tables. The controller itself uses `Store`, since queries read every
document, and `update(cond)` and `remove(cond)` do so while all other writers wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from tinydb import TinyDB
from tinydb.table import Document, Table
from tinydb.utils import LRUCache

from .codec import check_name, decode, encode
from .docs import Docs
from .records import Entry
from .storage import JournalStorage


class NoCache(LRUCache[Any, Any]):
    """A query cache that keeps nothing: results would alias, and 1 and True share a key."""

    def set(self, key: Any, value: Any) -> None:
        """Forget at once."""


class RecordTable(Table):
    """A table with string ids, versions, compare-and-set and secondary indexes.

    `insert` and `upsert` need a `Document(doc, doc_id)`: ids are never made up.
    """

    document_id_class = str  # type: ignore[assignment]  # (TinyDB declares int, and only calls it)
    query_cache_class = NoCache

    @property
    def records(self) -> JournalStorage:
        """The storage, as what it is."""
        storage = self.storage
        assert isinstance(storage, JournalStorage)
        return storage

    def put(self, doc_id: str, doc: Mapping[str, Any], *, expect: int | None = None) -> int:
        """Write a whole document and return its version; ConflictError unless at `expect`."""
        check_name(doc_id, f"id in table {self.name!r}")
        raw = encode(doc, f"{self.name}/{doc_id}")
        return self.records.commit(lambda t: t.put(self.name, doc_id, raw, expect))

    def delete(self, doc_id: str, *, expect: int | None = None) -> int:
        """Remove a record; NotFoundError if there is none, ConflictError unless at `expect`."""
        return self.records.commit(lambda t: t.delete(self.name, doc_id, expect))

    def by(self, index: str, value: str) -> list[Document]:
        """Documents under a value of an index; LookupError if there is no such index."""
        found = self.records.state.found(self.name, index, value)
        return [self._document(id_, entry) for id_, entry in found]

    def list(self) -> tuple[list[Document], int]:
        """Every document, and the version at which these were all."""
        entries, rv = self.records.state.listing(self.name)
        return [self._document(id_, entry) for id_, entry in entries], rv

    def _document(self, id_: str, entry: Entry) -> Document:
        return self.document_class(decode(entry.raw), id_)  # type: ignore[arg-type]  # (as above)

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return Docs(self.records.state, self.name)  # type: ignore[return-value]  # (only read)

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        self.records.commit(lambda transaction: updater(transaction.table(self.name)))

    def _get_next_id(self) -> NoReturn:
        raise ValueError(
            f"table {self.name!r} has string ids: insert Document(doc, doc_id), not a plain dict"
        )


class RecordDB(TinyDB):
    """`RecordDB(folder, indexes=…)`: arguments as for `JournalStorage`."""

    table_class = RecordTable
    default_storage_class = JournalStorage  # type: ignore[assignment]  # (TinyDB's is a default)

    def drop_table(self, name: str) -> None:
        """Remove a table with all it holds, in one transaction."""
        self._records.commit(lambda transaction: transaction.table(name).clear())
        self._tables.pop(name, None)

    def drop_tables(self) -> None:
        """Remove everything, in one transaction."""
        self._records.write({})
        self._tables.clear()

    @property
    def _records(self) -> JournalStorage:
        assert isinstance(self.storage, JournalStorage)
        return self.storage
