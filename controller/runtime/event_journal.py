"""Events, and calls, on disk: lines of JSON in segments that expire by whole files. I/O: one folder.

Beside the store on purpose: an event is worth no commit. Lines are written a few times a second,
without waiting for the disk; a power cut may take the last of them, and nothing else. Used by
`ring.py`, which keeps the newest in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import orjson
from loguru import logger

from ...api.happened import Happened

SEGMENT_BYTES: Final = 1 << 20
"""A file that has come to this is followed by another."""

_PREFIX: Final = "events."


class Line(Protocol):
    """A frozen dataclass of plain values. sequence: rises; time: POSIX seconds."""

    @property
    def sequence(self) -> int:
        """Rises, never comes again."""

    @property
    def time(self) -> float:
        """POSIX seconds."""


T = TypeVar("T", bound=Line)


class Journal(Generic[T]):
    """folder: made where it is not there; kind: of which lines are. OSError reaches whoever calls."""

    def __init__(self, folder: Path, kind: type[T]) -> None:
        plain: Any = kind
        self._kind, self._names = kind, frozenset(field.name for field in fields(plain))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._written = SEGMENT_BYTES  # so that the first line begins a file of its own

    def read(self) -> Iterator[T]:
        """Everything there is, oldest first; a line that was cut off is passed over."""
        for path in self._segments():
            broken = 0
            for line in path.read_bytes().splitlines():
                try:
                    found = orjson.loads(line).items()
                    yield self._kind(**{k: v for k, v in found if k in self._names})
                except (ValueError, TypeError, AttributeError):
                    broken += 1
            if broken:
                logger.warning("{}: {} line(s) of events cannot be read", path, broken)

    def write(self, events: Sequence[T]) -> None:
        """Append them, in order."""
        if not events:
            return
        data = b"".join(orjson.dumps(_plain(event)) + b"\n" for event in events)
        if self._written >= SEGMENT_BYTES:
            self._path = self._folder / f"{_PREFIX}{events[0].sequence:020d}"
            self._written = 0
        with self._path.open("ab") as file:
            file.write(data)
        self._written += len(data)

    def expire(self, oldest: int) -> None:
        """Remove the files that hold nothing from this sequence number on."""
        for path, following in pairwise(self._segments()):
            if int(following.name.removeprefix(_PREFIX)) > oldest:
                return
            path.unlink(missing_ok=True)

    def _segments(self) -> list[Path]:
        return sorted(
            path
            for path in self._folder.glob(f"{_PREFIX}*")
            if path.name.removeprefix(_PREFIX).isdigit()
        )


class EventJournal(Journal[Happened]):
    """Of events."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Happened)


def _plain(line: Any) -> dict[str, Any]:
    return asdict(line)
