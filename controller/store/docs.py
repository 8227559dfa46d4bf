"""A table as TinyDB reads it: a mapping that decodes on access, so that nothing aliases the store.

No I/O. Made by `RecordTable` and `JournalStorage.read`.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from .codec import decode
from .records import Doc
from .state import State


class Docs(Mapping[str, Doc]):
    """The durable records of one table. Going through it sees one version of the whole table."""

    def __init__(self, state: State, table: str) -> None:
        self._state = state
        self._table = table

    def __getitem__(self, key: str) -> Doc:
        return decode(self._state.entries(self._table)[key].raw)

    def __contains__(self, key: object) -> bool:
        return key in self._state.entries(self._table)

    def __iter__(self) -> Iterator[str]:
        return iter([id_ for id_, _ in self._state.listing(self._table)[0]])

    def __len__(self) -> int:
        return len(self._state.entries(self._table))

    def items(self) -> ItemsView[str, Doc]:
        """(id, document) of every record, decoded one by one."""
        return _Items(self)

    def values(self) -> ValuesView[Doc]:
        """Every document, decoded one by one."""
        return _Values(self)

    def pairs(self) -> Iterator[tuple[str, Doc]]:
        """(id, document) of every record as of now."""
        for id_, entry in self._state.listing(self._table)[0]:
            yield id_, decode(entry.raw)


class _Items(ItemsView[str, Doc]):
    def __init__(self, docs: Docs) -> None:
        super().__init__(docs)
        self._docs = docs

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._docs.pairs()


class _Values(ValuesView[Doc]):
    def __init__(self, docs: Docs) -> None:
        super().__init__(docs)
        self._docs = docs

    def __iter__(self) -> Iterator[Any]:
        return (doc for _, doc in self._docs.pairs())
