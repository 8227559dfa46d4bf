"""What the API is given: one object with every verb of `api.ports.JobsPort`.

It only puts its halves together: `desired.py` and `workers.py` write, `views.py` and
`follow.py` read; and it tells them all who looks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ...api.frames import (
    Applied,
    JobEvent,
    LogRecord,
    Page,
    Resource,
    ServerInfo,
    WatchItem,
    Why,
    WorkerUse,
)
from ...api.happened import EventQuery, Happened
from ...api.previews import Preview
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.job import Job
from ...crd_like_specs.template import Template
from ...crd_like_specs.worker import Worker, WorkerSpec
from .desired import Desired
from .follow import Streams
from .operations import Operations
from .views import Views
from .workers import Workers


class JobsService:
    """Implements `api.ports.JobsPort`; see there for what each verb promises."""

    def __init__(
        self,
        desired: Desired,
        views: Views,
        streams: Streams,
        workers: Workers,
        operations: Operations,
        viewer: Viewer = EVERYTHING,
    ) -> None:
        self._operations = operations
        self._viewer = viewer
        self._workers = workers
        self._desired = desired
        self._views = views
        self._streams = streams

    def seen_by(self, viewer: Viewer) -> JobsService:
        """See the port."""
        return JobsService(
            self._desired,
            self._views,
            self._streams,
            self._workers,
            self._operations,
            viewer,
        )

    async def apply(self, resource: Resource, *, dry_run: bool) -> Applied:
        """See the port."""
        if isinstance(resource, Template):
            templates = self._operations.templates.seen_by(self._viewer)
            return await templates.put(resource, dry_run=dry_run)
        old = await self._spec_of(resource) if isinstance(resource, Worker) else None
        applied = await self._desired.apply(resource, dry_run=dry_run, viewer=self._viewer)
        if isinstance(applied.resource, Worker) and not dry_run:
            self._operations.note_spec(old, applied.resource, self._viewer)
        return applied

    async def submit(self, job: Job, *, idempotency_key: str) -> Job:
        """See the port."""
        return await self._desired.submit(job, idempotency_key=idempotency_key, viewer=self._viewer)

    async def get(self, kind: str, name: str) -> Resource:
        """See the port."""
        return await self._views.get(kind, name, viewer=self._viewer)

    async def list(
        self, kind: str, *, label_selector: str, phase: str, limit: int, continue_token: str
    ) -> Page:
        """See the port."""
        return await self._views.list(
            kind,
            label_selector=label_selector,
            phase=phase,
            limit=limit,
            continue_token=continue_token,
            viewer=self._viewer,
        )

    def watch(
        self, kind: str, *, name: str, label_selector: str, since: int
    ) -> AsyncIterator[WatchItem]:
        """See the port."""
        return self._views.watch(
            kind, name=name, label_selector=label_selector, since=since, viewer=self._viewer
        )

    async def delete(self, name: str) -> Job:
        """See the port."""
        return await self._desired.delete(name, viewer=self._viewer)

    async def cancel(self, name: str) -> Job:
        """See the port."""
        return await self._desired.cancel(name, viewer=self._viewer)

    async def pause(self, name: str, *, paused: bool) -> Job:
        """See the port."""
        return await self._desired.pause(name, paused=paused, viewer=self._viewer)

    def follow(
        self, name: str, *, log_offset: int, attempt: int, with_logs: bool
    ) -> AsyncIterator[JobEvent]:
        """See the port."""
        return self._streams.follow(
            name, log_offset=log_offset, attempt=attempt, with_logs=with_logs, viewer=self._viewer
        )

    def logs(
        self,
        name: str,
        *,
        attempt: int,
        offset: int,
        tail: int,
        follow: bool,
        since: float = 0.0,
    ) -> AsyncIterator[LogRecord]:
        """See the port."""
        return self._streams.logs(
            name,
            attempt=attempt,
            offset=offset,
            tail=tail,
            follow=follow,
            since=since,
            viewer=self._viewer,
        )

    def result(self, name: str) -> AsyncIterator[bytes]:
        """See the port."""
        return self._streams.result(name, viewer=self._viewer)

    async def why(self, name: str) -> Why:
        """See the port."""
        return await self._views.why(name, viewer=self._viewer)

    async def cordon(self, worker: str, *, cordoned: bool, drain: bool) -> Worker:
        """See the port."""
        changed = await self._desired.cordon(worker, cordoned=cordoned, drain=drain)
        words = "to be drained" if drain else "cordoned" if cordoned else "takes jobs again"
        self._operations.note_worker(worker, words, self._viewer)
        return changed

    async def fence(self, worker: str, *, fenced: bool) -> Worker:
        """See the port."""
        changed = await self._workers.fence(worker, fenced=fenced)
        words = "fenced: its operator vouches that nothing runs there" if fenced else "unfenced"
        self._operations.note_worker(worker, words, self._viewer)
        return changed

    async def remove_worker(self, worker: str) -> Worker:
        """See the port."""
        removed = await self._workers.remove(worker)
        self._operations.note_worker(worker, "removed by its operator", self._viewer)
        return removed

    async def extend(self, name: str, *, seconds: int) -> Job:
        """See the port."""
        return await self._operations.extend(name, seconds, self._viewer)

    async def plan(self, resources: Sequence[Resource], *, prune: str, forecast: bool) -> Preview:
        """See the port."""
        return await self._operations.plan(
            resources, prune=prune, forecast=forecast, viewer=self._viewer
        )

    def events(self, query: EventQuery) -> AsyncIterator[Happened]:
        """See the port."""
        return self._operations.events(query, self._viewer)

    async def usage(self, worker: str) -> tuple[WorkerUse, ...]:
        """See the port."""
        return await self._views.usage(worker, viewer=self._viewer)

    async def server_info(self) -> ServerInfo:
        """See the port."""
        return await self._views.server_info()

    async def _spec_of(self, worker: Worker) -> WorkerSpec | None:
        """What is wanted of it now; None where there is no such worker."""
        try:
            known = await self._views.get("Worker", worker.metadata.name, viewer=self._viewer)
        except NotFoundError:
            return None
        return known.spec if isinstance(known, Worker) else None
