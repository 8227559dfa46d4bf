"""What operators ask beside desired state: what happened, what would, and more time. Notes who asked.

One part of what `service.JobsService` offers the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from ...api.happened import EventQuery, Happened
from ...api.viewer import Viewer
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.worker import Worker, WorkerSpec
from .clock import Clock
from .desired import Desired
from .events import Events
from .extending import Extending
from .happenings import of_worker
from .planning import Planning
from .records import Records
from .templates import Templates
from .world import World


class Operations:
    """See the module docstring. add(key): put a job on the queue."""

    def __init__(
        self,
        records: Records,
        world: World,
        desired: Desired,
        clock: Clock,
        events: Events,
        add: Callable[[str], None],
        templates: Templates,
    ) -> None:
        self.templates = templates
        self._records = records
        self._events = events
        self.plan = Planning(records, world, desired, clock, templates).plan
        self.extend = Extending(records, world, clock, events, add).extend

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
