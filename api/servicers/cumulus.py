"""`cumulus.v1.Cumulus`, what clients call. I/O through the ports only.

Registered by `server.py`. Methods convert, check and pass on; errors are raised, and the
interceptor makes statuses of them. Writes run to their end even if the client goes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.template import Template
from ...crd_like_specs.worker import Worker
from .. import convert
from ..auth import Role, Tokens, require
from ..convert_usage import usage_to_proto
from ..frames import Finished, JobEvent
from ..gen.cumulus.v1 import cumulus_pb2 as pb
from ..gen.cumulus.v1 import cumulus_pb2_grpc
from ..gen.cumulus.v1 import resources_pb2 as res
from ..interceptor import Context, current
from ..options import MAX_CODE_BYTES
from ..ports import BlobsPort, JobsPort, JoinPort
from ..status import job_error
from ..tenancy import ProjectsPort
from . import checks
from .operations import OperationsServicer
from .submission import begin
from .uploads import receive
from .writes import Writes

T = TypeVar("T")


class CumulusServicer(OperationsServicer, cumulus_pb2_grpc.CumulusServicer):
    """See the module docstring. join: None where machines cannot join. max_code: bytes of the
    largest code zip that is taken.
    """

    def __init__(
        self,
        jobs: JobsPort,
        blobs: BlobsPort,
        join: JoinPort | None = None,
        tokens: Tokens | None = None,
        projects: ProjectsPort | None = None,
        *,
        max_code: int = MAX_CODE_BYTES,
    ) -> None:
        self._of_all = jobs
        self._blobs = blobs
        self._join = join
        self._tokens = tokens
        self._projects = projects
        self._max_code = max_code
        self.writes = Writes()
        """Of all services of this server."""

    @property
    def _jobs(self) -> JobsPort:
        """As the caller of the running call sees them: the one way to them from here."""
        return self._of_all.seen_by(current().viewer)

    async def Submit(  # noqa: N802 (gRPC names methods like this)
        self, requests: AsyncIterator[pb.SubmitRequest], _context: Context
    ) -> AsyncIterator[pb.JobEvent]:
        """Take spec and code in, store the job, follow it to its end."""
        job, start = await begin(requests, self._blobs, max_code=self._max_code)
        stored = await self._write(self._jobs.submit(job, idempotency_key=start.idempotency_key))
        uid = current().job_id = stored.metadata.uid
        async for event in self._follow(uid, with_logs=not start.no_logs):
            yield event

    async def Follow(  # noqa: N802
        self, request: pb.FollowRequest, _context: Context
    ) -> AsyncIterator[pb.JobEvent]:
        """Like Submit, for a job that exists."""
        current().job_id = checks.name(request.job, "job")
        offset = checks.at_least_zero(request.log_offset, "log_offset")
        attempt = checks.at_least_zero(request.attempt, "attempt")
        async for event in self._follow(
            request.job, offset=offset, attempt=attempt, with_logs=not request.no_logs
        ):
            yield event

    async def _follow(
        self, name: str, *, offset: int = 0, attempt: int = 0, with_logs: bool = True
    ) -> AsyncIterator[pb.JobEvent]:
        events: Any = self._jobs.follow(
            name, log_offset=offset, attempt=attempt, with_logs=with_logs
        )
        async with aclosing(events):
            async for event in events:
                _raise_if_unplaced(event)
                yield convert.event_to_proto(event)

    async def Apply(self, request: pb.ApplyRequest, _context: Context) -> pb.ApplyResponse:  # noqa: N802
        """Create or change."""
        resource = convert.resource_from_proto(request.resource)
        current().job_id = resource.metadata.name if resource.kind == "Job" else ""
        if isinstance(resource, Worker):
            require(current().role, {Role.ADMIN}, "change workers")
        if isinstance(resource, Template):
            require(current().role, {Role.ADMIN}, "change templates")
        applied = await self._write(self._jobs.apply(resource, dry_run=request.dry_run))
        return convert.applied_to_proto(applied)

    async def Get(self, request: pb.GetRequest, _context: Context) -> res.Resource:  # noqa: N802
        """One resource."""
        kind = checks.kind(request.kind)
        current().job_id = request.name if kind == "Job" else ""
        return convert.resource_to_proto(
            await self._jobs.get(kind, checks.name_of(kind, request.name))
        )

    async def List(self, request: pb.ListRequest, _context: Context) -> pb.ListResponse:  # noqa: N802
        """A page."""
        page = await self._jobs.list(
            checks.kind(request.kind),
            label_selector=request.label_selector,
            phase=checks.phase(request.phase),
            limit=checks.limit(request.limit),
            continue_token=request.continue_token,
        )
        return convert.page_to_proto(page)

    async def Watch(  # noqa: N802
        self, request: pb.WatchRequest, _context: Context
    ) -> AsyncIterator[pb.WatchEvent]:
        """Everything, then every change."""
        kind = checks.kind(request.kind)
        items: Any = self._jobs.watch(
            kind,
            name=checks.name_of(kind, request.name) if request.name else "",
            label_selector=request.label_selector,
            since=checks.at_least_zero(request.resource_version, "resource_version"),
        )
        async with aclosing(items):
            async for item in items:
                yield convert.watch_item_to_proto(item)

    async def Delete(self, request: pb.DeleteRequest, _context: Context) -> pb.DeleteResponse:  # noqa: N802
        """Mark for deletion."""
        current().job_id = checks.name(request.name)
        job = await self._write(self._jobs.delete(request.name))
        return pb.DeleteResponse(job=convert.job_to_proto(job))

    async def Cancel(self, request: pb.CancelRequest, _context: Context) -> res.Job:  # noqa: N802
        """Mark for cancelling."""
        current().job_id = checks.name(request.name)
        return convert.job_to_proto(await self._write(self._jobs.cancel(request.name)))

    async def Pause(self, request: pb.PauseRequest, _context: Context) -> res.Job:  # noqa: N802
        """Pause or resume."""
        current().job_id = checks.name(request.name)
        paused = self._jobs.pause(request.name, paused=request.paused)
        return convert.job_to_proto(await self._write(paused))

    async def Logs(  # noqa: N802
        self, request: pb.LogsRequest, _context: Context
    ) -> AsyncIterator[pb.LogRecord]:
        """Records of one attempt."""
        current().job_id = checks.name(request.job, "job")
        records: Any = self._jobs.logs(
            request.job,
            attempt=checks.an_attempt(request.attempt),
            since=request.since,
            offset=checks.at_least_zero(request.offset, "offset"),
            tail=checks.at_least_zero(request.tail, "tail"),
            follow=request.follow,
        )
        async with aclosing(records):
            async for record in records:
                yield convert.log_to_proto(record)

    async def Result(  # noqa: N802
        self, request: pb.ResultRequest, _context: Context
    ) -> AsyncIterator[pb.Chunk]:
        """The envelope in pieces."""
        current().job_id = checks.name(request.job, "job")
        pieces: Any = self._jobs.result(request.job)
        async with aclosing(pieces):
            async for data in pieces:
                yield pb.Chunk(data=data)

    async def Why(self, request: pb.WhyRequest, _context: Context) -> pb.WhyResponse:  # noqa: N802
        """Why it waits."""
        current().job_id = checks.name(request.job, "job")
        return convert.why_to_proto(await self._jobs.why(request.job))

    async def Cordon(self, request: pb.CordonRequest, _context: Context) -> res.Worker:  # noqa: N802
        """Set cordon and drain."""
        worker = checks.name(request.worker, "worker")
        changed = await self._write(
            self._jobs.cordon(worker, cordoned=request.cordoned, drain=request.drain)
        )
        return convert.worker_to_proto(changed)

    async def Fence(self, request: pb.FenceRequest, _context: Context) -> res.Worker:  # noqa: N802
        """Vouch that nothing runs there, or take that back."""
        worker = checks.name(request.worker, "worker")
        changed = await self._write(self._jobs.fence(worker, fenced=request.fenced))
        return convert.worker_to_proto(changed)

    async def RemoveWorker(  # noqa: N802
        self, request: pb.RemoveWorkerRequest, _context: Context
    ) -> res.Worker:
        """Forget a worker."""
        worker = checks.name(request.worker, "worker")
        return convert.worker_to_proto(await self._write(self._jobs.remove_worker(worker)))

    async def CreateJoinToken(  # noqa: N802
        self, request: pb.CreateJoinTokenRequest, _context: Context
    ) -> pb.JoinToken:
        """What lets one machine become a worker."""
        if self._join is None:
            raise Permanent(
                "machines cannot join this controller, since it has no authority of its own: "
                "set tls.auto in its configuration",
                reason="NoAuthority",
            )
        worker = checks.name(request.worker, "worker") if request.worker else ""
        ttl = checks.at_least_zero(request.ttl, "ttl")
        new = await self._write(self._join.create_token(ttl, worker))
        return pb.JoinToken(token=new.token, expires_at=new.expires_at, controller=new.controller)

    async def PutBlob(  # noqa: N802
        self, requests: AsyncIterator[pb.PutBlobRequest], _context: Context
    ) -> pb.PutBlobResponse:
        """Take a blob in."""
        first = await anext(aiter(requests), None)
        digest = checks.digest(first.digest if first else "")
        chunks = (request.data async for request in requests)
        got = await receive(self._blobs, digest, chunks, limit=self._max_code)
        return pb.PutBlobResponse(digest=digest, size=got.size, existed=got.existed)

    async def HasBlob(self, request: pb.HasBlobRequest, _context: Context) -> pb.HasBlobResponse:  # noqa: N802
        """Whether it is there."""
        size = await self._blobs.has(checks.digest(request.digest))
        return pb.HasBlobResponse(exists=size is not None, size=size or 0)

    async def Usage(self, request: pb.UsageRequest, _context: Context) -> pb.UsageResponse:  # noqa: N802
        """What workers use now."""
        worker = checks.name(request.worker, "worker") if request.worker else ""
        return usage_to_proto(await self._jobs.usage(worker))

    async def ServerInfo(  # noqa: N802
        self, _request: pb.ServerInfoRequest, _context: Context
    ) -> pb.ServerInfoResponse:
        """What this controller is."""
        return convert.info_to_proto(await self._jobs.server_info())

    async def _write(self, write: Coroutine[Any, Any, T]) -> T:
        """To its end though its client goes away."""
        return await self.writes.write(write)

    async def settle(self) -> None:
        """Wait for the writes whose clients are gone."""
        await self.writes.settle()


def _raise_if_unplaced(event: JobEvent) -> None:
    error = job_error(event.job) if isinstance(event, Finished) else None
    if error:
        raise error
