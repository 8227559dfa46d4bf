"""Who called what: the journal of calls. In memory and, written behind, on disk; see `ring.py`.

Implements `api.audited.AuditPort`. A power cut may take the last quarter of a second of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ...api.audited import Audited, AuditQuery, Came
from .clock import Clock
from .event_journal import Journal
from .ring import Ring

KEPT: Final = 50_000
"""Lines in memory and on disk, at most."""

KEPT_SECONDS: Final = 90 * 86400.0
"""Older ones go."""

REPEAT_SECONDS: Final = 60.0
"""Refusals of one address that are the same are one line in so long, and one with their number."""

KNOCKING: Final = 1000
"""So many different ones are told apart at once."""

_Key = tuple[str, str, str, str]


class Audit(Ring[Audited]):
    """folder: None keeps it in memory only (tests)."""

    def __init__(self, clock: Clock, folder: Path | None = None, kept: int = KEPT) -> None:
        journal = None if folder is None else Journal(folder, Audited)
        super().__init__(clock, journal, kept=kept, seconds=KEPT_SECONDS, what="lines of calls")
        self._refused: OrderedDict[_Key, tuple[float, Audited | None, int]] = OrderedDict()

    def note(self, line: Audited) -> None:
        """See the port. A refusal that repeats is counted, so that knocking pushes nothing out."""
        now = self._clock.now()
        self._tell_repeats(now)
        if line.outcome != Came.REFUSED.value:
            super().note(line)
            return
        key = (line.address, line.who, line.method, line.reason)
        known = self._refused.get(key)
        if known is not None:
            self._refused[key] = (known[0], line, known[2] + 1)
            return
        self._refused[key] = (now + REPEAT_SECONDS, None, 0)
        super().note(line)

    def read(self, query: AuditQuery) -> AsyncIterator[Audited]:
        """See the port."""
        self._tell_repeats(self._clock.now())
        return self.lines(query, lambda _: True)

    def close(self) -> None:
        """Write what is left, with what repeats."""
        self._tell_repeats(float("inf"))
        super().close()

    def _tell_repeats(self, now: float) -> None:
        """Of those whose time is over, the first to begin first."""
        while self._refused:
            until, last, count = next(iter(self._refused.values()))
            if until > now and len(self._refused) <= KNOCKING:
                return
            self._refused.popitem(last=False)
            if last is not None:
                super().note(replace(last, repeated=count))
