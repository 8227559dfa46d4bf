"""Many inputs: bounded, in order or as they come, and what the first failure does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from cumulus.sdk.functions.mapping import WINDOW, each


class Calls:
    """Calls that end when the test says so."""

    def __init__(self) -> None:
        self.open: dict[int, asyncio.Future[Any]] = {}
        self.most = 0

    async def __call__(self, number: int, one: Any) -> Any:
        self.open[number] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.open))
        try:
            return await self.open[number], one
        finally:
            del self.open[number]

    async def finish(self, number: int, result: Any = "done") -> None:
        while number not in self.open:  # noqa: ASYNC110 (a turn of the loop, not a time)
            await asyncio.sleep(0)
        self.open[number].set_result(result)


def mapped(calls: Any, inputs: Any, **options: Any) -> AsyncGenerator[Any, None]:
    given = {"concurrency": 2, "ordered": True, "return_exceptions": False} | options
    return each(calls, inputs, **given)


async def test_results_come_in_the_inputs_order_and_never_too_many_run() -> None:
    calls = Calls()

    async def finish_backwards() -> None:
        for number in (1, 0, 3, 2, 4):
            await calls.finish(number)

    finishing = asyncio.ensure_future(finish_backwards())
    assert [one async for _, one in mapped(calls, "abcde")] == list("abcde")
    await finishing
    assert calls.most == 2


async def test_results_come_as_they_end_where_order_does_not_matter() -> None:
    calls = Calls()
    results = mapped(calls, "abc", ordered=False)
    first = asyncio.ensure_future(anext(results))
    await calls.finish(1)
    assert await first == ("done", "b")
    second = asyncio.ensure_future(anext(results))
    await calls.finish(2)
    assert await second == ("done", "c")
    await results.aclose()


async def test_a_slow_input_lets_the_others_go_on_but_not_for_ever() -> None:
    calls = Calls()
    results = mapped(calls, itertools.count())
    first = asyncio.ensure_future(anext(results))
    for number in range(1, 2 * WINDOW):
        await calls.finish(number)
    for _ in range(20):
        await asyncio.sleep(0)
    assert list(calls.open) == [0]
    await calls.finish(0)
    assert await first == ("done", 0)
    await results.aclose()


async def test_the_first_failure_ends_it_and_leaves_nothing_behind() -> None:
    async def call(number: int, _one: Any) -> Any:
        if number:
            raise ValueError("bad input")
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="bad input"):
        await anext(mapped(call, "ab"))
    assert len(asyncio.all_tasks()) == 1


async def test_failures_are_results_where_that_is_wished() -> None:
    async def call(number: int, one: Any) -> Any:
        if number == 1:
            raise ValueError("bad input")
        return one

    results = [r async for r in mapped(call, "abc", return_exceptions=True)]
    assert results[::2] == ["a", "c"]
    assert isinstance(results[1], ValueError)


async def test_no_inputs_no_results() -> None:
    assert [r async for r in mapped(Calls(), [])] == []
