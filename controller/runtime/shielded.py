"""Work that must come to its end although whoever waits for it goes away. No I/O of its own.

A broken stream cancels the task that reads it, also in the middle of a write: the write is durable
then, but nobody would be told. Used by the agents' sessions; the API's servicers shield their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from loguru import logger

T = TypeVar("T")

_RUNNING: Final[set[asyncio.Task[Any]]] = set()  # a loop keeps weak references only


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a caller that is cancelled meanwhile leaves it running to its end."""
    task = asyncio.ensure_future(work)
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_log_failure)
        raise


def _log_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.warning("failed after its stream had gone: {}", error)
