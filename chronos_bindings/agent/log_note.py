"""Words about a unit that never ran, on their way to the controller as its whole output. Pure.

Made by `log_pumps`, which takes from it as from a `LogPump`; kept until acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...api.frames import LogBatch, LogStream, UnitRecord
from ...api.records import PIECE

BATCH_RECORDS: Final = 4


class LogNote:
    """words: text of any length; time: POSIX seconds; ready: told when `take` would give
    something.
    """

    def __init__(self, unit: str, words: str, time: float, *, ready: Callable[[], None]) -> None:
        data = words.rstrip("\n").encode(errors="replace") + b"\n"
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        self.unit = unit
        self._records = tuple(
            UnitRecord(number, LogStream.SYSTEM, time, piece) for number, piece in enumerate(pieces)
        )
        self._sent = 0
        self._ready = ready
        ready()

    def take(self) -> LogBatch | None:
        """The next batch to send; None where everything was sent."""
        if self._sent == len(self._records):
            return None
        records = self._records[self._sent : self._sent + BATCH_RECORDS]
        self._sent += len(records)
        total = self._sent if self._sent == len(self._records) else None
        return LogBatch(self.unit, records, total)

    def ack(self, following: int) -> None:
        """Nothing needs room, so nothing is let go."""

    def rewind(self, following: int) -> None:
        """A new connection: send again from this record on."""
        self._sent = min(following, len(self._records) - 1)
        self._ready()

    async def stop(self) -> None:
        """There is nothing to stop."""
