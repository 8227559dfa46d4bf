"""`cumulus.v1.Agent`, what workers' agents call. I/O through the ports only.

Registered by `server.py`. Both directions of Connect run at once; whichever ends first ends
the call, and the session is closed in every case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Final

from loguru import logger

from ...crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ValidationError,
)
from ..convert_agent import agent_frame_from_proto, controller_frame_to_proto
from ..frames import AgentFrame, Heartbeat, LogBatch, NodeReport, NodeUsage
from ..gen.cumulus.v1 import agent_pb2 as pb
from ..gen.cumulus.v1 import agent_pb2_grpc
from ..interceptor import Context
from ..ports import (
    AgentSession,
    AgentsPort,
    ArtifactsPort,
    BlobsPort,
    GivenPort,
    IdentityPort,
    ImagesPort,
)
from . import checks
from .artifacts import ArtifactHandlers
from .caller import Caller
from .given import given
from .images import ImageHandlers

FIRST_SECONDS: Final = 30.0
"""An agent says its state as soon as it is connected."""


class AgentServicer(agent_pb2_grpc.AgentServicer):
    """See the module docstring. identities: None where agents come without certificates, and
    their token alone has let them in.
    """

    def __init__(
        self,
        agents: AgentsPort,
        blobs: BlobsPort,
        images: ImagesPort | None = None,
        identities: IdentityPort | None = None,
        artifacts: ArtifactsPort | None = None,
        datasets: GivenPort | None = None,
    ) -> None:
        self._datasets = datasets
        self._agents = agents
        self._blobs = blobs
        self._images = ImageHandlers(images)
        self._artifacts = ArtifactHandlers(artifacts)
        self._identities = identities

    async def Connect(  # noqa: N802 (gRPC names methods like this)
        self, requests: AsyncIterator[pb.AgentMessage], context: Context
    ) -> AsyncIterator[pb.ControllerMessage]:
        """The stream of one worker: its whole state in, the whole wanted set out."""
        caller = Caller(self._identities, context)
        frames = aiter(requests)
        try:
            first = await asyncio.wait_for(anext(frames, None), FIRST_SECONDS)
        except TimeoutError as e:
            raise ValidationError(f"no state came within {FIRST_SECONDS:g} s") from e
        report = agent_frame_from_proto(first) if first is not None else None
        if not isinstance(report, NodeReport):
            raise ValidationError("the first message of an agent is its state")
        worker = checks.name(report.worker, "state.worker")
        await caller.admit(worker)
        caller.admit_report(report)
        session = await self._agents.session(worker, context.peer())
        log = logger.bind(worker=worker)
        log.info("agent connected")
        reader = asyncio.ensure_future(_read(caller, report, frames, session))
        try:
            async with aclosing(_until(reader, session)) as outgoing:
                async for message in outgoing:
                    yield message
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({reader})
            await session.close()
            log.info("agent gone")

    async def GetImage(self, request: pb.GetImageRequest, context: Context) -> pb.ImageArchive:  # noqa: N802
        """What an image that this worker should have is made of."""
        await Caller(self._identities, context).admit(request.worker)
        return await self._images.archive(request)

    async def GetImagePart(  # noqa: N802
        self, request: pb.GetBlobRequest, context: Context
    ) -> AsyncIterator[pb.BlobChunk]:
        """One part of it, from an offset."""
        await Caller(self._identities, context).admit(request.worker)
        chunks: Any = self._images.part(request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def GetBlob(  # noqa: N802
        self, request: pb.GetBlobRequest, context: Context
    ) -> AsyncIterator[pb.BlobChunk]:
        """Code that a lease on this worker needs, from an offset."""
        await Caller(self._identities, context).admit(request.worker)
        digest = checks.digest(request.digest)
        offset = checks.at_least_zero(request.offset, "offset")
        if not await self._agents.may_read_blob(request.worker, digest):
            raise ForbiddenError(f"{digest} is not wanted on worker {request.worker or '?'}")
        size = await self._blobs.has(digest)
        if size is None:
            raise NotFoundError(f"{digest} is not here")
        if offset > size:
            raise ValidationError(f"offset {offset} is beyond the {size} bytes of {digest}")
        if offset == size:
            yield pb.BlobChunk(total=size)
            return
        pieces: Any = self._blobs.read(digest, offset=offset)
        async with aclosing(pieces):
            async for data in pieces:
                yield pb.BlobChunk(data=data, total=size)

    async def FindArtifact(  # noqa: N802
        self, request: pb.FindArtifactRequest, context: Context
    ) -> pb.ArtifactReceived:
        """How much is here of what an attempt on this worker left."""
        await Caller(self._identities, context).admit(request.worker)
        return await self._artifacts.find(request)

    async def PutArtifact(  # noqa: N802
        self, requests: AsyncIterator[pb.PutArtifactRequest], context: Context
    ) -> pb.ArtifactReceived:
        """The rest of it."""
        frames = aiter(requests)
        first = await anext(frames, None)
        start = first.start if first is not None else pb.PutArtifactRequest.Start()
        await Caller(self._identities, context).admit(start.artifact.worker)
        return await self._artifacts.put(start, frames)

    async def GetArtifact(  # noqa: N802
        self, request: pb.GetBlobRequest, context: Context
    ) -> AsyncIterator[pb.BlobChunk]:
        """What an attempt that is wanted on this worker begins with, from an offset."""
        await Caller(self._identities, context).admit(request.worker)
        chunks: Any = self._artifacts.get(request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def GetDataset(  # noqa: N802
        self, request: pb.GetBlobRequest, context: Context
    ) -> AsyncIterator[pb.BlobChunk]:
        """A dataset that an attempt wanted on this worker reads, from an offset."""
        await Caller(self._identities, context).admit(request.worker)
        if self._datasets is None:
            raise NotFoundError("this controller keeps no datasets")
        chunks: Any = given(self._datasets, request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.RenewResponse:  # noqa: N802
        """A certificate for the time after the one that the call is made with."""
        certificate = await Caller(self._identities, context).renew(request.csr)
        return pb.RenewResponse(certificate=certificate)


async def _read(
    caller: Caller,
    report: NodeReport,
    frames: AsyncIterator[pb.AgentMessage],
    session: AgentSession,
) -> None:
    worker = report.worker
    await session.on_state(report)
    async for message in frames:
        await caller.admit(worker)  # a worker that is removed meanwhile is not heard any more
        frame = agent_frame_from_proto(message)
        if isinstance(frame, NodeReport):
            if frame.worker != worker:
                raise ValidationError(f"the stream of {worker} cannot report for {frame.worker}")
            caller.admit_report(frame)
        if frame is not None:  # of a kind that a newer agent knows and we don't
            await _take(frame, session)


async def _take(frame: AgentFrame, session: AgentSession) -> None:
    if isinstance(frame, NodeReport):
        await session.on_state(frame)
    elif isinstance(frame, Heartbeat):
        await session.on_heartbeat(frame)
    elif isinstance(frame, LogBatch):
        await session.on_logs(frame)
    elif isinstance(frame, NodeUsage):
        await session.on_usage(frame)
    else:
        await session.on_look_now(frame)


async def _until(
    reader: asyncio.Future[None], session: AgentSession
) -> AsyncGenerator[pb.ControllerMessage, None]:
    """Outgoing messages until the agent has ended its side; raises what reading raised."""
    outgoing: Any = session.outgoing()
    async with aclosing(outgoing):
        while True:
            step = asyncio.ensure_future(anext(outgoing, None))
            try:
                await asyncio.wait({step, reader}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not step.done():
                    step.cancel()
                    with suppress(asyncio.CancelledError):
                        await step
            if reader.done():
                reader.result()
                return
            frame = step.result()
            if frame is None:
                raise ConflictError("a newer connection of this worker has taken over")
            yield controller_frame_to_proto(frame)
