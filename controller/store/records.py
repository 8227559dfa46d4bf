"""What goes in and comes out of the store: operations, records, events. Pure; used everywhere here.

A record is one JSON document with a table, an id and a version (`rv`). Versions count the changes
of the whole store: every change of one record takes the next one, and it survives restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from .codec import ADDED, DELETED, MODIFIED, decode

Doc: TypeAlias = dict[str, Any]
KeyFunction: TypeAlias = Callable[[Doc], Iterable[str]]
Indexes: TypeAlias = Mapping[str, Mapping[str, KeyFunction]]
"""table → index name → function from a document to the values it is found under."""


class Entry(NamedTuple):
    """A record as it is kept: its version and its document as JSON."""

    rv: int
    raw: bytes


class Change(NamedTuple):
    """One applied operation. kind: a codec kind; raw: the document, for a deletion the last one.

    keys: (index, value) pairs of the new document, empty for a deletion.
    """

    kind: bytes
    table: str
    id: str
    rv: int
    raw: bytes
    keys: tuple[tuple[str, str], ...] = ()


class EventType(str, Enum):
    """What happened to a record; BOOKMARK only says how far a watcher has come."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


_TYPES: Final = {
    ADDED: EventType.ADDED,
    MODIFIED: EventType.MODIFIED,
    DELETED: EventType.DELETED,
}


@dataclass(frozen=True)
class Record:
    """A document with its place and version. `doc` is the holder's own: nothing stored aliases it."""

    table: str
    id: str
    rv: int
    raw: bytes = field(repr=False)

    @cached_property
    def doc(self) -> Doc:
        """The document, decoded on first use."""
        return decode(self.raw)


@dataclass(frozen=True)
class Event:
    """One change as a watcher sees it. BOOKMARK has no record: "" for table and id, {} for doc."""

    type: EventType
    rv: int
    record: Record | None = None

    @property
    def table(self) -> str:
        """Table of the record."""
        return self.record.table if self.record else ""

    @property
    def id(self) -> str:
        """Id of the record."""
        return self.record.id if self.record else ""

    @property
    def doc(self) -> Doc:
        """The document after the change; for DELETED the last one there was."""
        return self.record.doc if self.record else {}

    @classmethod
    def of(cls, change: Change) -> Event:
        """The event of one applied change."""
        record = Record(change.table, change.id, change.rv, change.raw)
        return cls(_TYPES[change.kind], change.rv, record)

    @classmethod
    def bookmark(cls, rv: int) -> Event:
        """Nothing the watcher asked for happened up to `rv`."""
        return cls(EventType.BOOKMARK, rv)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole document. expect: version it must be at, 0 for must not exist, None for any."""

    table: str
    id: str
    doc: Mapping[str, Any]
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record. expect: the version it must be at, None for any."""

    table: str
    id: str
    expect: int | None = None


Op: TypeAlias = Put | Delete
