"""The asyncio client: every verb of the API, typed. I/O; used by `sync.py` and the command line.

    async with AsyncCumulusClient("127.0.0.1:50051") as client:
        job = await client.submit("job.yaml")
        async for event in client.stream(job):
            print(event)

Raises CumulusError everywhere (crd_like_specs/errors.py and errors.py here), among them
UnavailableError where the server cannot be reached and ValidationError for bad input.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, final

from ..api import convert
from ..api.frames import (
    Applied,
    Log,
    Resource,
    ServerInfo,
    WatchItem,
    WatchType,
    Why,
)
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..api.options import CHUNK_BYTES
from ..crd_like_specs.errors import NotFoundError
from ..crd_like_specs.job import Job
from . import follow, outcome, sources, trust
from .address import DEFAULT_SERVER, Address
from .connection import Connection, Sleep
from .errors import JobError, WaitTimeoutError
from .functions.client import FunctionCalls
from .operators import OperatorCalls
from .stream import Done, Event, LogsLost, Position
from .waiting import Answer, Goal
from .watching import Known, key_of

Args = list[Any] | dict[str, Any]
"""Arguments of main(): by position or by name; what JSON can hold."""

_SENT_AT_ONCE = 64 << 10
"""Code up to this many bytes is sent without asking whether the server has it."""


@final
class AsyncCumulusClient(OperatorCalls, FunctionCalls):
    """A connection to one controller, opened by the first call, shared by all, to be closed.

    server_url: HOST:PORT, or https://HOST:PORT. api_key: a bearer token; it is sent over TLS or
    to this machine only, unless `insecure`. ca: file with the authority to trust (PEM), such as
    a controller's own; it means TLS. timeout: seconds that a single call may take;
    patience: seconds that streams wait for a server that went away; sleep: for tests.
    """

    def __init__(
        self,
        server_url: str = DEFAULT_SERVER,
        api_key: str | None = None,
        *,
        insecure: bool = False,
        ca: str | Path | None = None,
        timeout: float = 30.0,
        patience: float = 120.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._connection = Connection(
            Address.parse(server_url),
            token=api_key,
            insecure=insecure,
            ca=trust.authority(ca) if ca else None,
            timeout=timeout,
            patience=patience,
            sleep=sleep,
        )

    async def __aenter__(self) -> AsyncCumulusClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every open call. Jobs go on."""
        await self._connection.close()

    # Desired state in

    async def apply(
        self, resource: Resource, *, code: bytes | None = None, dry_run: bool = False
    ) -> Applied:
        """Create or change by name; an equal spec changes nothing and runs nothing.

        code: the zip that `spec.code.digest` names, uploaded where the server lacks it.
        """
        if code is not None and not dry_run:
            await self.put_code(code)
        request = pb.ApplyRequest(resource=convert.resource_to_proto(resource), dry_run=dry_run)
        return convert.applied_from_proto(await self._connection.call("Apply", request))

    async def submit(self, job: Job | str | Path, *, idempotency_key: str | None = None) -> Job:
        """Hand a job in and return as soon as it is stored, with its uid.

        job: a Job, or the path of a file with exactly one. idempotency_key: sent twice it is
        one job. ConflictError where the name belongs to a job with another spec.
        """
        wanted, code = sources.one_job(job)
        return await self._stored(wanted, code, idempotency_key)

    async def submit_and_stream(
        self, job: Job | str | Path, *, idempotency_key: str | None = None, logs: bool = True
    ) -> AsyncGenerator[Event, None]:
        """Hand a job in and follow it on the same connection; the last event is `Done`.

        Closing the iterator detaches; the job goes on.
        """
        wanted, code = sources.one_job(job)
        events = self._submitted(wanted, code, idempotency_key, logs=logs)
        async with aclosing(events):
            async for event in events:
                yield event

    async def submit_code(self, job: Job, code: bytes) -> Job:
        """Hand in a job whose `spec.code.digest` is that of this zip; returns once it is stored."""
        return await self._stored(job, code, None)

    async def _stored(self, job: Job, code: bytes | None, idempotency_key: str | None) -> Job:
        events = self._submitted(job, code, idempotency_key, logs=False)
        async with aclosing(events):
            async for event in events:
                if not isinstance(event, Log | LogsLost):
                    return event.job
        raise AssertionError("a job's stream begins with its state")

    async def _submitted(
        self, wanted: Job, code: bytes | None, idempotency_key: str | None, *, logs: bool
    ) -> AsyncGenerator[Event, None]:
        key = idempotency_key or uuid.uuid4().hex  # so that a broken start can be repeated
        if code is not None and len(code) > _SENT_AT_ONCE and await self.has_code(code):
            code = None
        frames = [
            pb.SubmitRequest(
                start=pb.SubmitStart(
                    job=convert.job_to_proto(wanted),
                    idempotency_key=key,
                    code_follows=code is not None,
                )
            ),
            *(pb.SubmitRequest(code=piece) for piece in _pieces(code or b"")),
        ]
        events = follow.follow(
            self._connection,
            lambda: self._connection.open("Submit", frames),
            at=Position(),
            logs=logs,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def has_code(self, code: bytes) -> bool:
        """Whether the server keeps this zip already."""
        request = pb.HasBlobRequest(digest=sources.digest(code))
        return bool((await self._connection.call("HasBlob", request)).exists)

    async def put_code(self, code: bytes) -> str:
        """Upload a zip unless the server has it; its digest, `sha256:<hex>`."""
        digest: str = sources.digest(code)
        if not await self.has_code(code):
            await self._connection.upload(
                "PutBlob",
                lambda: [
                    pb.PutBlobRequest(digest=digest),
                    *(pb.PutBlobRequest(data=piece) for piece in _pieces(code)),
                ],
            )
        return digest

    async def cancel(self, job: Job | str) -> Job:
        """Ask a job to end now; a finished one stays as it is."""
        return convert.job_from_proto(
            await self._connection.call("Cancel", pb.CancelRequest(name=_name(job)))
        )

    async def delete(self, job: Job | str) -> Job:
        """Ask for a job to be ended and forgotten; it is gone once what it holds is gone."""
        response = await self._connection.call("Delete", pb.DeleteRequest(name=_name(job)))
        return convert.job_from_proto(response.job)

    # Observed state out

    async def get(self, kind: str, name: str) -> Resource:
        """kind: Job, Lease or Worker; name: or the uid of a job."""
        request = pb.GetRequest(kind=kind, name=name)
        return convert.resource_from_proto(await self._connection.call("Get", request))

    async def get_job(self, job: Job | str) -> Job:
        """A job as it is now, by name or uid."""
        found = await self.get("Job", _name(job))
        assert isinstance(found, Job)
        return found

    async def list(self, kind: str, *, selector: str = "", phase: str = "") -> list[Resource]:
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
        self, job: Job | str, *, logs: bool = True, attempt: int = 0, offset: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Follow an existing job to its end; the last event is `Done`.

        attempt, offset: the first log record wanted; attempt 0 is the current one.
        """
        at = Position(attempt, offset)
        request = pb.FollowRequest(
            job=_name(job), attempt=attempt, log_offset=offset, no_logs=not logs
        )
        first = lambda: self._connection.open("Follow", request)  # noqa: E731 (one expression)
        return follow.follow(self._connection, first, at=at, logs=logs)

    def logs(
        self, job: Job | str, *, attempt: int = 0, tail: int = 0, wait: bool = False
    ) -> AsyncGenerator[Log | LogsLost, None]:
        """The log of one attempt (0: the current one); wait: until it is complete.

        tail: only the last so many lines; 0 is all.
        """
        return follow.read_logs(
            self._connection, _name(job), at=Position(attempt), tail=tail, wait=wait
        )

    async def wait(
        self,
        name: str,
        goal: str | Goal = "finished",
        *,
        kind: str = "Job",
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
    ) -> Resource | None:
        """Return the object when the goal is met (see waiting.py), None once it is gone.

        timeout: seconds; WaitTimeoutError after it. JobError where the job ended otherwise,
        NotFoundError where it does not exist or went away.
        """
        wanted = Goal.parse(goal) if isinstance(goal, str) else goal
        try:
            return await asyncio.wait_for(self._wait(kind, name, wanted), timeout)
        except TimeoutError as e:
            raise WaitTimeoutError(
                f"{kind.lower()} {name!r} did not become {wanted.text} within {timeout:g} s"
            ) from e

    async def result(
        self,
        job: Job | str,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
    ) -> Any:
        """What the job's main() returned, once it has finished; None for an image job.

        timeout: seconds; WaitTimeoutError after it, the job goes on. JobFailedError,
        JobTimedOutError or JobCancelledError where it did not succeed.
        """
        try:
            done = await asyncio.wait_for(self._end(job), timeout)
        except TimeoutError as e:
            raise WaitTimeoutError(
                f"job {_name(job)!r} did not finish within {timeout:g} s; it goes on"
            ) from e
        return outcome.result_of(done.job, done.envelope)

    async def why(self, job: Job | str) -> Why:
        """Why a job waits, per worker, or what became of it."""
        return convert.why_from_proto(
            await self._connection.call("Why", pb.WhyRequest(job=_name(job)))
        )

    async def server_info(self) -> ServerInfo:
        """What the controller is, and what every user of it must know."""
        return convert.info_from_proto(
            await self._connection.call("ServerInfo", pb.ServerInfoRequest())
        )

    async def run_folder(
        self,
        path: str | Path,
        *,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Sequence[str] | None = None,
        args: Args | None = None,
        name: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
    ) -> Any:
        """Run the main() of a folder's main.py and return its result, as `result` does.

        gpu_memory: fraction of one device's memory, 0 < gpu_memory <= 1, None without a GPU;
        duration: seconds, or text such as `90m`; name: made from the folder's where not given.
        """
        job = await self.submit(
            sources.folder_job(
                Path(path),
                name=name,
                gpu_memory=gpu_memory,
                duration=duration,
                requirements=requirements or (),
                args=args,
            )
        )
        return await self.result(job, timeout)

    async def _end(self, job: Job | str) -> Done:
        async for event in self.stream(job, logs=False):
            if isinstance(event, Done):
                return event
        raise AssertionError("a job's stream ends with Done")

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


def _name(job: Job | str) -> str:
    return job if isinstance(job, str) else job.metadata.uid or job.metadata.name


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
