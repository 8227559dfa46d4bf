"""Events as text for people, and as JSON. PURE but for the question whether a stream has colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from ...api.happened import Happened
from . import output, talk

_HEADER: Final = ["TIME", "TYPE", "OBJECT", "WORKER", "BY", "MESSAGE"]
_GOOD: Final = frozenset({"Succeeded", "WorkerReady"})
_WIDTHS: Final = (20, 13, 24, 12, 8)
"""Of a table that grows line by line: what is longer moves the rest of its line."""


def table(found: Sequence[Happened], stream: TextIO) -> str:
    """All of them, with a header."""
    rows = [_HEADER, *(_row(event) for event in found)]
    for name in ("BY", "WORKER"):
        at = rows[0].index(name)
        if all(cells[at] == "-" for cells in rows[1:]):
            rows = [cells[:at] + cells[at + 1 :] for cells in rows]
    lines = output.table(rows).splitlines()
    painted = [_painted(line, event, stream) for line, event in zip(lines[1:], found, strict=True)]
    return "".join(f"{line}\n" for line in [lines[0], *painted])


class Rows:
    """A table that grows as events come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def add(self, event: Happened) -> str:
        """The next line, after the header where it is the first."""
        line = _painted(output.table([_row(event)], _WIDTHS).rstrip("\n"), event, self._stream)
        head = "" if self._begun else output.table([_HEADER], _WIDTHS)
        self._begun = True
        return f"{head}{line}\n"


def as_dict(event: Happened) -> dict[str, Any]:
    """As JSON has it; the time is text."""
    body = {one.name: getattr(event, one.name) for one in fields(event) if one.name != "owner"}
    return {**body, "time": _time(event.time)}


def _row(event: Happened) -> list[str]:
    name = f"{event.kind.lower()}/{event.name}" + (f"#{event.attempt}" if event.attempt else "")
    worker = "" if event.kind == "Worker" else event.worker
    words = event.message or "-"
    return [_time(event.time), event.type, name, worker or "-", event.by or "-", words]


def _painted(line: str, event: Happened, stream: TextIO) -> str:
    colour = "yellow" if event.warning else "green" if event.type in _GOOD else ""
    return line.replace(event.type, talk.paint(event.type, colour, stream), 1) if colour else line


def _time(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}"
