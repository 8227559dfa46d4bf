"""TinyDB behind a journal: versions, compare-and-set, watch. See `adr/0001-store-journal.md`.

The controller uses `Store`. Inside, from the outside in: `store` (facade) and `database` (TinyDB's
API) → `storage` (open, compact, close) → `committer` (one writer) → `transaction`, `layers` →
`state`, `ring` (what readers see); `journal`, `recovery`, `disk`, `codec` are the files.
"""

from __future__ import annotations

from .database import RecordDB, RecordTable
from .records import Delete, Doc, Event, EventType, Indexes, Op, Put, Record
from .ring import Watcher
from .storage import JournalStorage
from .store import Store

__all__ = [
    "Delete",
    "Doc",
    "Event",
    "EventType",
    "Indexes",
    "JournalStorage",
    "Op",
    "Put",
    "Record",
    "RecordDB",
    "RecordTable",
    "Store",
    "Watcher",
]
