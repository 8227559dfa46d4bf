"""All attempts' spools: written once as agents deliver, read by any number of followers.

Runs on the event loop; only the final fsync leaves it. Called by agents' sessions, the executor
(`CollectLogs`, `CollectJob`), followers, and the world (`seen`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from ...api.frames import LogRecord, LogStream, UnitRecord
from ...crd_like_specs.identity import parse_unit
from ..platforms.base import LogFrame
from ..reconcile.observed import LogsSeen
from .spool import Spool

OPEN_SPOOLS: Final = 512
RESULT_PIECE: Final = 256 << 10
ENVELOPE: Final = b'{"status": "'
"""How the runner's last line begins; see image/README.md."""


class Logs:
    """folder: where the spools lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spools: OrderedDict[str, Spool] = OrderedDict()
        self._news: dict[str, set[asyncio.Event]] = {}

    def seen(self, unit: str) -> LogsSeen:
        """How far the unit's output has come."""
        spool = self._spool(unit, create=False)
        return spool.seen() if spool else LogsSeen()

    def next_of(self, unit: str) -> int:
        """Sequence number of the first record not kept yet."""
        spool = self._spool(unit, create=False)
        return spool.next if spool else 0

    async def append(
        self, unit: str, records: tuple[UnitRecord, ...], total: int | None
    ) -> tuple[int, bool]:
        """Keep records; returns the next sequence wanted, and whether this completed the unit."""
        spool = self._spool(unit, create=True)
        assert spool is not None
        completed = spool.append(records, total)
        if completed:
            await asyncio.to_thread(spool.finish)
        self._tell(unit)
        return spool.next, completed

    async def collect(self, unit: str, frames: Sequence[LogFrame]) -> None:
        """Complete the unit from the platform's own copy of its output.

        Where an agent delivered a part already, the copy's beginning is that part again: the
        agent and this method cut records in the same way (one per frame).
        """
        spool = self._spool(unit, create=True)
        assert spool is not None
        records = tuple(_as_records(frames))
        await self.append(unit, records, len(records))
        if not spool.complete:  # the copy is shorter than what was delivered
            await asyncio.to_thread(spool.finish)
            self._tell(unit)

    def read(self, unit: str, offset: int) -> list[LogRecord]:
        """Up to 1 MiB of log records from `offset` on; [] where there are none yet."""
        spool = self._spool(unit, create=False)
        return spool.read(offset) if spool else []

    def complete(self, unit: str) -> bool:
        """True once nothing more will come."""
        return self.seen(unit).complete

    def line_count(self, unit: str) -> int:
        """Log records kept so far."""
        spool = self._spool(unit, create=False)
        return spool.lines if spool else 0

    async def result(self, unit: str) -> AsyncIterator[bytes]:
        """The envelope in pieces; nothing where there is none."""
        spool = self._spool(unit, create=False)
        if spool is None or not spool.result_path.exists():
            return
        with spool.result_path.open("rb") as file:
            while piece := file.read(RESULT_PIECE):
                yield piece

    def listen(self, unit: str) -> asyncio.Event:
        """An event set whenever the unit's spool grows; give it back with `unlisten`."""
        event = asyncio.Event()
        self._news.setdefault(unit, set()).add(event)
        return event

    def unlisten(self, unit: str, event: asyncio.Event) -> None:
        """End of interest."""
        events = self._news.get(unit, set())
        events.discard(event)
        if not events:
            self._news.pop(unit, None)

    def delete(self, uid: str) -> None:
        """Delete every attempt's files of a job."""
        for unit in [unit for unit in self._spools if parse_unit(unit) and uid in unit]:
            self._spools.pop(unit).close()
        for path in self._folder.glob(f"cumulus-{uid}-*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        for spool in self._spools.values():
            spool.close()

    def _spool(self, unit: str, *, create: bool) -> Spool | None:
        spool = self._spools.get(unit)
        if spool is None:
            parsed = parse_unit(unit)
            if parsed is None:
                raise ValueError(f"{unit!r} is not the name of an attempt")
            path = self._folder / f"{unit}.log"
            if not create and not path.exists():
                return None
            spool = self._spools[unit] = Spool(path, parsed[1])
            while len(self._spools) > OPEN_SPOOLS:
                self._spools.popitem(last=False)[1].close()
        self._spools.move_to_end(unit)
        return spool

    def _tell(self, unit: str) -> None:
        for event in self._news.get(unit, ()):
            event.set()


def _as_records(frames: Sequence[LogFrame]) -> list[UnitRecord]:
    """Frames as an agent would have sent them: the envelope, if the last stdout line is one, last."""
    start = _envelope_start(frames)
    kept = [f for i, f in enumerate(frames) if start is None or i < start or f.stream != "stdout"]
    result = [
        f for i, f in enumerate(frames) if start is not None and i >= start and f.stream == "stdout"
    ]
    records = [UnitRecord(n, LogStream(f.stream), f.time, f.data) for n, f in enumerate(kept)]
    records += [
        UnitRecord(len(kept) + n, LogStream.RESULT, f.time, f.data) for n, f in enumerate(result)
    ]
    return records


def _envelope_start(frames: Sequence[LogFrame]) -> int | None:
    """Index of the frame in which the last line of stdout begins, if it is an envelope."""
    start: int | None = None
    fresh = True
    for index, frame in enumerate(frames):
        if frame.stream != "stdout":
            continue
        if fresh:
            start = index
        fresh = frame.data.endswith(b"\n")
    if start is None or not frames[start].data.startswith(ENVELOPE):
        return None
    return start
