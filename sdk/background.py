"""An event loop on a thread of its own, for callers that have none. I/O: none of its own.

Called by `sync.py`. Ctrl-C in a waiting caller cancels what it waits for, and nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from ..crd_like_specs.errors import CumulusError
from .errors import JobError

T = TypeVar("T")

AHEAD = 256
"""Items of a flow that wait for their reader at most."""

_END: Any = object()


class Background:
    """Usable from any thread but its own, to be closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="cumulus-client", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._loop.is_closed()

    def close(self) -> None:
        """End the thread."""
        self.do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a result. Errors of ours come without the frames and causes of the loop: what
        they say is for the caller. What a job raised keeps the job's traceback.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        except CumulusError as e:
            cause = e.__cause__ if isinstance(e, JobError) else None
            raise e.with_traceback(None) from cause

    def each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """One item for each that is asked for. Leaving the iterator closes the generator."""

        async def following() -> T:
            return await anext(items, _END)

        async def close() -> None:
            await items.aclose()

        try:
            while (item := self.do(following())) is not _END:
                yield item
        finally:
            self.do(close())

    def flow(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """The same for generators that nobody steers: a few are drawn ahead, so that a hundred
        thousand of them do not cross between the threads one by one.
        """
        flow = _Flow(items)
        try:
            while batch := self.do(flow.take()):
                yield from batch
        finally:
            self.do(flow.close())

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


class _Flow(Generic[T]):
    """Items drawn by a task until `AHEAD` wait."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._waiting: deque[T] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> list[T]:
        """What waits, at least one; nothing at the end. Raises what the generator raised."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._draw())
            self._task.add_done_callback(lambda _task: self._news.set())
        await self._news.wait()
        batch = list(self._waiting)
        self._waiting.clear()
        self._room.set()
        if not self._task.done():
            self._news.clear()
        elif not batch:
            self._task.result()
        return batch

    async def close(self) -> None:
        """End the generator."""
        if self._task is None:
            await self._items.aclose()
            return
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _draw(self) -> None:
        async with aclosing(self._items):
            async for item in self._items:
                self._waiting.append(item)
                self._news.set()
                while len(self._waiting) >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
