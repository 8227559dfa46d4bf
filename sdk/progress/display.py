"""Where a view is shown: a terminal's live line, a notebook's cell, or plain lines. Writes stderr.

Called by `functions/calling.py`. Quiet where nobody would see it: a display is made where stderr is
a terminal or the code runs in a notebook, or where it is asked for.
"""

from __future__ import annotations

import os
import sys
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from ...api.frames import Log
from ..stream import Event, LogsLost
from .lines import Lines
from .terminal import TerminalDisplay, View

Watch = Callable[[Event], None]


class Display(Protocol):
    """How it is shown."""

    def show(self, view: View) -> None:
        """The view changed."""

    def log(self, line: str) -> None:
        """A line of output, without its end."""

    def close(self, view: View) -> None:
        """Leave the last line there."""


@contextmanager
def showing(
    view: View, wanted: bool | None, stream: TextIO | None = None
) -> Iterator[Watch | None]:
    """What to call with every event; None where nothing is to be shown.

    wanted: None decides by where stderr goes.
    """
    display = choose(wanted, stream or sys.stderr)
    if display is None:
        yield None
        return
    lines = Lines()

    def watch(event: Event) -> None:
        if isinstance(event, Log):
            for line in lines.of(event.record.data):
                display.log(line)
        elif isinstance(event, LogsLost):
            display.log(f"[{event.count} log records are no longer kept]")
        else:
            view.accept(event)
            display.show(view)

    display.show(view)
    try:
        yield watch
    except CancelledError:  # Ctrl-C, or somebody's time limit: only the waiting ends
        display.log(f"no longer waiting for {view.name}, which goes on")
        raise
    finally:
        for line in lines.rest():
            display.log(line)
        display.close(view)


def choose(wanted: bool | None, stream: TextIO) -> Display | None:
    """None where nobody would see it."""
    if wanted is False:
        return None
    if in_notebook():
        return NotebookDisplay()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalDisplay(stream)
    return PlainDisplay(stream) if wanted or stream.isatty() else None


def in_notebook() -> bool:
    """Whether this is a kernel with a display of its own."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class PlainDisplay:
    """A line for each state, and the output as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._key = ""

    def show(self, view: View) -> None:
        """A line where there is news."""
        if view.key != self._key:
            self._key = view.key
            self.log(view.line(time.time()))

    def log(self, line: str) -> None:
        """As it is."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self, view: View) -> None:
        """All is said already."""
        self.show(view)


class NotebookDisplay:
    """One output of the cell that is written anew; the job's output is printed beside it."""

    def __init__(self) -> None:
        from IPython.display import display  # noqa: PLC0415 (is there in notebooks only)

        self._handle = display(_bundle(""), raw=True, display_id=True)
        self._key = ""

    def show(self, view: View) -> None:
        """Written anew where there is news."""
        if view.key != self._key:
            self._key = view.key
            self._handle.update(_bundle(view.line(time.time())), raw=True)

    def log(self, line: str) -> None:
        """As print would."""
        sys.stdout.write(f"{line}\n")

    def close(self, view: View) -> None:
        """The last line stays."""
        self._handle.update(_bundle(view.line(time.time())), raw=True)


def _bundle(text: str) -> dict[str, str]:
    return {"text/plain": text}
