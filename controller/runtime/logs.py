"""All attempts' spools: written once as agents deliver, read by any number of followers.

Runs on the event loop; only the final fsync leaves it. Called by agents' sessions, the executor
(`CollectLogs`, `CollectJob`), followers, and the world (`seen`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from loguru import logger

from ...api.frames import LogRecord, LogStream, UnitRecord
from ...api.records import Cutter, placed
from ...crd_like_specs.errors import Temporary
from ...crd_like_specs.identity import parse_unit, unit_name
from ..platforms.base import LogFrame
from ..reconcile.observed import LogsSeen
from .spool import Spool
from .tail import Tail

OPEN_SPOOLS: Final = 512
MOST_SPOOLS: Final = 20_000
"""Above the first, files are closed and complete spools forgotten; above the second, any."""

EVICTION_LOOK: Final = 4
"""Spools looked at for that whenever one comes in."""

RESULT_PIECE: Final = 256 << 10

REST_MISSING: Final = b"the rest of the output may be missing: its worker is out of reach\n"


class Logs:
    """folder: where the spools lie."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._spools: OrderedDict[str, Spool] = OrderedDict()
        self._absent: set[str] = set()
        self._ending: dict[str, asyncio.Task[None]] = {}
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
        self, unit: str, records: tuple[UnitRecord, ...], total: int | None, worker: str = ""
    ) -> tuple[int, bool]:
        """Keep records; returns the next sequence wanted, and whether the unit is complete now.

        Of a unit that is complete already nothing more is wanted, however much is sent. worker:
        who sent them, for the log; what is more than a worker may send is dropped as if kept.
        """
        spool = self._spool(unit, create=True)
        assert spool is not None
        before = set(spool.refused)
        with self._read_anew(unit, spool):
            whole = spool.append(records, total)
        for what in sorted(spool.refused - before):
            logger.bind(worker=worker, unit=unit).warning(
                "more {} of {} than is kept came from worker {}: the rest is dropped",
                *(what, unit, worker or "?"),
            )
        if whole:
            await self._finish(unit, spool)
        self._tell(unit)
        sent = max(records[-1].sequence + 1 if records else 0, total or 0)
        return (max(spool.next, sent) if spool.complete else spool.next), spool.complete

    async def collect(
        self,
        unit: str,
        frames: Sequence[LogFrame] | None,
        *,
        last: bool = False,
        now: float = 0.0,
    ) -> None:
        """Complete the unit from the platform's own copy of its output, None where none can be had.

        Where an agent delivered a part already, the copy's beginning is that part again: both
        cut records in the same way. Temporary where the copy has less than that: its node is out
        of reach, and its agent may yet bring the rest. last: it is not waited for any more, and
        the log says so at its end (now: POSIX seconds).
        """
        spool = self._spool(unit, create=True)
        assert spool is not None
        if unit in self._ending:
            await self._finish(unit, spool)
        if spool.complete:  # its agent was back meanwhile
            return
        records = _as_records(frames or ())
        if not spool.whole_result and (frames is None or len(records) < spool.next):
            count, begun = len(records), spool.has_result
            records = [] if begun else placed(records, count, spool.next)
            if not records and not last:
                raise Temporary(
                    f"the platform has {count} records of the output of {unit}, "
                    f"and {spool.next} had come from its worker",
                    reason="LogsIncomplete",
                )
            if not records:
                spool.drop_result()
                records = [UnitRecord(spool.next, LogStream.SYSTEM, now, REST_MISSING)]
        total = records[-1].sequence + 1 if records else 0
        await self.append(unit, tuple(records), total)
        if not spool.complete:  # the copy is shorter than what was delivered
            await self._finish(unit, spool)
            self._tell(unit)

    def read(self, unit: str, offset: int) -> list[LogRecord]:
        """Up to 1 MiB of log records from `offset` on; [] where there are none yet."""
        spool = self._spool(unit, create=False)
        return spool.read(offset) if spool else []

    def complete(self, unit: str) -> bool:
        """True once nothing more will come."""
        return self.seen(unit).complete

    def tail(self, unit: str, lines: int) -> Tail:
        """Where the last `lines` (>= 1) lines kept so far begin."""
        spool = self._spool(unit, create=False)
        return spool.tail(lines) if spool else Tail()

    async def result(self, unit: str) -> AsyncIterator[bytes]:
        """The envelope in pieces; nothing where there is none."""
        spool = self._spool(unit, create=False)
        if spool is None or not spool.result_path.exists():
            return
        with spool.result_path.open("rb") as file:
            while piece := file.read(RESULT_PIECE):
                yield piece

    def listen(self, unit: str, event: asyncio.Event) -> None:
        """Set the event whenever the unit's spool grows, until `unlisten`."""
        self._news.setdefault(unit, set()).add(event)

    def unlisten(self, unit: str, event: asyncio.Event) -> None:
        """End of interest."""
        events = self._news.get(unit, set())
        events.discard(event)
        if not events:
            self._news.pop(unit, None)

    def delete(self, uid: str, attempts: int) -> None:
        """Delete the files of a job's attempts 1 to `attempts`."""
        for attempt in range(1, attempts + 1):
            unit = unit_name(uid, attempt)
            spool = self._spools.pop(unit, None)
            if spool is not None:
                spool.close()
            self._path(unit).unlink(missing_ok=True)
            self._path(unit).with_suffix(".result").unlink(missing_ok=True)

    def delete_unknown(self, is_known: Callable[[str], bool]) -> int:
        """Delete the files of jobs whose uid is not known; returns how many there were.

        Reads the whole folder: for the start, since a crash may have come before `delete`.
        """
        deleted = 0
        for path in self._folder.glob("cumulus-*"):
            parsed = parse_unit(path.stem)
            if parsed is not None and not is_known(parsed[0]):
                path.unlink(missing_ok=True)
                deleted += 1
        return deleted

    def close(self) -> None:
        """Close every file."""
        for spool in self._spools.values():
            spool.close()

    def _path(self, unit: str) -> Path:
        return self._folder / f"{unit}.log"

    async def _finish(self, unit: str, spool: Spool) -> None:
        """Make a complete spool durable, once, whoever asks and whoever goes away meanwhile."""
        ending = self._ending.get(unit)
        if ending is None:
            ending = asyncio.create_task(asyncio.to_thread(spool.finish))
            self._ending[unit] = ending
            ending.add_done_callback(lambda _: self._ending.pop(unit, None))
        with self._read_anew(unit, spool):
            await asyncio.shield(ending)

    @contextmanager
    def _read_anew(self, unit: str, spool: Spool) -> Iterator[None]:
        """A disk that fails may have taken a part of what was written: what is there counts, and
        its sender begins again behind that.
        """
        try:
            yield
        except OSError:
            if self._spools.get(unit) is spool:
                del self._spools[unit]
            with suppress(OSError):  # it still has what was not taken
                spool.close()
            raise

    def _spool(self, unit: str, *, create: bool) -> Spool | None:
        spool = self._spools.get(unit)
        if spool is None:
            parsed = parse_unit(unit)
            if parsed is None:
                raise ValueError(f"{unit!r} is not the name of an attempt")
            if not create and unit in self._absent:
                return None
            path = self._path(unit)
            if not create and not path.exists():
                self._note_absent(unit)
                return None
            self._absent.discard(unit)
            spool = self._spools[unit] = Spool(path, parsed[1])
            self._make_room()
        self._spools.move_to_end(unit)
        return spool

    def _note_absent(self, unit: str) -> None:
        """Nobody else writes here: the disk need not be asked again."""
        if len(self._absent) >= MOST_SPOOLS:
            self._absent.clear()
        self._absent.add(unit)

    def _make_room(self) -> None:
        """Let go of those not used for long: files are closed, and what is complete is forgotten.

        What is known of one still written is kept: to read a long file again for each batch
        would cost far more than the little there is to remember.
        """
        for _ in range(min(EVICTION_LOOK, len(self._spools) - OPEN_SPOOLS)):
            unit, spool = next(iter(self._spools.items()))
            self._spools.move_to_end(unit)
            if unit in self._ending:
                continue
            spool.close()
            if spool.complete or len(self._spools) > MOST_SPOOLS:
                del self._spools[unit]

    def _tell(self, unit: str) -> None:
        for event in self._news.get(unit, ()):
            event.set()


def _as_records(frames: Sequence[LogFrame]) -> list[UnitRecord]:
    """Frames as the agent would have numbered them."""
    cutter = Cutter()
    records = [r for f in frames for r in cutter.feed(f.stream, f.time, f.data)]
    return records + cutter.finish()
