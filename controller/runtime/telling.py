"""Turns what was just written down into events. Glue between those who write and `events.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from .clock import Clock
from .event_journal import EventJournal
from .events import Events
from .happenings import WorkersSeen, of_lease, of_status
from .records import Records

Transition = Callable[[Job, Job, str], None]


class Telling:
    """Hears of workers by itself; of jobs and leases it is told. events: where they go."""

    def __init__(self, events: Events, records: Records) -> None:
        self.events = self._events = events
        self._workers = WorkersSeen(records.workers)
        records.worker_listeners.append(self._worker)

    @classmethod
    def open(cls, folder: Path, clock: Clock, records: Records) -> Telling:
        """With the events kept in this folder."""
        return cls(Events(clock, EventJournal(folder)), records)

    def after(self, first: Transition) -> Transition:
        """What the reconciler tells each status to: `first`, then the events."""

        def transition(old: Job, new: Job, rule: str) -> None:
            first(old, new, rule)
            self._events.note_all(of_status(old, new))

        return transition

    def lease(self, old: Lease, new: Lease) -> None:
        """A lease came to another state."""
        self._events.note_all(of_lease(old, new))

    def _worker(self, name: str) -> None:
        self._events.note_all(self._workers.changed(name))
