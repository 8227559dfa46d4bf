"""The output of all units: a pump each, taken from in turn. Called by `stream` and `agent`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from loguru import logger

from ...api.frames import LogAck, LogBatch, Wanted
from ...api.records import LOG_LIMIT
from .log_note import LogNote
from .log_pump import LogPump
from .ports import Clock, LocalRuntime


class LogPumps:
    """ready: told when `take` would give something. limit: bytes of log kept of each unit."""

    def __init__(
        self,
        runtime: LocalRuntime,
        clock: Clock,
        *,
        ready: Callable[[], None],
        limit: int = LOG_LIMIT,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._ready = ready
        self._limit = limit
        self._pumps: dict[str, LogPump | LogNote] = {}
        self._ended: set[asyncio.Task[None]] = set()

    def follow(self, units: Iterable[str], wanted: Wanted) -> None:
        """Read these units, as far as they are wanted, and no others."""
        following = {lease.name: lease.next_log for lease in wanted.leases}
        for name in units:
            if name in following and name not in self._pumps:
                logger.bind(lease=name).debug("output is read")
                self._pumps[name] = LogPump(
                    name,
                    self._runtime,
                    self._clock,
                    next_log=following[name],
                    ready=self._ready,
                    limit=self._limit,
                )
        for name in [name for name in self._pumps if name not in following]:
            task = asyncio.create_task(self._pumps.pop(name).stop())
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)

    def say(self, unit: str, words: str) -> None:
        """These words are all the output of a unit that never runs."""
        if unit not in self._pumps:
            self._pumps[unit] = LogNote(unit, words, self._clock.wall(), ready=self._ready)

    def rewind(self, wanted: Wanted) -> None:
        """The first words of a new connection: send again what the controller does not have."""
        for lease in wanted.leases:
            if lease.name in self._pumps:
                self._pumps[lease.name].rewind(lease.next_log)

    def ack(self, ack: LogAck) -> None:
        """Records are kept."""
        pump = self._pumps.get(ack.unit)
        if pump is not None:
            pump.ack(ack.next)

    def take(self) -> LogBatch | None:
        """The next batch, from each pump in turn; None where there is nothing to send now."""
        for name in list(self._pumps):
            batch = self._pumps[name].take()
            if batch is not None:
                self._pumps[name] = self._pumps.pop(name)  # the others first next time
                return batch
        return None

    async def stop(self) -> None:
        """Read no more."""
        await asyncio.gather(*(pump.stop() for pump in self._pumps.values()), *self._ended)
        self._pumps.clear()
