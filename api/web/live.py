"""Server-sent events: how streams are opened, paced and ended. I/O: none of its own.

A stream sends what has changed since it last sent, not every change: who reads slowly is sent less,
and what it has not read yet is bounded by what the socket takes. `board.py` and `following.py` say
what is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import StreamingResponse

from ...crd_like_specs.errors import UnavailableError

MOST: Final = 64
"""Streams at once; a page has two."""

LEAST_PAUSE: Final = 0.15
"""Seconds between two events of a stream."""

SHARE: Final = 8.0
"""All streams together pause so many times as long as they took to find out what to send: however
many look, the controller has its time for jobs."""

BEAT: Final = 5.0
"""Seconds after which it looks again though nothing was said."""


def event(kind: str, data: Any, id_: str = "") -> str:
    """One event in the format of `text/event-stream`; data: anything that JSON holds."""
    head = f"id: {id_}\n" if id_ else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


class Streams:
    """Those that are open. stopping: set when they are to end, also by another one's `end`."""

    def __init__(self, stopping: asyncio.Event | None = None) -> None:
        self.count = 0
        self.stopping = stopping or asyncio.Event()

    def end(self) -> None:
        """End them all: the controller stops."""
        self.stopping.set()

    def open(self, events: AsyncIterator[str]) -> StreamingResponse:
        """The answer with these. UnavailableError where there are too many."""
        if self.count >= MOST:
            raise UnavailableError(f"{MOST} streams are open already: close some pages")
        return StreamingResponse(
            self._counted(events),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, events: Any) -> AsyncIterator[str]:
        self.count += 1
        try:
            async for piece in events:
                yield piece
        finally:
            self.count -= 1
            await events.aclose()


class Pace:
    """When one stream looks again. news: set by whatever may have changed."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._took = 0.0
        self.news = asyncio.Event()

    def begin(self) -> None:
        """From here on, news count as news."""
        self.news.clear()
        self._began = self._loop.time()

    def worked(self) -> None:
        """What is to be sent is known; however long the sending takes does not count."""
        self._took = self._loop.time() - self._began

    @property
    def rest(self) -> float:
        """Seconds until it may look again: longer the more others look too."""
        return max(LEAST_PAUSE, SHARE * self._took * self._streams.count)

    async def wait(self) -> bool:
        """Return once there is something to look at, and the stream has rested; False: it ends."""
        stopping = self._streams.stopping
        await _sleep(self.rest, stopping)
        await _sleep(BEAT, self.news, stopping)
        return not stopping.is_set()


async def _sleep(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events, at most so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
