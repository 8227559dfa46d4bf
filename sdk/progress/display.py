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

Watch = Callable[[Event], None]


class View(Protocol):
    """See view.py."""

    name: str

    @property
    def colour(self) -> str:
        """A word that rich knows."""

    @property
    def key(self) -> str:
        """Equal as long as nothing but time has passed."""

    def accept(self, event: Event) -> None:
        """Take note."""

    def line(self, now: float) -> str:
        """One line."""


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
    return PlainDisplay(stream) if wanted else None


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


class TerminalDisplay:
    """A live line below the output."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 (for terminals only)
        from rich.live import Live  # noqa: PLC0415 (same)
        from rich.spinner import Spinner  # noqa: PLC0415 (same)

        self._view: View | None = None
        self._spinner = Spinner("dots")
        console = Console(file=stream, force_terminal=True)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)
        self._live.start()

    def show(self, view: View) -> None:
        """Drawn at the next turn, and again as time goes by."""
        self._view = view

    def log(self, line: str) -> None:
        """Above the live line, with its own colours."""
        from rich.text import Text  # noqa: PLC0415 (see __init__)

        self._live.console.print(Text.from_ansi(line), soft_wrap=True)

    def close(self, view: View) -> None:
        """The last line stays, without its spinner."""
        self._live.transient = True
        self._live.stop()
        from rich.text import Text  # noqa: PLC0415 (see __init__)

        self._live.console.print(Text(view.line(time.time()), style=view.colour), soft_wrap=True)

    def _render(self) -> Any:
        from rich.text import Text  # noqa: PLC0415 (see __init__)

        if self._view is None:
            return Text("")
        self._spinner.update(text=Text(self._view.line(time.time()), style=self._view.colour))
        return self._spinner


class NotebookDisplay:
    """One output of the cell that is written anew; the job's output is printed beside it."""

    def __init__(self) -> None:
        from IPython.display import display  # type: ignore[import-not-found]  # noqa: PLC0415

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
