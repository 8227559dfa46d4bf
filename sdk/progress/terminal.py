"""Live lines at a terminal's end, one for each call that waits, with output above them. Writes to it.

Called by `display.py`. Calls may wait side by side; rich can draw one live area only, so they share
one screen for as long as any of them waits.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from ..stream import Event


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


class TerminalDisplay:
    """One call's line."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = _Screen.of(stream)
        self._view: View | None = None

    def show(self, view: View) -> None:
        """Drawn at the next turn, and again as time goes by."""
        if self._view is None:
            self._view = view
            self._screen.views.append(view)

    def log(self, line: str) -> None:
        """Above the live lines, with its own colours."""
        from rich.text import Text  # noqa: PLC0415 (for terminals only)

        self._screen.say(Text.from_ansi(line))

    def close(self, view: View) -> None:
        """The last line stays."""
        from rich.text import Text  # noqa: PLC0415 (see log)

        if self._view is not None:
            self._screen.views.remove(self._view)
        self._screen.leave(Text(view.line(time.time()), style=view.colour))


class _Screen:
    """What a terminal shows at its end."""

    _open: dict[int, _Screen] = {}  # noqa: RUF012 (by id of the stream)
    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 (for terminals only)
        from rich.live import Live  # noqa: PLC0415 (same)
        from rich.spinner import Spinner  # noqa: PLC0415 (same)

        self.views: list[View] = []
        self._stream = stream
        self.users = 0
        self._spinner = Spinner("dots")
        self._live = Live(
            console=Console(file=stream, force_terminal=True),
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            # What the program prints meanwhile goes above the lines, if it goes to a terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._live.start()

    @classmethod
    def of(cls, stream: TextIO) -> _Screen:
        """The stream's, to be left."""
        with cls._lock:
            screen = cls._open.get(id(stream)) or cls(stream)
            cls._open[id(stream)] = screen
            screen.users += 1
            return screen

    def say(self, text: Any) -> None:
        """A line that stays."""
        self._live.console.print(text, soft_wrap=True)

    def leave(self, last: Any) -> None:
        """The last user takes the live lines away."""
        with self._lock:
            self.users -= 1
            if not self.users:
                del self._open[id(self._stream)]
                self._live.stop()
        self.say(last)

    def _render(self) -> Any:
        from rich.console import Group  # noqa: PLC0415 (see __init__)
        from rich.text import Text  # noqa: PLC0415 (see __init__)

        now, mark = time.time(), self._spinner.render(time.monotonic())
        assert isinstance(mark, Text)  # it has no text beside it
        marks = [mark]
        return Group(
            *(
                # Cut where the terminal ends: a line that wraps would jump with each change.
                Text.assemble(
                    marks.pop() if marks else " ",
                    " ",
                    (view.line(now), view.colour),
                    no_wrap=True,
                    overflow="ellipsis",
                )
                for view in list(self.views)
            )
        )
