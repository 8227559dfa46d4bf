"""One unit's output on its way to the controller: read, numbered, kept until acknowledged. I/O.

Made by `log_pumps`. The output itself stays with the runtime; what lies here is only what is in
flight, so reading pauses while the window is full, and begins anew where the controller asks for
records that are not here any more. `api.records.Cutter` numbers them alike each time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from loguru import logger

from ...api.frames import LogBatch, LogStream, UnitRecord
from ...api.records import LOG_LIMIT, Cutter, placed
from ...crd_like_specs.errors import NotFoundError, Temporary
from .ports import Clock, LocalRuntime

BATCH_BYTES: Final = 256 << 10
WINDOW_BYTES: Final = 4 << 20
WINDOW_RECORDS: Final = 16384
BATCH_RECORDS: Final = 4096
GATHER_SECONDS: Final = 0.01
"""Records that follow each other this closely travel together; the first one goes at once."""

_RETRY_FIRST: Final = 0.05
_RETRY_CEILING: Final = 2.0


class LogPump:
    """next_log: the first record the controller does not have. ready: told when `take` would give
    something. limit: bytes of log kept of the unit.
    """

    def __init__(
        self,
        unit: str,
        runtime: LocalRuntime,
        clock: Clock,
        *,
        next_log: int,
        ready: Callable[[], None],
        limit: int = LOG_LIMIT,
    ) -> None:
        self.unit = unit
        self._runtime = runtime
        self._clock = clock
        self._ready = ready
        self._limit = limit
        self._kept: deque[UnitRecord] = deque()  # from _acked on, without gaps
        self._kept_bytes = 0
        self._acked = next_log
        self._sent = 0  # of _kept
        self._total: int | None = None
        self._total_sent = False
        self._gather_until = 0.0
        self._room = asyncio.Event()
        self._room.set()
        self._alarm: asyncio.Task[None] | None = None
        self._reading = asyncio.create_task(self._read_all())

    @property
    def done(self) -> bool:
        """Everything was read, and acknowledged to the last record."""
        return self._total is not None and self._total_sent and self._acked >= self._total

    def take(self) -> LogBatch | None:
        """The next batch to send; None where there is none or more is gathered first."""
        if not self._sendable() or self._gathering():
            return None
        records: list[UnitRecord] = []
        size = 0
        while self._sent < len(self._kept) and len(records) < BATCH_RECORDS:
            record = self._kept[self._sent]
            size += len(record.data)
            if records and size > BATCH_BYTES:
                break
            records.append(record)
            self._sent += 1
        total = self._total if self._sent == len(self._kept) else None
        self._total_sent = self._total_sent or total is not None
        self._gather_until = self._clock.monotonic() + GATHER_SECONDS
        return LogBatch(self.unit, tuple(records), total)

    def ack(self, following: int) -> None:
        """Every record below `following` is kept by the controller for good."""
        while self._kept and self._kept[0].sequence < following:
            self._kept_bytes -= len(self._kept.popleft().data)
            self._sent = max(0, self._sent - 1)
        self._acked = max(self._acked, following)
        self._open_window()

    def rewind(self, following: int) -> None:
        """A new connection: send again from this record on."""
        if following < self._acked:
            logger.bind(lease=self.unit).info("output is read again from record {}", following)
            self._restart(following)
        self.ack(following)
        self._sent = 0
        self._total_sent = False
        self._gather_until = 0.0
        self._tell()

    async def stop(self) -> None:
        """Read no more."""
        tasks = [task for task in (self._reading, self._alarm) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sendable(self) -> bool:
        unsent = self._sent < len(self._kept)
        return unsent or (self._total is not None and not self._total_sent)

    def _gathering(self) -> bool:
        return (
            self._total is None
            and self._room.is_set()
            and self._kept_bytes < BATCH_BYTES
            and self._clock.monotonic() < self._gather_until
        )

    def _tell(self) -> None:
        """Wake the sender now, or when enough was gathered."""
        if not self._sendable():
            return
        if not self._gathering():
            self._ready()
        elif self._alarm is None or self._alarm.done():
            self._alarm = asyncio.create_task(self._tell_later())

    async def _tell_later(self) -> None:
        await self._clock.sleep_until(self._gather_until)
        self._ready()

    def _restart(self, following: int) -> None:
        self._reading.cancel()
        self._kept.clear()
        self._kept_bytes = self._sent = 0
        self._acked, self._total = following, None
        self._reading = asyncio.create_task(self._read_all())

    async def _read_all(self) -> None:
        """Until the unit has ended; readings that break off begin anew and skip what is here."""
        pause = _RETRY_FIRST
        while True:
            cutter = Cutter(limit=self._limit)
            try:
                async for frame in self._runtime.logs(self.unit):
                    await self._keep(cutter.feed(frame.stream, frame.time, frame.data))
                    pause = _RETRY_FIRST
                last = cutter.finish()
                await self._keep(placed(last, cutter.next, self._next))
                self._end(cutter.next)
            except Temporary as e:
                logger.bind(lease=self.unit).debug("output is read again: {}", e.message)
                await self._clock.sleep_until(self._clock.monotonic() + pause)
                pause = min(2 * pause, _RETRY_CEILING)
            except NotFoundError as e:
                await self._give_up(cutter, e)
                return
            else:
                return

    async def _give_up(self, cutter: Cutter, error: NotFoundError) -> None:
        """The output is gone: what was read of it is all there will be."""
        logger.bind(lease=self.unit).warning("the rest of the output is lost: {}", error.message)
        await self._keep(cutter.finish())
        at = max(cutter.next, self._next)
        words = b"the rest of the output is lost: the container is gone\n"
        await self._keep([UnitRecord(at, LogStream.SYSTEM, self._clock.wall(), words)])
        self._end(at + 1)

    @property
    def _next(self) -> int:
        """The first record that is neither here nor with the controller."""
        return self._kept[-1].sequence + 1 if self._kept else self._acked

    async def _keep(self, records: list[UnitRecord]) -> None:
        for record in records:
            if record.sequence < self._next:
                continue
            await self._room.wait()
            if record.sequence < self._next:  # acknowledged while there was no room
                continue
            self._kept.append(record)
            self._kept_bytes += len(record.data)
            self._open_window()
        if records:
            self._tell()

    def _open_window(self) -> None:
        full = self._kept_bytes >= WINDOW_BYTES or len(self._kept) >= WINDOW_RECORDS
        if full:
            self._room.clear()
            self._tell()
        else:
            self._room.set()

    def _end(self, count: int) -> None:
        # Where the runtime gives less than the controller has already, that is the total.
        self._total = max(count, self._next)
        self._tell()
