"""Ends leases while the agent is still getting ready. I/O. Run by `main` before anything else.

Looking for devices and trying a partitioner takes seconds, in which leases go on ending. Their ends
are on disk, and killing needs nothing but the runtime: so this does only that, from the first
moment of the process until the keeper takes over.
"""

from __future__ import annotations

from typing import Final

from loguru import logger

from ...crd_like_specs.errors import DriverError
from .deadlines import Deadlines
from .lease_plan import EXPIRY_GRACE, limit
from .lease_record import Record, View
from .ports import Clock, LocalRuntime

LOOK_SECONDS: Final = 0.25


class Guard:
    """deadlines: what the agent before this one wrote down."""

    def __init__(self, runtime: LocalRuntime, deadlines: Deadlines, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        records = deadlines.load()
        contact = deadlines.contact or clock.monotonic()
        self._ends = {
            record.name: _end(record, contact)
            for record in records
            if record.deadline is not None and not record.ended_at
        }

    async def run(self) -> None:
        """Until all that was written down is over, or cancelled."""
        left = dict(self._ends)
        while left:
            now = self._clock.monotonic()
            for name in [name for name, end in left.items() if now >= end + EXPIRY_GRACE]:
                if await self._end(name):
                    del left[name]
            await self._clock.sleep_until(now + LOOK_SECONDS)

    async def _end(self, name: str) -> bool:
        """Whether nothing of it runs."""
        try:
            if await self._runtime.ensure_gone(name):
                return True
            logger.bind(lease=name).warning("its lease ended before this agent began: killed")
            await self._runtime.kill(name)
        except DriverError as e:
            logger.bind(lease=name).warning("cannot be ended yet: {}", e.message)
        return False


def _end(record: Record, contact: float) -> float:
    """When it is over: monotonic seconds."""
    if record.ending or record.deadline is None:
        return 0.0
    view = View(mono=0.0, wall=0.0, contact_at=contact)
    return limit(record, view) or record.deadline
