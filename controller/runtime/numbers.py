"""A counter that survives restarts, in the store. Implements `api.numbers.NumbersPort`."""

from __future__ import annotations

import asyncio
from typing import Final

from ...crd_like_specs.errors import ConflictError
from ..store import Put, Store

TABLE: Final = "counters"


class Numbers:
    """name: of the counter."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def next(self) -> int:
        """See the port. A number is on disk before anybody is given it, and lost if nobody is."""
        while True:
            record = self._store.get(TABLE, self._name)
            number = int(record.doc["last"]) + 1 if record else 1
            expect = record.rv if record else 0
            op = Put(TABLE, self._name, {"last": number}, expect)
            try:
                await asyncio.wrap_future(self._store.submit([op]))
            except ConflictError:
                continue  # another one took it
            return number
