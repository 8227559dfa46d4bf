"""What happened to jobs, leases, workers and tokens, for whoever may see it. See `ring.py`; what is
told is made in `happenings.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from ...api.happened import EventQuery, Happened
from ...api.viewer import EVERYTHING, Viewer
from .clock import Clock
from .event_journal import EventJournal
from .ring import Ring

KEPT: Final = 20_000
"""Events in memory and on disk, at most."""

KEPT_SECONDS: Final = 7 * 86400.0
"""Older ones go."""


class Events(Ring[Happened]):
    """journal: None keeps them in memory only (tests)."""

    def __init__(self, clock: Clock, journal: EventJournal | None = None, kept: int = KEPT) -> None:
        super().__init__(clock, journal, kept=kept, seconds=KEPT_SECONDS, what="events")

    def note_all(self, events: Iterable[Happened]) -> None:
        """Each of them, in order."""
        for event in events:
            self.note(event)

    def read(self, query: EventQuery, viewer: Viewer = EVERYTHING) -> AsyncIterator[Happened]:
        """Those asked for that the viewer may see, oldest first; endless where it watches."""
        return self.lines(query, lambda event: _sees(viewer, event))


def _sees(viewer: Viewer, event: Happened) -> bool:
    """Workers are everybody's; tokens are of those who see everything."""
    if event.kind == "Worker":
        return True
    return viewer.sees_owner(event.owner) if event.kind != "Token" else not viewer.own_only
