"""Streams of an API: events, text and bytes from iterators of the ports. I/O: none of its own.

Unlike the dashboard's (`live.py`), they send every item. What fails before the first item is an
ordinary error answer; later it is an event `error`, and the stream ends. An event `stopping` says
that the controller goes down: connect again with the last id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Response
from fastapi.responses import StreamingResponse
from loguru import logger
from starlette.types import Receive, Scope, Send

from ...crd_like_specs.errors import CumulusError, UnavailableError
from ..status import to_http
from .live import Streams, event

MOST: Final = 1024
"""Streams of the APIs at once."""

FIRST: Final = 0.5
"""Seconds to wait for the first item, or what is wrong, before the answer begins."""

BEAT: Final = 15.0
"""Seconds between comments of an idle stream, which keep proxies from closing it."""

_STOPPING: Final = object()
_BEAT: Final = object()
_END: Final = object()


class Source:
    """Items of a port's iterator, one at a time, with the controller's stop between them."""

    def __init__(self, items: AsyncIterator[Any], stopping: asyncio.Event) -> None:
        self._items: Any = items
        self._stopping = stopping
        self._next: asyncio.Task[Any] | None = None

    async def begin(self) -> None:
        """Raise what is wrong from the start; anything else comes with `take`."""
        self._next = asyncio.ensure_future(anext(self._items, _END))
        try:
            await asyncio.wait({self._next}, timeout=FIRST)
            if self._next.done() and self._next.exception() is not None:
                self._next.result()
        except BaseException:  # also when the client goes away: nobody would close it any more
            await self.close()
            raise

    async def take(self) -> Any:
        """The next item, _END, _STOPPING, or after a while _BEAT."""
        self._next = self._next or asyncio.ensure_future(anext(self._items, _END))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait(
                {self._next, stop}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stop.cancel()
        if self._next.done():
            done, self._next = self._next, None
            return done.result()
        return _STOPPING if self._stopping.is_set() else _BEAT

    async def close(self) -> None:
        """Read no further."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._items.aclose()


class Stream(StreamingResponse):
    """An answer that ends with its source, and frees it however it ends."""

    def __init__(self, pieces: Any, source: Source, streams: Streams, **options: Any) -> None:
        super().__init__(pieces, **options)
        self._source = source
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.count -= 1
            await self._source.close()

    async def stream_response(self, send: Send) -> None:
        """The answer, without its end where something breaks it off: a part is not the whole."""
        try:
            await super().stream_response(send)
        except CumulusError as error:
            logger.info("an answer is broken off: {}", error.message)


async def events(items: AsyncIterator[str], streams: Streams) -> Stream:
    """The answer with these events, each as `live.event` writes it. The errors of the first item,
    UnavailableError where too many streams are open.
    """
    source = await _open(items, streams)

    async def pieces() -> AsyncIterator[str]:
        try:
            yield "retry: 1000\n\n"
            while (item := await source.take()) is not _END:
                if item is _STOPPING:
                    yield event("stopping", {})
                    return
                yield ": \n\n" if item is _BEAT else item
        except CumulusError as error:
            yield event("error", to_http(error)[1]["error"])

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(pieces(), source, streams, media_type="text/event-stream", headers=headers)


async def data(
    items: AsyncIterator[bytes], streams: Streams, media_type: str, **answer: Any
) -> Stream:
    """The answer with these bytes; one that fails after the first piece is broken off. answer: more
    of the response. The errors of `events`.
    """
    source = await _open(items, streams)

    async def pieces() -> AsyncIterator[bytes]:
        while (item := await source.take()) is not _END:
            if item is _STOPPING:
                raise UnavailableError("the controller is stopping: ask again")
            if item is not _BEAT:
                yield item

    return Stream(pieces(), source, streams, media_type=media_type, **answer)


async def head(items: AsyncIterator[bytes], streams: Streams, media_type: str) -> Response:
    """What `data` would answer, without its body: nothing is read beyond the first piece."""
    source = await _open(items, streams)
    streams.count -= 1
    await source.close()
    answer = Response(media_type=media_type)
    del answer.headers["content-length"]  # of which `data` knows nothing either
    return answer


async def _open(items: AsyncIterator[Any], streams: Streams) -> Source:
    if streams.count >= MOST:
        raise UnavailableError(f"{MOST} streams are open already")
    source = Source(items, streams.stopping)
    await source.begin()
    streams.count += 1
    return source
