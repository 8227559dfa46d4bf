"""Coroutines and generators of the background loop, as callers without a loop see them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from cumulus.crd_like_specs.errors import CumulusError
from cumulus.sdk.background import AHEAD, Background


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()
    assert made.closed


class Numbers:
    """A generator that says how far it was drawn and whether it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.drawn = 0
        self.closed = threading.Event()

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                self.drawn = number + 1
                yield number
                if number % 10 == 0:
                    await asyncio.sleep(0)
            if self.error:
                raise self.error
        finally:
            self.closed.set()


@pytest.mark.parametrize("way", ["each", "flow"])
@pytest.mark.parametrize("count", [0, 1, AHEAD, 3 * AHEAD + 1])
def test_all_come_in_order(background: Background, way: str, count: int) -> None:
    numbers = Numbers(count)
    assert list(getattr(background, way)(numbers())) == list(range(count))
    assert numbers.closed.is_set()


@pytest.mark.parametrize("way", ["each", "flow"])
def test_an_error_comes_after_what_was_before_it(background: Background, way: str) -> None:
    numbers = Numbers(3, ValueError("no more"))
    items = getattr(background, way)(numbers())
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(items)


@pytest.mark.parametrize("way", ["each", "flow"])
def test_leaving_early_closes_the_generator(background: Background, way: str) -> None:
    numbers = Numbers(10 * AHEAD)
    items = getattr(background, way)(numbers())
    assert next(items) == 0
    items.close()
    assert numbers.closed.is_set()
    assert numbers.drawn <= AHEAD + 1
    untouched: Any = getattr(background, way)(Numbers(1)())
    untouched.close()


@pytest.mark.parametrize("way", ["each", "flow"])
def test_closing_ends_what_another_thread_waits_for(way: str) -> None:
    waiting, ended = threading.Event(), threading.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            yield 1
            waiting.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    client = Background()
    seen: list[Any] = []

    def read() -> None:
        try:
            seen.extend(getattr(client, way)(endless()))
        except CumulusError as e:
            seen.append(str(e))

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(10)
    client.close()
    reader.join(10)
    assert not reader.is_alive()
    assert ended.is_set()
    # A reader of a flow may just have been between two of its reads.
    assert seen[-1] in ("the client was closed meanwhile", "the client is closed")


def test_all_share_a_thread_that_goes_with_the_last() -> None:
    def threads() -> int:
        return sum(t.name == "cumulus-client" for t in threading.enumerate())

    before = threads()
    one, two = Background(), Background()
    assert threads() == max(before, 1)
    one.close()
    one.close()
    assert two.do(asyncio.sleep(0, "still there")) == "still there"
    with pytest.raises(CumulusError, match="the client is closed"):
        one.do(asyncio.sleep(0))
    two.close()
    assert threads() == before


def test_only_flows_are_drawn_ahead_and_not_far(background: Background) -> None:
    steered, flowing = Numbers(10 * AHEAD), Numbers(10 * AHEAD)
    one_by_one, ahead = background.each(steered()), background.flow(flowing())
    for number in range(5):
        assert next(one_by_one) == next(ahead) == number
    assert steered.drawn == 5
    assert flowing.drawn <= 2 * AHEAD + 1
    one_by_one.close()
    ahead.close()
