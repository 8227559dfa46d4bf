"""What is said beside the data: states, logs and errors, on stderr. Writes stderr only.

On a terminal there is colour (unless NO_COLOR is set) and a live line; elsewhere plain lines.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, TextIO, final

_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}

_TAIL = 64 << 10

PHASE_COLOURS = {
    "Pending": "yellow",
    "Leasing": "yellow",
    "Starting": "cyan",
    "Running": "cyan",
    "Succeeded": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "dim",
}


def coloured(stream: TextIO) -> bool:
    """Whether colour may be written there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in that colour where the stream shows it, else as it is."""
    code = _CODES.get(colour)
    return f"\x1b[{code}m{text}\x1b[0m" if code and coloured(stream) else text


def say(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def complain(text: str) -> None:
    """An error, on stderr; further lines of the text are kept as they are."""
    say(f"{paint('error:', 'red', sys.stderr)} {text}")


@final
class Live:
    """States and log lines while a command waits; a context manager.

    On a terminal the newest state stays as a live line below what is printed; elsewhere each
    state is a line of its own.
    """

    def __init__(self) -> None:
        self._status: Any = None
        self._partial: dict[str, bytes] = {}
        self.tail = b""  # the end of the output that was passed on

    def __enter__(self) -> Live:
        if coloured(sys.stderr):
            from rich.console import Console  # noqa: PLC0415 (costs 50 ms, for terminals only)

            self._status = Console(stderr=True).status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for prefix in list(self._partial):
            self.log(b"\n", prefix)
        if self._status is not None:
            self._status.stop()
            self._status = None

    def state(self, text: str, colour: str = "") -> None:
        """The newest state of what is waited for."""
        if self._status is None:
            say(text)
            return
        from rich.text import Text  # noqa: PLC0415 (see __enter__)

        self._status.update(Text(text, style=colour))

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._status is None:
            say(text)
        else:
            self._status.console.print(text, markup=False, highlight=False)

    def log(self, data: bytes, prefix: str = "") -> None:
        """A piece of a job's output. Without a live line and prefix it is passed on as it is."""
        self.tail = (self.tail + data)[-_TAIL:]
        if self._status is None and not prefix:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
            return
        data = self._partial.pop(prefix, b"") + data
        *lines, rest = data.split(b"\n")
        if rest:
            self._partial[prefix] = rest
        for line in lines:
            text = line.decode("utf-8", "replace")
            if self._status is None:
                say(f"{prefix}{text}")
            else:
                from rich.text import Text  # noqa: PLC0415 (see __enter__)

                self._status.console.print(Text(prefix) + Text.from_ansi(text), soft_wrap=True)
