"""The asyncio client's verbs that say what is. I/O; a part of `client.py`'s class."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ..api import convert
from ..api.frames import Log, Resource, ServerInfo, WatchItem, WatchType, Why
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..crd_like_specs.errors import NotFoundError
from ..crd_like_specs.job import Job
from . import follow
from .connection import Connection
from .ending import returned_by
from .errors import JobError, WaitTimeoutError
from .naming import Held, name_of
from .stream import Event, LogsLost, Position
from .waiting import Answer, Goal
from .watching import Known, key_of


class Observations:
    """Records, streams, logs, results and reasons."""

    _connection: Connection

    async def get(self, kind: str, name: str) -> Resource:
        """kind: Job, Lease or Worker; name: or the uid of a job."""
        request = pb.GetRequest(kind=kind, name=name)
        return convert.resource_from_proto(await self._connection.call("Get", request))

    async def get_job(self, job: Job | Held | str) -> Job:
        """A job as it is now, by name or uid."""
        found = await self.get("Job", name_of(job))
        assert isinstance(found, Job)
        return found

    async def list(
        self, kind: str, *, selector: str = "", phase: str = ""
    ) -> builtins.list[Resource]:
        """selector: `key=value,key!=value,key`; phase: of jobs, "" any."""
        objects, _version = await follow.snapshot(
            self._connection, kind, selector=selector, phase=phase
        )
        return objects

    def watch(
        self, kind: str, *, name: str = "", selector: str = ""
    ) -> AsyncGenerator[WatchItem, None]:
        """Everything as it is, as ADDED, then every change, over breaks too. Endless."""
        return follow.watch(self._connection, kind, name=name, selector=selector)

    def stream(
        self, job: Job | Held | str, *, logs: bool = True, attempt: int = 0, offset: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Follow an existing job to its end; the last event is `Done`.

        attempt, offset: the first log record wanted; attempt 0 is the current one.
        """
        at = Position(attempt, offset)
        request = pb.FollowRequest(
            job=name_of(job), attempt=attempt, log_offset=offset, no_logs=not logs
        )
        first = lambda: self._connection.open("Follow", request)  # noqa: E731 (one expression)
        return follow.follow(self._connection, first, at=at, logs=logs)

    def logs(
        self,
        job: Job | Held | str,
        *,
        attempt: int = 0,
        tail: int = 0,
        since: float = 0.0,
        wait: bool = False,
    ) -> AsyncGenerator[Log | LogsLost, None]:
        """The log of one attempt (0: the current one, -1: the one before it); wait: until it is
        complete.

        tail: only the last so many lines; 0 is all. since: nothing written before (POSIX seconds).
        """
        return follow.read_logs(
            self._connection, name_of(job), at=Position(attempt), tail=tail, since=since, wait=wait
        )

    async def wait(
        self,
        name: Job | Held | str,
        goal: str | Goal = "finished",
        *,
        kind: str = "Job",
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
    ) -> Resource | None:
        """Return the object when the goal is met (see waiting.py), None once it is gone. name: of
        an object of that kind; a job may be given itself.

        timeout: seconds; WaitTimeoutError after it. JobError where the job ended otherwise,
        NotFoundError where it does not exist or went away.
        """
        wanted = Goal.parse(goal) if isinstance(goal, str) else goal
        found = name_of(name)
        try:
            return await asyncio.wait_for(self._wait(kind, found, wanted), timeout)
        except TimeoutError as e:
            raise WaitTimeoutError(
                f"{kind.lower()} {found!r} did not become {wanted.text} within {timeout:g} s"
            ) from e

    async def result(
        self,
        job: Job | Held | str,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
    ) -> Any:
        """What the job's main() returned, once it has finished; None for an image job.

        timeout: seconds; WaitTimeoutError after it, the job goes on. JobFailedError,
        JobTimedOutError or JobCancelledError where it did not succeed.
        """
        events = self.stream(job, logs=False)
        return await returned_by(self._connection, name_of(job), events, timeout=timeout)

    async def why(self, job: Job | Held | str) -> Why:
        """Why a job waits, per worker, or what became of it."""
        return convert.why_from_proto(
            await self._connection.call("Why", pb.WhyRequest(job=name_of(job)))
        )

    async def server_info(self) -> ServerInfo:
        """What the controller is, and what every user of it must know."""
        return convert.info_from_proto(
            await self._connection.call("ServerInfo", pb.ServerInfoRequest())
        )

    async def _wait(self, kind: str, name: str, goal: Goal) -> Resource | None:
        try:
            found = await self.get(kind, name)
        except NotFoundError:
            if goal.deleted:
                return None
            raise
        seen: Resource | None = found
        changes = follow.watch(
            self._connection,
            kind,
            name=found.metadata.name,
            selector="",
            known=Known(objects={key_of(found): found}),
        )
        async with aclosing(changes):
            while (answer := goal.check(seen)) is Answer.NOT_YET:
                item = await anext(changes)
                seen = None if item.type is WatchType.DELETED else item.resource
        if answer is Answer.NEVER:
            raise _never(kind, name, goal, seen)
        return seen


def _never(kind: str, name: str, goal: Goal, seen: Resource | None) -> Exception:
    if not isinstance(seen, Job):
        return NotFoundError(f"{kind.lower()} {name!r} was deleted while it was waited for")
    phase = seen.status.phase.value
    text = seen.status.message or seen.status.reason
    told = f": {text}" if text else ""
    return JobError(f"job {name!r} ended as {phase}, it will not be {goal.text}{told}", job=seen)
