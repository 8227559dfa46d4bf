"""Fan-out of "something may have changed" to any number of listeners. In memory only.

A hint carries nothing and is never counted: several that come before a listener looks are one.
Used by every platform for `changes()`; `notify` runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Hints:
    """`listen` may be iterated by several tasks; each sees every hint that comes after it began."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Wake every listener. Call on the event loop (`loop.call_soon_threadsafe` elsewhere)."""
        for listener in self._listeners:
            listener.set()

    async def listen(self) -> AsyncIterator[None]:
        """Yields at once, since anything may have happened before, then after each hint."""
        mine = asyncio.Event()
        mine.set()
        self._listeners.add(mine)
        try:
            while True:
                await mine.wait()
                mine.clear()
                yield
        finally:
            self._listeners.discard(mine)
