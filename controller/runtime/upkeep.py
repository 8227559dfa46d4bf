"""Slow housekeeping: collect jobs whose time is over, and code nobody uses. Called by `main`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from loguru import logger

from .blobs import Blobs
from .clock import Clock
from .documents import JOBS, TEMPLATES, expiry_hour
from .left import Left
from .logs import Logs
from .records import Records

SWEEP_SECONDS: Final = 600.0
HOURS_BACK: Final = 24 * 400
BLOB_GRACE_SECONDS: Final = 24 * 3600.0
"""A blob this young may belong to a submission that is still on its way."""


class Upkeep:
    """add(key): puts a job on the queue, where the plan decides about it."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        logs: Logs,
        clock: Clock,
        add: Callable[[str], None],
        left: Left | None = None,
    ) -> None:
        self._records = records
        self._blobs = blobs
        self._logs = logs
        self._clock = clock
        self._add = add
        self._left = left
        self._swept: int | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except OSError as error:  # the next round tries again
                logger.warning("housekeeping stopped short: {}", error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One round. Jobs are indexed by the hour in which they may go, so this is cheap."""
        now = self._clock.now()
        hour, first = expiry_hour(now), self._swept
        if first is None:
            first = hour - HOURS_BACK
            left = await asyncio.to_thread(self._logs.delete_unknown, self._is_known)
            if left:
                logger.info("deleted {} log files of jobs that are gone", left)
        for past in range(first, hour + 1):
            for name in self._records.store.ids_by(JOBS, "expires", str(past)):
                self._add(name)
        self._swept = hour
        dropped = await asyncio.to_thread(
            self._blobs.drop_unused, self._is_used, now - BLOB_GRACE_SECONDS
        )
        if dropped:
            logger.info("dropped {} code blobs that no job names", dropped)

        self._sweep_left()

    def _sweep_left(self) -> None:
        """Of jobs that are gone; a crash may have come before they were deleted."""
        if self._left is None:
            return
        for uid in self._left.uids():
            if not self._is_known(uid):
                self._left.delete(uid)

    # Asked from a thread, as the store allows

    def _is_known(self, uid: str) -> bool:
        return self._records.name_of(uid) is not None

    def _is_used(self, digest: str) -> bool:
        store = self._records.store
        return any(store.count(table, "code", digest) for table in (JOBS, TEMPLATES))
