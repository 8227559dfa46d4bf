"""Changes laid over a table that is not touched: a transaction over a batch over what is durable.

Pure. Both the batch and each transaction in it are layers; dropping one leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .records import Entry


class Entries(Protocol):
    """A table as read: a dict of entries, or a layer over one."""

    def get(self, key: str, /) -> Entry | None:
        """The entry, or None."""

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...


class Layer:
    """A table with changes over `base`, in the order that a dict would have."""

    def __init__(self, base: Entries) -> None:
        self.base = base
        self.changes: dict[str, Entry | None] = {}
        self._appended: dict[str, None] = {}
        self._length = len(base)

    def get(self, key: str, /) -> Entry | None:
        """The entry as changed, or None."""
        return self.changes[key] if key in self.changes else self.base.get(key)

    def set(self, key: str, entry: Entry) -> None:
        """Add or replace; what is new comes last."""
        if self.get(key) is None:
            self._appended[key] = None
            self._length += 1
        self.changes[key] = entry

    def drop(self, key: str) -> None:
        """Remove what is there."""
        self.changes[key] = None
        self._appended.pop(key, None)
        self._length -= 1

    def __iter__(self) -> Iterator[str]:
        for key in self.base:
            if key not in self.changes or (
                self.changes[key] is not None and key not in self._appended
            ):
                yield key
        yield from self._appended

    def __len__(self) -> int:
        return self._length
