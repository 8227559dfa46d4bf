"""One function over many inputs, a bounded number at a time. Pure but for what `call` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

WINDOW: Final = 4
"""Times `concurrency`: how far the inputs in work may lead those whose results were taken."""


async def each(
    call: Callable[[int, T], Awaitable[Any]],
    inputs: Iterable[T],
    *,
    concurrency: int,
    ordered: bool,
    return_exceptions: bool,
) -> AsyncGenerator[Any, None]:
    """The result of `call(number, input)` for every input, in their order or as they come.

    At most `concurrency` run at a time, and a few times as many finished ones wait for a slow one
    before them: inputs are drawn as they are needed, so that they may be endless. The first exception ends it, unless
    they are wanted as results; what still runs is then left to itself.
    """
    numbered = enumerate(inputs)
    running: dict[asyncio.Task[Any], int] = {}
    done: dict[int, Any] = {}
    following = 0
    try:
        while True:
            while len(running) < concurrency and len(running) + len(done) < WINDOW * concurrency:
                try:
                    number, one = next(numbered)
                except StopIteration:
                    break
                running[asyncio.ensure_future(call(number, one))] = number
            if not running and not done:
                return
            if running:
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                ended = {running.pop(task): task for task in finished}
                errors = {n: error for n, task in ended.items() if (error := task.exception())}
                if errors and not return_exceptions:
                    raise errors[min(errors)]
                done |= {n: errors[n] if n in errors else t.result() for n, t in ended.items()}
            while done and (not ordered or following in done):
                number = following if ordered else min(done)
                following = number + 1
                yield done.pop(number)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
