"""An event loop on a thread of its own, for callers that have none. I/O: none of its own.

Called by `sync.py`. Ctrl-C in a waiting caller cancels what it waits for, and nothing else. All
clients of a process share the loop: gRPC serves several loops by turns, and one that was closed
holds up the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import aclosing, contextmanager
from typing import Any, Generic, TypeVar

from ..crd_like_specs.errors import CumulusError
from .errors import JobError

T = TypeVar("T")

AHEAD = 256
"""Items of a flow that wait for their reader at most."""

_END: Any = object()


class _Loop:
    """The thread, as long as anybody uses it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.users = 0
        self._thread = threading.Thread(target=self._turn, name="cumulus-client", daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self.loop.shutdown_asyncgens(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


_shared: list[_Loop] = []  # one or none
_sharing = threading.Lock()


class Background:
    """One client's way to the loop. Usable from any thread but the loop's, to be closed."""

    def __init__(self) -> None:
        with _sharing:
            if not _shared:
                _shared.append(_Loop())
            self._turning = _shared[0]
            self._turning.users += 1
        self.closed = self._leaving = False
        self._ends: set[Callable[[], Coroutine[Any, Any, None]]] = set()

    def close(self) -> None:
        """End every flow and leave the loop; the last one ends it. Twice is once."""
        self._leaving = True
        for end in list(self._ends):
            self.do(end())
        with _sharing:
            if self.closed:
                return
            self.closed = True
            self._turning.users -= 1
            if not self._turning.users:
                _shared.remove(self._turning)
                self._turning.end()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a result. Errors of ours come without the frames and causes of the loop: what
        they say is for the caller. What a job raised keeps the job's traceback.
        """
        if self.closed:
            work.close()
            raise CumulusError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._turning.loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        except CancelledError:
            if self._leaving:
                raise CumulusError("the client was closed meanwhile") from None
            raise
        except CumulusError as e:
            cause = e.__cause__ if isinstance(e, JobError) else None
            raise e.with_traceback(None) from cause

    def each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """One item for each that is asked for. Leaving the iterator closes the generator."""
        asked: asyncio.Task[Any] | None = None

        async def following() -> T:
            nonlocal asked
            asked = asyncio.current_task()
            return await anext(items, _END)

        async def close() -> None:
            if asked is not None and not asked.done():  # the client is closed by another thread
                asked.cancel()
                await asyncio.wait([asked])
            await items.aclose()

        with self._closing(close):
            while (item := self.do(following())) is not _END:
                yield item

    def flow(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """The same for generators that nobody steers: a few are drawn ahead, so that a hundred
        thousand of them do not cross between the threads one by one.
        """
        flow = _Flow(items)
        with self._closing(flow.close):
            while batch := self.do(flow.take()):
                yield from batch

    @contextmanager
    def _closing(self, end: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
        """The end of a generator comes when it is left, or with the client."""
        self._ends.add(end)
        try:
            yield
        finally:
            self._ends.discard(end)
            if not self.closed:
                self.do(end())


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
