"""What applying some documents would do, and when what they start would start. Writes nothing.

One part of what `service.JobsService` offers the API. What an apply does is asked of `desired.py`
itself, as a dry run; when jobs would start is reckoned by `reconcile/preview.py`, off the event
loop, of values that nobody changes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from ...api.frames import Applied, Outcome, Resource
from ...api.previews import Change, Expected, Planned, Preview, Starts
from ...api.viewer import Viewer
from ...crd_like_specs.errors import CumulusError, ValidationError
from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.template import Template
from ..reconcile.preview import REACH, Coming, preview, without
from .clock import Clock
from .desired import Desired
from .discretion import Discretion
from .documents import JOBS
from .records import Records, in_line
from .selectors import parse_selector
from .templates import Templates
from .world import World

MOST: Final = 1000
"""Documents of one call."""

_STARTING = (Change.CREATED, Change.REPLACED)


class Planning:
    """See the module docstring."""

    def __init__(
        self,
        records: Records,
        world: World,
        desired: Desired,
        clock: Clock,
        templates: Templates,
    ) -> None:
        self._templates = templates
        self._records = records
        self._world = world
        self._desired = desired
        self._clock = clock

    async def plan(
        self, resources: Sequence[Resource], *, prune: str, forecast: bool, viewer: Viewer
    ) -> Preview:
        """prune: labels of jobs that are to be among the resources, "" for none. What is wrong with
        one document is told with it; ValidationError for what is wrong with the call.
        """
        if len(resources) > MOST:
            raise ValidationError(f"{len(resources)} documents are given, expected at most {MOST}")
        names = Counter((one.kind, one.metadata.name) for one in resources)
        changes: list[Planned] = []
        for number, resource in enumerate(resources):
            if number % 20 == 19:
                await asyncio.sleep(0)
            twice = names[resource.kind, resource.metadata.name] > 1
            changes.append(await self._change(resource, viewer, twice=twice))
        if prune:
            keep = {name for kind, name in names if kind == "Job"}
            changes += await self._pruned(prune, keep, viewer)
        now = self._clock.now()
        if forecast:
            changes = await self._forecast(changes, now, viewer)
        return Preview(tuple(changes), now)

    async def _change(self, resource: Resource, viewer: Viewer, *, twice: bool) -> Planned:
        if twice:
            text = "is given more than once: expected one document for each name"
            return Planned(Change.REFUSED, None, resource, (text,))
        try:
            applied = await self._applied(resource, viewer)
        except CumulusError as error:
            return Planned(Change.REFUSED, None, resource, tuple(error.message.splitlines()))
        before = self._before(resource)
        if applied.outcome is Outcome.UNCHANGED:
            return Planned(Change.UNCHANGED, before, applied.resource)
        if applied.outcome is Outcome.CREATED:
            return Planned(Change.CREATED, None, applied.resource)
        change = Change.REPLACED if applied.reruns else Change.CHANGED
        return Planned(change, before, applied.resource)

    async def _applied(self, resource: Resource, viewer: Viewer) -> Applied:
        if isinstance(resource, Template):
            return await self._templates.put(resource, dry_run=True)
        return await self._desired.apply(resource, dry_run=True, viewer=viewer)

    def _before(self, resource: Resource) -> Resource | None:
        name = resource.metadata.name
        if isinstance(resource, Template):
            return self._templates.find(name)
        return (
            self._records.job(name)
            if isinstance(resource, Job)
            else self._records.workers.get(name)
        )

    async def _pruned(self, selector: str, keep: set[str], viewer: Viewer) -> list[Planned]:
        matches = parse_selector(selector)
        found: list[Planned] = []
        for number, name in enumerate(sorted(self._records.store.ids(JOBS))):
            if number % 200 == 199:
                await asyncio.sleep(0)
            job = self._records.job(name)
            if job is None or name in keep or not viewer.sees(job.metadata):
                continue
            if job.metadata.deletion_timestamp is None and matches(job.metadata.labels):
                found.append(Planned(Change.PRUNED, job))
        return found

    async def _forecast(self, changes: list[Planned], now: float, viewer: Viewer) -> list[Planned]:
        ended = {
            one.resource.metadata.name
            for one in changes
            if isinstance(one.resource, Job) and one.change in (Change.REPLACED, Change.PRUNED)
        }
        own = {one.resource.metadata.name for one in changes if one.change is not Change.REFUSED}
        words = Discretion(self._records, viewer)
        waiting = (
            Coming(one.order, words.name(one.name), one.ask, project=one.owner)
            for one in self._records.line()
            if one.name not in own and self._world.line.waits(one, now)
        )
        line = list(islice(waiting, REACH))
        for number, one in enumerate(changes, start=1):
            job = _waiting(one)
            if job is not None:
                place = in_line(job)
                order = place.order
                if one.change in _STARTING:  # later than everything there is, and in this order
                    order = (order[0], now + number * 1e-6, order[2])
                coming = Coming(order, place.name, place.ask, True, place.fails, place.owner)
                line.append(coming)
        workers = words.workers(without(self._world.workers(now), ended))
        best_fit = self._world.best_fit
        limits = {one.project: self._world.quotas.seen(one.project, now) for one in line}
        quotas = {name: seen for name, seen in limits.items() if seen is not None}
        found = await asyncio.to_thread(
            preview, line, workers, now, best_fit=best_fit, quotas=quotas
        )
        told: list[Planned] = []
        for one in changes:
            start = found.get(one.resource.metadata.name) if _waiting(one) else None
            expected = None
            if start is not None:
                expected = Expected(
                    Starts(start.when.value),
                    start.at,
                    start.ends,
                    start.worker,
                    start.devices,
                    start.reason,
                    start.workers,
                )
            elif isinstance(one.after, Job) and one.change is not Change.REFUSED:
                expected = Expected(Starts.NOTHING, reason=_idle(one.after, now))
            told.append(replace(one, expected=expected))
        return told


def _waiting(one: Planned) -> Job | None:
    """The job that would wait for room, if it is one."""
    job = one.after
    if not isinstance(job, Job) or one.change is Change.REFUSED or job.spec.suspend:
        return None
    meta, pending = job.metadata, job.status.phase is Phase.PENDING
    if meta.deletion_timestamp is not None or meta.cancellation_timestamp is not None:
        return None
    return job if one.change in _STARTING or pending else None


def _idle(job: Job, now: float) -> str:
    """Why nothing of it starts."""
    status = job.status
    if job.spec.suspend:
        return "it is suspended"
    if status.phase.terminal:
        return f"it has ended as {status.phase.value}, and runs no second time"
    if status.phase is Phase.PENDING:
        return "it is being ended"
    until = (
        f" until {show_clock(status.expires_at, now)} at the latest" if status.expires_at else ""
    )
    return f"it runs on {status.worker}{until}"
