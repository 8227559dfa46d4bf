from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from cumulus.chronos_bindings.agent.threads import pieces


class Counting:
    """Gives numbers up to `end`, then fails or waits until it is closed."""

    def __init__(self, end: int, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.end, self.error, self.hangs = end, error, hangs
        self.given = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[int]:
        for number in range(self.end):
            self.given = number
            yield number
        if self.hangs:
            assert self.closed.wait(10), "nobody closed it"
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed.set()


async def test_every_piece_comes_in_order_and_then_the_end() -> None:
    assert [n async for n in pieces(Counting(1000), "t")] == list(range(1000))


async def test_an_error_comes_after_the_pieces_before_it() -> None:
    async with aclosing(pieces(Counting(3, OSError("broke")), "t")) as stream:
        assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="broke"):
            await anext(stream)


async def test_closing_unblocks_the_thread() -> None:
    source = Counting(1, hangs=True)
    async with aclosing(pieces(source, "closing-test")) as stream:
        assert await anext(stream) == 0
    assert source.closed.is_set()


async def test_cancelling_the_consumer_closes_the_source() -> None:
    source = Counting(0, hangs=True)

    async def read() -> list[int]:
        async with aclosing(pieces(source, "t")) as stream:
            return [n async for n in stream]

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed.is_set()


async def test_a_slow_consumer_holds_the_thread_back() -> None:
    source = Counting(10_000)
    async with aclosing(pieces(source, "t")) as stream:
        assert await anext(stream) == 0
        assert source.given < 200, "a bounded number is read ahead"
