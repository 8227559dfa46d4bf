"""What operators ask beside desired state: what happened. Reads, and notes who asked for what.

One part of what `service.JobsService` offers the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from ...api.happened import EventQuery, Happened
from ...api.viewer import Viewer
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.worker import Worker, WorkerSpec
from .events import Events
from .happenings import of_worker
from .records import Records


class Operations:
    """See the module docstring."""

    def __init__(self, records: Records, events: Events) -> None:
        self._records = records
        self._events = events

    async def events(self, query: EventQuery, viewer: Viewer) -> AsyncIterator[Happened]:
        """What the viewer may see of what is asked for. Of a job that is gone what is kept is
        still there; NotFoundError where nothing is.
        """
        gone: NotFoundError | None = None
        if query.job:
            try:
                job = self._records.find_job(query.job, viewer)
            except NotFoundError as error:
                gone = error
            else:
                query = replace(query, job=job.metadata.uid)
        if gone is not None:
            kept = EventQuery(job=query.job)
            if await anext(self._events.read(kept, viewer), None) is None:
                raise gone
        async for event in self._events.read(query, viewer):
            yield event

    def note_worker(self, name: str, words: str, viewer: Viewer) -> None:
        """Somebody asked for something of a worker."""
        self._events.note(of_worker(name, "WorkerChanged", words, by=viewer.who))

    def note_spec(self, old: WorkerSpec | None, new: Worker, viewer: Viewer) -> None:
        """Somebody changed what is wanted of a worker."""
        now = new.spec.to_dict()
        was = old.to_dict() if old is not None else {}
        words = [
            f"{key} is {now.get(key)}"
            for key in sorted(now.keys() | was.keys())
            if now.get(key) != was.get(key)
        ]
        if words:
            self.note_worker(new.metadata.name, ", ".join(words), viewer)
