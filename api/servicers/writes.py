"""Writes that clients asked for: brought to their end whoever goes away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from loguru import logger

from ...crd_like_specs.errors import CumulusError

T = TypeVar("T")


class Writes:
    """Those of one server that are under way."""

    def __init__(self) -> None:
        self._writes: set[asyncio.Task[Any]] = set()

    async def write(self, write: Coroutine[Any, Any, T]) -> T:
        """Let a write come to its end though its client goes away, which cancels the caller."""
        task = asyncio.ensure_future(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report_alone)
            raise

    async def settle(self) -> None:
        """Wait for the writes whose clients are gone."""
        if self._writes:
            await asyncio.wait(set(self._writes))


def _report_alone(task: asyncio.Task[Any]) -> None:
    """Log how a write failed that nobody waits for any more."""
    error = None if task.cancelled() else task.exception()
    if error is None:
        return
    job_id = error.job_id if isinstance(error, CumulusError) else ""
    unforeseen = None if isinstance(error, CumulusError) else error
    log = logger.bind(job_id=job_id).opt(exception=unforeseen)
    log.warning("a write failed after its client had gone: {}", error)
