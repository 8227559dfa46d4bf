"""All of a lease's shares at once or none, off the event loop. Called by `lease_task`.

The partitioner's calls block (it talks to another process); they are serialised there, so one
thread is enough, and a partitioner that hangs holds up nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ...crd_like_specs.errors import DriverError
from ..base import Partitioner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """ids: in the order of the devices asked for; epoch: of the partitioner before the first."""

    ids: tuple[str, ...]
    epoch: int


class Shares:
    """An asynchronous view of a `Partitioner`."""

    def __init__(self, partitioner: Partitioner) -> None:
        self._partitioner = partitioner
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shares")
        self._epoch = partitioner.epoch

    @property
    def backend(self) -> str:
        """`chronos` or `ledger`."""
        return self._partitioner.backend

    @property
    def epoch(self) -> int:
        """As last read by `refresh` or `take`."""
        return self._epoch

    async def refresh(self) -> bool:
        """Read the epoch; True where it rose: everything held before is lost."""
        old, self._epoch = self._epoch, await self._call(lambda: self._partitioner.epoch)
        return old != self._epoch

    async def take(self, devices: Sequence[int], memory_milli: int, seconds: float) -> Taken:
        """Nothing where there are no devices or no memory. Errors of `Partitioner.create`, and
        nothing is held then.
        """
        if not devices or not memory_milli:
            return Taken((), self._epoch)
        return await self._call(
            lambda: self._take(devices, memory_milli, max(1, math.ceil(seconds)))
        )

    async def release(self, ids: Sequence[str]) -> None:
        """Give them back."""
        if ids:
            await self._call(lambda: self._release(ids))

    async def close(self) -> None:
        """Release everything and stop."""
        await self._call(self._partitioner.close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _take(self, devices: Sequence[int], memory_milli: int, seconds: int) -> Taken:
        epoch = self._epoch = self._partitioner.epoch
        ids: list[str] = []
        try:
            for device in devices:
                ids.append(self._partitioner.create(device, memory_milli, seconds).id)  # noqa: PERF401 (those before a failure are given back)
        except DriverError:
            with contextlib.suppress(DriverError):  # it frees itself when its time is over
                self._release(ids)
            raise
        return Taken(tuple(ids), epoch)

    def _release(self, ids: Sequence[str]) -> None:
        for name in ids:
            self._partitioner.release(name)
