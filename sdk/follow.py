"""Streams of jobs, logs, results and watches, taken up again after every break. I/O.

Called by `client.py`. The decisions are in `stream.py` and `watching.py`. Each generator ends
its gRPC call when it is closed. All raise CumulusError; UnavailableError means that the server
stayed away for longer than the connection's patience, and says nothing about the job.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

from ..api import convert
from ..api.frames import Log, Resource, WatchItem
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..crd_like_specs.errors import ExpiredError, NotFoundError, UnavailableError
from .connection import BrokenError, Connection
from .stream import Done, Event, LogsLost, Next, Position, Progress, accept, reopened
from .watching import Known, changed, listed


class Reopening:
    """One stream from the server that is opened again after each break.

    open: makes the call for where we are now. endless: its end is a break too.
    """

    def __init__(
        self, connection: Connection, open_call: Callable[[], Any], *, endless: bool = False
    ) -> None:
        self._connection = connection
        self._open = open_call
        self._endless = endless
        self._call: Any = None
        self._heard = False
        self._broken: BrokenError | None = None
        self.opened = 0

    async def read(self) -> Any:
        """The next message, or None at the end. A first connection is given up soon."""
        if not self._heard:
            return await self._connection.retry(self._next)
        broken, self._broken = self._broken, None
        if broken is None:
            try:
                return await self._next()
            except BrokenError as e:
                broken = e
        return await self._connection.come_back(broken, self._next)

    def again(self, *, pause: bool = False) -> None:
        """Let the next `read` open it again, after a pause if asked to."""
        self.close()
        if pause:
            self._broken = BrokenError(UnavailableError("there was no news"))

    def close(self) -> None:
        """End the call."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def _next(self) -> Any:
        if self._call is None:
            self._call = self._open()
            self.opened += 1
        try:
            message = await self._connection.read(self._call)
        except BrokenError:
            self._call = None
            raise
        self._heard = True
        if message is None and self._endless:
            self._call = None
            raise BrokenError(UnavailableError("the stream ended too early"))
        return message


async def follow(
    connection: Connection, first: Callable[[], Any], *, at: Position, logs: bool
) -> AsyncGenerator[Event, None]:
    """Every state, log record and the end of one job, each once and in order.

    first: makes the call (Submit or Follow) until its first frame has come; at: the first log
    record wanted. The last event is `Done`.
    """
    progress = Progress(at=at)

    def open_call() -> Any:
        if not progress.uid:
            return first()
        request = pb.FollowRequest(
            job=progress.uid,
            attempt=progress.at.attempt,
            log_offset=progress.at.offset,
            no_logs=not logs,
        )
        return connection.open("Follow", request)

    stream = Reopening(connection, open_call, endless=True)
    opened = 1
    try:
        while not progress.done:
            frame = convert.event_from_proto(await stream.read())
            if frame is None:
                continue
            if stream.opened != opened:
                opened, progress = stream.opened, reopened(progress)
            step = accept(progress, frame)
            progress = step.progress
            for event in step.events:
                yield await _completed(connection, event) if isinstance(event, Done) else event
            if step.then is not Next.READ:
                stream.again(pause=step.then is Next.LATER)
    finally:
        stream.close()


async def read_logs(
    connection: Connection,
    job: str,
    *,
    at: Position,
    tail: int = 0,
    since: float = 0.0,
    wait: bool = False,
) -> AsyncGenerator[Log | LogsLost, None]:
    """The log of one attempt from a position on.

    job: name or uid; at.attempt 0: the current one, -1: the one before it; tail: the last so many
    lines, 0 is all; since: from what was written then on (POSIX seconds); wait: go on until the
    server says that the log is complete.
    """
    progress = Progress(at=at)
    fresh = bool(tail or since or at.attempt < 0)  # it begins where the server says

    def open_call() -> Any:
        request = pb.LogsRequest(
            job=job,
            attempt=progress.at.attempt,
            offset=progress.at.offset,
            tail=tail if fresh else 0,
            since=since if fresh else 0.0,
            follow=wait,
        )
        return connection.open("Logs", request)

    stream = Reopening(connection, open_call)
    try:
        while (message := await stream.read()) is not None:
            record = convert.log_from_proto(message)
            if fresh:  # it begins where it begins, and what follows has no gaps
                progress, fresh = Progress(at=Position(record.attempt, record.sequence)), False
            step = accept(progress, Log(record))
            progress = step.progress
            if step.then is not Next.READ:
                stream.again()
            for event in step.events:
                if isinstance(event, Log | LogsLost):
                    yield event
    finally:
        stream.close()


async def read_result(connection: Connection, job: str) -> bytes:
    """The envelope of a finished job. NotFoundError where there is none."""

    async def whole() -> bytes:
        call = connection.open("Result", pb.ResultRequest(job=job))
        pieces = []
        while (chunk := await connection.read(call)) is not None:
            pieces.append(chunk.data)
        return b"".join(pieces)

    try:
        return await whole()
    except BrokenError as e:
        return await connection.come_back(e, whole)


async def watch(
    connection: Connection, kind: str, *, name: str, selector: str, known: Known | None = None
) -> AsyncGenerator[WatchItem, None]:
    """Everything as it is, as additions, then every change. Endless; never a bookmark.

    known: what the caller has seen already: only what differs from it is told.
    """
    now = known or Known()

    def open_call() -> Any:
        request = pb.WatchRequest(
            kind=kind, name=name, label_selector=selector, resource_version=now.version
        )
        return connection.open("Watch", request)

    stream = Reopening(connection, open_call, endless=True)
    fresh = True
    try:
        while True:
            if fresh:
                objects, version = await snapshot(connection, kind, name=name, selector=selector)
                now, items = listed(now, objects, version)
                for item in items:
                    yield item
                fresh = False
            try:
                message = await stream.read()
            except ExpiredError:
                stream.close()
                fresh = True
                continue
            now, told = changed(now, convert.watch_item_from_proto(message))
            if told is not None:
                yield told
    finally:
        stream.close()


async def snapshot(
    connection: Connection, kind: str, *, name: str = "", selector: str = "", phase: str = ""
) -> tuple[list[Resource], int]:
    """The objects, and the resource version from which a watch misses nothing."""
    request = pb.ListRequest(kind=kind, label_selector=selector, phase=phase)
    if name:
        request.limit = 1
    page = convert.page_from_proto(await connection.call("List", request))
    version = page.resource_version  # of the first page: what changed since is told by the watch
    if name:
        try:
            found = await connection.call("Get", pb.GetRequest(kind=kind, name=name))
        except NotFoundError:
            return [], version
        return [convert.resource_from_proto(found)], version
    objects = list(page.items)
    while page.continue_token:
        request.continue_token = page.continue_token
        page = convert.page_from_proto(await connection.call("List", request))
        objects.extend(page.items)
    return objects, version


async def _completed(connection: Connection, done: Done) -> Done:
    if not done.incomplete:
        return done
    try:
        envelope = await read_result(connection, done.job.metadata.uid)
    except NotFoundError:
        return replace(done, envelope=None)
    return Done(done.job, envelope=envelope)
