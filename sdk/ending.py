"""How the verbs that wait for a job's end do so: over its stream, for so long, with its result. I/O
through the given iterator and connection only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from . import outcome
from .connection import Connection
from .errors import WaitTimeoutError
from .large_results import whole
from .stream import Done, Event


async def last_of(
    events: AsyncGenerator[Event, None], watch: Callable[[Event], None] | None = None
) -> Done:
    """The last event of a job's stream, which is closed then. watch: shown every event."""
    async with aclosing(events):
        async for event in events:
            if watch is not None:
                watch(event)
            if isinstance(event, Done):
                return event
    raise AssertionError("a job's stream ends with Done")


async def returned_by(
    connection: Connection,
    label: str,
    events: AsyncGenerator[Event, None],
    *,
    timeout: float | None = None,  # noqa: ASYNC109 (callers have it as a public argument)
    watch: Callable[[Event], None] | None = None,
) -> Any:
    """What the job's main() returned; raises as `outcome.result_of` does. label: what the job is
    called in messages; timeout: seconds, WaitTimeoutError after it, the job goes on.
    """
    try:
        done = await asyncio.wait_for(last_of(events, watch), timeout)
    except TimeoutError as e:
        raise WaitTimeoutError(
            f"job {label!r} did not finish within {timeout:g} s; it goes on"
        ) from e
    return await whole(connection, done.job, outcome.result_of(done.job, done.envelope))
