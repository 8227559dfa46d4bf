"""Observed state out: get, list, watch, why, server info. Reads only.

One half of what `service.JobsService` offers the API.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from ... import __version__
from ...api.frames import Page, Resource, ServerInfo, WatchItem, WatchType, Why, WorkerUse
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.errors import NotFoundError, ValidationError
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.source import Source
from ...crd_like_specs.template import Template
from ...crd_like_specs.worker import Worker
from ..platforms.base import Platform
from ..reconcile.asking import ask_of
from ..reconcile.outlook import explain, explain_over
from ..reconcile.quota import over_quota
from ..store import Event, EventType, Record
from .clock import Clock
from .discretion import Discretion
from .documents import (
    DATASETS,
    JOBS,
    LEASES,
    SOURCES,
    TEMPLATES,
    WORKERS,
    decoded,
    owner_of,
    typed,
)
from .records import Records
from .selectors import Matches, parse_selector
from .world import World

TABLES: Final = {
    "Job": JOBS,
    "Lease": LEASES,
    "Worker": WORKERS,
    "Source": SOURCES,
    "Dataset": DATASETS,
    "Template": TEMPLATES,
}
ACTIVE: Final = tuple(phase for phase in Phase if not phase.terminal)
WATCH_PIECE: Final = 500
READERS: Final = 8
"""Jobs that are named with a dataset which they need."""

LIST_PIECE: Final = 200
"""Records read in one go; others have their turn in between."""

PAGE_BYTES: Final = 8 << 20
"""A page ends before its records, as stored, come to more."""


class Views:
    """See the module docstring. image: reference of the default job image; python: its version
    of Python, "" where unknown; shown: a source with what is not worth a record each time.
    """

    def __init__(
        self,
        records: Records,
        world: World,
        platform: Platform,
        clock: Clock,
        image: str,
        python: str = "",
        shown: Callable[[Source], Source] = lambda source: source,
    ) -> None:
        self._records = records
        self._world = world
        self._platform = platform
        self._clock = clock
        self._image = image
        self._python = python
        self._shown = shown

    async def get(self, kind: str, name: str, *, viewer: Viewer = EVERYTHING) -> Resource:
        """One object; jobs by name or uid."""
        eyes = _eyes(_table(kind), viewer)
        if kind == "Job":
            return self._records.find_job(name, eyes)
        found = self._load(_table(kind), name)
        if found is None or not eyes.sees(found.metadata):
            raise NotFoundError(f"{kind.lower()} {name!r} not found")
        return found

    async def list(
        self,
        kind: str,
        *,
        label_selector: str,
        phase: str,
        limit: int,
        continue_token: str,
        viewer: Viewer = EVERYTHING,
    ) -> Page:
        """By name, from behind `continue_token`. Every page names the version of the first, so
        that a watch from there misses nothing that changed between pages.
        """
        table = _table(kind)
        matches = parse_selector(label_selector)
        store = self._records.store
        version, after = _read_token(continue_token) if continue_token else (store.version, "")
        store.watch(version)  # ExpiredError where nobody could watch from there any more
        items: list[Resource] = []
        size = 0
        eyes, phases = _eyes(table, viewer), _phases(phase)
        names = self._names(table, phases, eyes)
        for count, name in enumerate(names[bisect_right(names, after) :], start=1):
            if count % LIST_PIECE == 0:
                await asyncio.sleep(0)  # a long list is not the only thing to do
            record = store.get(table, name)
            resource = self._load(table, name)
            if record is None or resource is None or not matches(resource.metadata.labels):
                continue
            if not eyes.sees(resource.metadata):
                continue
            if isinstance(resource, Job) and phases and resource.status.phase not in phases:
                continue
            size += len(record.raw)
            if items and (len(items) >= limit or size > PAGE_BYTES):
                token = f"{version}:{items[-1].metadata.name}"
                return Page(tuple(items), version, token)
            items.append(resource)
        return Page(tuple(items), version)

    async def watch(
        self,
        kind: str,
        *,
        name: str,
        label_selector: str,
        since: int,
        viewer: Viewer = EVERYTHING,
    ) -> AsyncIterator[WatchItem]:
        """Everything as it is (since 0), then every change; endless. A job that begins or ceases to
        need a dataset is no change of it: `used_by` is as of when the item is sent.
        """
        table = _table(kind)
        choice = _Choice(name, parse_selector(label_selector), _eyes(table, viewer))
        store = self._records.store
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake(_: int) -> None:
            loop.call_soon_threadsafe(news.set)

        unsubscribe = store.subscribe(wake)
        try:
            if since:
                watcher = store.watch(since, frozenset({table}))
            else:
                records, watcher = store.snapshot_and_watch(table)
                for at in range(0, len(records), LIST_PIECE):
                    for known in choice.first(table, records[at : at + LIST_PIECE]):
                        yield self._filled(known)
                    await asyncio.sleep(0)
            yield WatchItem(WatchType.BOOKMARK, None, watcher.cursor)
            while True:
                news.clear()
                while events := watcher.poll(WATCH_PIECE):
                    for event in events:
                        item = choice.item(table, event)
                        if item is not None:
                            yield self._filled(item)
                await news.wait()
        finally:
            unsubscribe()

    async def why(self, name: str, *, viewer: Viewer = EVERYTHING) -> Why:
        """Why a job waits, worker by worker, or what became of it."""
        job = self._records.find_job(name, viewer)
        status = job.status
        if status.phase.terminal or status.phase.rank > 0:
            text = f"{status.phase.value}" + (f" ({status.reason})" if status.reason else "")
            return Why(job, f"{text}: {status.message}" if status.message else text)
        if job.spec.suspend:
            return Why(job, "suspended: spec.suspend is true")
        now = self._clock.now()
        if now < status.retry_at:
            return Why(job, f"{status.message or 'waiting'} ({status.retry_at - now:.0f} s left)")
        line, words = self._world.line, Discretion(self._records, viewer)
        quota = line.quota_of(job, now)
        over = None if quota is None else over_quota(ask_of(job.lasting), quota, now)
        if over is not None:
            workers, best_fit = self._world.workers(now), self._world.best_fit
            told = explain_over(job.lasting, over, workers, now, best_fit=best_fit)
            return Why(job, told.summary)
        outlook = explain(
            job.lasting,
            words.workers(self._world.workers(now)),
            now,
            words.claims(line.ahead_of(job, now)),
            claim=words.claim(line.claim_of(job, now)),
            ahead=self._records.ahead_in_line(job),
            best_fit=self._world.best_fit,
        )
        return Why(job, outlook.summary, outlook.workers)

    async def usage(self, worker: str, *, viewer: Viewer = EVERYTHING) -> tuple[WorkerUse, ...]:
        """What workers said lately that they use; "" all."""
        if worker and worker not in self._records.workers:
            raise NotFoundError(f"worker {worker!r} not found")
        return self._world.usage.shown(self._records, self._clock.now(), worker, viewer)

    async def server_info(self) -> ServerInfo:
        """What this controller is."""
        return ServerInfo(
            version=__version__,
            platform=self._platform.name,
            image=self._image,
            workers=sum(w.ready for w in self._world.workers(self._clock.now())),
            active_jobs=sum(self._records.count_in(phase) for phase in ACTIVE),
            notices=self._platform.notices,
            python=self._python,
        )

    def _names(self, table: str, phases: tuple[Phase, ...], eyes: Viewer) -> Sequence[str]:
        """Those that may be meant, by the index that leaves the fewest to look at."""
        store = self._records.store
        if table == JOBS and eyes.own_only:
            return sorted(store.ids_by(JOBS, "owner", eyes.owner))
        if table == JOBS and phases:
            return sorted(name for p in phases for name in store.ids_by(JOBS, "phase", p.value))
        return sorted(store.ids(table))

    def _load(self, table: str, name: str) -> Resource | None:
        if table == JOBS:
            return self._records.job(name)
        if table == SOURCES:
            record = self._records.store.get(SOURCES, name)
            return None if record is None else self._shown(decoded(Source, record))
        if table == TEMPLATES:
            record = self._records.store.get(TEMPLATES, name)
            return None if record is None else decoded(Template, record)
        if table == DATASETS:
            record = self._records.store.get(DATASETS, name)
            return None if record is None else self._dataset(decoded(Dataset, record))
        return self._records.leases.get(name) if table == LEASES else self._worker(name)

    def _dataset(self, dataset: Dataset) -> Dataset:
        """With the jobs that need it now."""
        readers = sorted(self._records.store.ids_by(JOBS, "reads", dataset.spec.digest))
        own = (n for n in readers if self._is_of(n, dataset.metadata.owner))
        status = dataset.status.model_copy(update={"used_by": tuple(islice(own, READERS))})
        return dataset.model_copy(update={"status": status})

    def _filled(self, item: WatchItem) -> WatchItem:
        """As `get` shows it now: a dataset with the jobs that need it, one that is gone without."""
        if not isinstance(item.resource, Dataset) or item.type is WatchType.DELETED:
            return item
        return replace(item, resource=self._dataset(item.resource))

    def _is_of(self, job: str, owner: str) -> bool:
        record = self._records.store.get(JOBS, job)
        return record is not None and owner_of(record.doc) == owner

    def _worker(self, name: str) -> Worker | None:
        """With the time its agent was last heard, which is not worth a record each second."""
        worker = self._records.workers.get(name)
        if worker is None:
            return None
        heard = {"last_heartbeat": self._world.heard_at(name)}
        return worker.model_copy(update={"status": worker.status.model_copy(update=heard)})


def _eyes(table: str, viewer: Viewer) -> Viewer:
    """Workers and templates are everybody's."""
    return EVERYTHING if table in (WORKERS, TEMPLATES) else viewer


def _phases(phase: str) -> tuple[Phase, ...]:
    """Those meant by a phase's name, by "Active", or by "" (none: no restriction)."""
    if phase == "Active":
        return ACTIVE
    try:
        return (Phase(phase),) if phase else ()
    except ValueError as error:
        expected = ", ".join(("Active", *(p.value for p in Phase)))
        raise ValidationError(f"unknown phase {phase!r}: expected one of {expected}") from error


def _table(kind: str) -> str:
    table = TABLES.get(kind)
    if table is None:
        raise ValidationError(f"unknown kind {kind!r}: expected one of {', '.join(TABLES)}")
    return table


def _read_token(token: str) -> tuple[int, str]:
    """Version of the first page, and the last name given."""
    version, _, name = token.partition(":")
    if not (version.isascii() and version.isdigit() and name):
        raise ValidationError(f"continue token {token!r} is none that a page came with")
    return int(version), name


class _Choice:
    """What one watcher asked for, and the names it has been shown of it."""

    def __init__(self, name: str, matches: Matches, eyes: Viewer) -> None:
        self._name = name
        self._matches = matches
        self._eyes = eyes
        self._shown: set[str] = set()

    def may_see(self, record: Record) -> bool:
        """Whether it is one for the watcher's eyes at all."""
        return not self._eyes.own_only or self._eyes.sees_owner(owner_of(record.doc))

    def first(self, table: str, records: Sequence[Record]) -> Iterator[WatchItem]:
        """Those that were asked for, as they are."""
        for record in records:
            if self.may_see(record) and self.take(resource := typed(table, record)):
                yield WatchItem(WatchType.ADDED, resource, record.rv)

    def take(self, resource: Resource) -> bool:
        """Whether it was asked for; it counts as shown then."""
        meta = resource.metadata
        wanted = self._name in ("", meta.name, meta.uid) and self._matches(meta.labels)
        if wanted:
            self._shown.add(meta.name)
        return wanted

    def item(self, table: str, event: Event) -> WatchItem | None:
        """The change as the watcher must see it; None where it is not concerned.

        What no longer has the labels asked for is gone for it.
        """
        if event.type is EventType.BOOKMARK or event.record is None:
            return WatchItem(WatchType.BOOKMARK, None, event.rv)
        if not self.may_see(event.record):
            return None
        resource, kind = typed(table, event.record), _TYPES[event.type]
        known = event.id in self._shown
        if not self.take(resource):
            if not known:
                return None
            kind = WatchType.DELETED
        if kind is WatchType.DELETED:
            self._shown.discard(event.id)
        return WatchItem(kind, resource, event.rv)


_TYPES: Final = {
    EventType.ADDED: WatchType.ADDED,
    EventType.MODIFIED: WatchType.MODIFIED,
    EventType.DELETED: WatchType.DELETED,
}
