"""What `/v1` streams: changes, a job as it goes, its log and result, events. I/O through the port.

Event streams bear ids from which a client that comes back goes on, as browsers do by themselves
(`Last-Event-ID`). The end of a stream never means the end of a job: `finished` does.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.errors import Problem, ValidationError
from ...frames import Finished, JobEvent, Log, LogRecord, State, WatchType
from ...happened import EventQuery
from ...ports import JobsPort
from ...servicers import checks
from .. import sse
from ..calls import may, seen
from ..downloads import served, streamed
from ..live import Streams, event
from . import models

MOST: Final = (1 << 63) - 1
"""Of any offset or version."""

EVENTS: Final = 1000
"""In one answer, the last of those asked for."""

_EVENTS: Final[dict[int | str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_TEXT: Final[dict[int | str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}
_JSON: Final[dict[int | str, Any]] = {200: {"content": {"application/json": {"schema": {}}}}}

LastId = Annotated[str, Header(alias="Last-Event-ID", max_length=64)]
Count = Annotated[int, Query(ge=0, le=MOST)]


def router(jobs: JobsPort, streams: Streams) -> APIRouter:
    """See the module docstring."""
    paths = APIRouter(tags=["streams"])
    _add_watch(paths, jobs, streams)
    _add_events(paths, jobs, streams)

    @paths.get(
        "/jobs/{name}/follow",
        dependencies=[may("Follow")],
        response_class=Response,
        responses=_EVENTS,
    )
    async def follow(
        request: Request,
        name: str,
        log_offset: Annotated[int, Query(alias="logOffset", ge=0, le=MOST)] = 0,
        attempt: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
        logs: bool = True,
        last: LastId = "",
    ) -> Response:
        """The job from now to its end: `state`, `log` (its id is where to go on), `result` (a piece
        of the envelope in base64), `finished`.
        """
        if last:
            attempt, log_offset = _position(last)
        items = seen(jobs, request).follow(
            checks.name(name), log_offset=log_offset, attempt=attempt, with_logs=logs
        )
        return await sse.events(_job_events(items), streams)

    @served(paths, "/jobs/{name}/logs", may("Logs"), _TEXT, head="head_logs")
    async def logs(
        request: Request,
        name: str,
        attempt: Annotated[int, Query(ge=-1, le=1 << 31)] = 0,
        offset: Count = 0,
        tail: Count = 0,
        follow: bool = False,
        since: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    ) -> Response:
        """What the job wrote, as it wrote it. attempt: 0 the current one, -1 the one before;
        offset: of the first record wanted; tail: the last so many lines; since: nothing written
        before (POSIX seconds); follow: go on until the attempt is over.
        """
        records = seen(jobs, request).logs(
            checks.name(name),
            attempt=attempt,
            offset=offset,
            tail=tail,
            follow=follow,
            since=since,
        )
        return await streamed(request, _written(records), streams, "text/plain; charset=utf-8")

    @served(paths, "/jobs/{name}/result", may("Result"), _JSON, head="head_result")
    async def result(request: Request, name: str) -> Response:
        """The result envelope of a job that is over: a JSON object."""
        pieces = seen(jobs, request).result(checks.name(name))
        return await streamed(request, pieces, streams, "application/json")

    return paths


def _query(
    job: str = "",
    worker: str = "",
    types: Annotated[list[str] | None, Query(alias="type", max_length=40)] = None,
    since: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    after: Count = 0,
    tail: Count = 0,
    warnings: bool = False,
) -> EventQuery:
    """What is asked for."""
    return EventQuery(
        job=checks.name(job, "job") if job else "",
        worker=checks.name(worker, "worker") if worker else "",
        types=frozenset(types or ()),
        since=since,
        after=after,
        tail=tail,
        warnings=warnings,
    ).checked()


Asked = Annotated[EventQuery, Depends(_query)]


def _add_watch(paths: APIRouter, jobs: JobsPort, streams: Streams) -> None:
    @paths.get("/watch", dependencies=[may("Watch")], response_class=Response, responses=_EVENTS)
    async def watch(
        request: Request,
        kind: str = "Job",
        name: str = "",
        label_selector: Annotated[str, Query(alias="labelSelector")] = "",
        resource_version: Annotated[int, Query(alias="resourceVersion", ge=0, le=MOST)] = 0,
        last: LastId = "",
    ) -> Response:
        """Everything as it is (unless `resourceVersion` says from when on), then each change:
        `added`, `modified`, `deleted`, `bookmark`. 410 where that version is no longer kept.
        """
        since = _number(last) if last else resource_version
        items = seen(jobs, request).watch(
            checks.kind(kind),
            name=checks.name_of(kind, name) if name else "",
            label_selector=label_selector,
            since=since,
        )

        async def changes() -> AsyncIterator[str]:
            complete = since > 0  # until then, an id would promise what was not sent yet
            found: Any = items
            async with aclosing(found):
                async for item in found:
                    complete = complete or item.type is WatchType.BOOKMARK
                    id_ = str(item.resource_version) if complete else ""
                    yield event(item.type.value, models.watch_item(item), id_)

        return await sse.events(changes(), streams)


def _add_events(paths: APIRouter, jobs: JobsPort, streams: Streams) -> None:
    @paths.get("/events", dependencies=[may("Events")], response_model=models.Events)
    async def list_events(request: Request, wanted: Asked) -> JSONResponse:
        """What happened, oldest first: the last ones, if there are very many."""
        limited = replace(wanted, tail=min(wanted.tail or EVENTS, EVENTS))
        found = [models.happened(one) async for one in seen(jobs, request).events(limited)]
        return JSONResponse({"items": found})

    @paths.get(
        "/events/watch", dependencies=[may("Events")], response_class=Response, responses=_EVENTS
    )
    async def watch_events(request: Request, wanted: Asked, last: LastId = "") -> Response:
        """What happened, and then what happens, each with its type as the event's."""
        after = _number(last) if last else wanted.after
        items: Any = seen(jobs, request).events(replace(wanted, after=after, watch=True))

        async def happenings() -> AsyncIterator[str]:
            async with aclosing(items):
                async for one in items:
                    yield event(one.type, models.happened(one), str(one.sequence))

        return await sse.events(happenings(), streams)


async def _job_events(items: Any) -> AsyncIterator[str]:
    async with aclosing(items):
        async for item in items:
            yield _job_event(item)


def _job_event(item: JobEvent) -> str:
    if isinstance(item, State):
        return event("state", item.job.to_dict())
    if isinstance(item, Log):
        record = item.record
        return event("log", models.log_record(record), f"{record.attempt}.{record.sequence + 1}")
    if isinstance(item, Finished):
        return event("finished", item.job.to_dict())
    return event("result", {"data": base64.b64encode(item.data).decode()})


async def _written(records: AsyncIterator[LogRecord]) -> AsyncIterator[bytes]:
    found: Any = records
    async with aclosing(found):
        async for record in found:
            yield record.data


def _number(last: str) -> int:
    if not last.isascii() or not last.isdecimal() or int(last) > MOST:
        raise _wrong_id(last, "the id of an event of this stream")
    return int(last)


def _position(last: str) -> tuple[int, int]:
    """Attempt and offset, as the id of a `log` has them."""
    attempt, _, offset = last.partition(".")
    return _number(attempt), _number(offset)


def _wrong_id(last: str, expected: str) -> ValidationError:
    return ValidationError([Problem(f"{last!r} is given, expected {expected}", "Last-Event-ID")])
