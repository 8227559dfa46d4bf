"""Server-sent events: how streams are opened, paced and ended. I/O: none of its own.

A stream sends what has changed since it last sent, not every change: who reads slowly is sent less,
and what it has not read yet is bounded by what the socket takes. `board.py` and `following.py` say
what is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from fastapi.responses import StreamingResponse

from ...crd_like_specs.errors import UnavailableError

MOST: Final = 64
"""Streams at once; a page has two."""

LEAST_PAUSE: Final = 0.15
"""Seconds between two events of a stream."""

SHARE: Final = 8.0
"""A stream pauses so many times as long as it took to find out what to send."""

BEAT: Final = 5.0
"""Seconds after which it looks again though nothing was said."""


def event(kind: str, data: Any, id_: str = "") -> str:
    """One event in the format of `text/event-stream`; data: anything that JSON holds."""
    head = f"id: {id_}\n" if id_ else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


class Pace:
    """When a stream looks again. Subscribed to whatever may have changed."""

    def __init__(self, stopping: asyncio.Event, news: asyncio.Event | None = None) -> None:
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._took = 0.0
        self.news = news or asyncio.Event()

    def begin(self) -> None:
        """From here on, news count as news."""
        self.news.clear()
        self._began = self._loop.time()

    def worked(self) -> None:
        """What is to be sent is known; however long the sending takes does not count."""
        self._took = self._loop.time() - self._began

    async def wait(self) -> bool:
        """Return once there is something to look at, and the stream has rested; False: it ends."""
        await self._sleep(max(LEAST_PAUSE, SHARE * self._took), self._stopping)
        await self._sleep(BEAT, self.news, self._stopping)
        return not self._stopping.is_set()

    async def _sleep(self, seconds: float, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


class Streams:
    """Those that are open."""

    def __init__(self) -> None:
        self._open = 0
        self._stopping = asyncio.Event()

    def end(self) -> None:
        """End them all: the controller stops."""
        self._stopping.set()

    def open(self, events: Callable[[asyncio.Event], AsyncIterator[str]]) -> StreamingResponse:
        """The answer with what `events(stopping)` gives. UnavailableError where there are too many."""
        if self._open >= MOST:
            raise UnavailableError(f"{MOST} streams are open already: close some pages")
        return StreamingResponse(
            self._counted(events),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(
        self, events: Callable[[asyncio.Event], AsyncIterator[str]]
    ) -> AsyncIterator[str]:
        self._open += 1
        found: Any = events(self._stopping)
        try:
            async for piece in found:
                yield piece
        finally:
            self._open -= 1
            await found.aclose()
