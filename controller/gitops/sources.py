"""Every configured source, each in a task of its own. Wired by `controller.wiring`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from ...crd_like_specs.source import Source
from ..runtime.blobs import Blobs
from ..runtime.clock import Clock
from ..runtime.desired import Desired
from ..runtime.documents import SOURCES
from ..runtime.records import Records
from .gauges import SourceGauges
from .inventory import finished_with
from .settings import SourceConfig
from .syncing import Syncing

FORGET_SECONDS: Final = 24 * 3600.0


class Sources:
    """hold: why the controller can't be given work now; environment: the controller's, of which
    sources get what they list only.
    """

    def __init__(
        self,
        configured: Sequence[SourceConfig],
        records: Records,
        desired: Desired,
        blobs: Blobs,
        clock: Clock,
        hold: Callable[[], Sequence[str]] = tuple,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """ValidationError where the environment has text that no file may be given."""
        self._records = records
        self._unready = hold
        records.beside = partial(finished_with, records.store)

        def kept(one: SourceConfig) -> Syncing:
            values = one.values(environment)
            return Syncing(one, values, records, desired, blobs, clock, self._hold)

        self._kept = kept
        self.all: Mapping[str, Syncing] = {one.name: kept(one) for one in configured}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._running = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        await self.forget_unconfigured()
        try:
            async with self._group as group:
                self._begin()
                self._running.set()
                group.create_task(self._forget())
        finally:
            for one in self.all.values():
                one.stop()

    async def configure(self, configured: Sequence[SourceConfig]) -> None:
        """From now on these, once `run` has begun: sources that are not as they were begin anew,
        those that are named no more are left. ValidationError as of the constructor; then
        everything stays as it was.
        """
        await self._running.wait()
        before = self.all
        wanted = {
            one.name: before[one.name]
            if one.name in before and before[one.name].config == one
            else self._kept(one)
            for one in configured
        }
        for name, one in before.items():
            if wanted.get(name) is not one:
                one.stop()
                task = self._tasks.pop(name)
                task.cancel()
                await asyncio.wait([task])
        self.all = wanted
        await self.forget_unconfigured()
        self._begin()

    async def forget_unconfigured(self) -> None:
        """Sources that are no longer configured are not shown; their jobs and what is remembered
        of them stay, for the day on which they are configured again.
        """
        store = self._records.store
        for name in store.ids(SOURCES):
            if name not in self.all:
                await asyncio.to_thread(store.delete, SOURCES, name)

    @property
    def gauges(self) -> SourceGauges:
        """For `/metrics`."""
        return SourceGauges(
            lambda: {
                name: self.shown(known)
                for name, one in self.all.items()
                if (known := one.known()) is not None
            }
        )

    def shown(self, source: Source) -> Source:
        """With the time of its last look, which is not worth a record each time."""
        syncing = self.all.get(source.metadata.name)
        if syncing is None or not syncing.last_sync:
            return source
        status = source.status.model_copy(update={"last_sync": syncing.last_sync})
        return source.model_copy(update={"status": status})

    def _hold(self) -> str:
        """Why nothing is handed in now, or "": many jobs would fail at once without a worker, and
        what has failed does not run again.
        """
        unready = self._unready()
        if unready or self._records.workers:
            return "; ".join(unready)
        return "no worker has joined yet"

    def _begin(self) -> None:
        for name, one in self.all.items():
            if name not in self._tasks:
                self._tasks[name] = self._group.create_task(self._keep(one))

    async def _keep(self, one: Syncing) -> None:
        while True:
            delay = await one.sync()
            await asyncio.sleep(delay)

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            for one in self.all.values():
                await one.forget_finished()
