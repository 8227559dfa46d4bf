"""A blocking stream read in its own thread, given to asyncio piece by piece. I/O.

Called by `runtime_docker` and `node_facts`: the docker SDK's streams block for as long as a
container runs, so that they cannot live in the bounded pool of short calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_AHEAD: Final = 64  # pieces read ahead of the consumer before the thread waits for it


class Source(Protocol[T_co]):
    """What is read. `__iter__` may block and raise; `close` unblocks it from another thread, may
    be called before the first piece and twice, and raises nothing.
    """

    def __iter__(self) -> Iterator[T_co]:
        """The pieces, in order."""

    def close(self) -> None:
        """Make the iteration end soon."""


async def pieces(source: Source[T], name: str) -> AsyncGenerator[T, None]:
    """Every piece of `source`, then its error if it had one. Closing this closes the source.

    name: of the thread, for people who look at a stuck process.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    stopped = threading.Event()

    def tell(item: tuple[T] | BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:
            stopped.set()  # the loop is closed: nobody listens any more

    def read() -> None:
        try:
            _read(source, room, stopped, lambda piece: tell((piece,)))
        except BaseException as e:  # noqa: BLE001 (it is raised again where the pieces are consumed)
            tell(e)
        else:
            tell(None)

    threading.Thread(target=read, name=name, daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            room.release()
            yield item[0]
    finally:
        stopped.set()
        room.release()
        source.close()


def _read(
    source: Iterable[T],
    room: threading.Semaphore,
    stopped: threading.Event,
    tell: Callable[[T], None],
) -> None:
    for piece in source:
        room.acquire()
        if stopped.is_set():
            return
        tell(piece)
