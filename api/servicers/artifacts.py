"""GetArtifact, FindArtifact and PutArtifact of `cumulus.v1.Agent`. I/O through the port only.

Called by `agent.py` once it has checked that the caller speaks for the worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ...crd_like_specs.errors import NotFoundError, ValidationError
from ..gen.cumulus.v1 import agent_pb2 as pb
from ..outputs import ArtifactKind
from ..ports import ArtifactsPort
from . import checks
from .given import given


class ArtifactHandlers:
    """artifacts: None where the controller keeps none."""

    def __init__(self, artifacts: ArtifactsPort | None) -> None:
        self._artifacts = artifacts

    async def find(self, request: pb.FindArtifactRequest) -> pb.ArtifactReceived:
        """How much of it is here."""
        found = await self._port().find(
            request.worker,
            checks.name(request.unit, "unit"),
            checks.digest(request.digest),
            checks.at_least_zero(request.size, "size"),
            _kind(request),
        )
        return pb.ArtifactReceived(size=found.size, complete=found.complete)

    async def put(
        self, start: pb.PutArtifactRequest.Start, pieces: AsyncIterator[pb.PutArtifactRequest]
    ) -> pb.ArtifactReceived:
        """Take the rest of it. What came before a break is kept."""
        wanted, offset = start.artifact, checks.at_least_zero(start.offset, "offset")
        writer = await self._port().receive(
            wanted.worker,
            checks.name(wanted.unit, "unit"),
            checks.digest(wanted.digest),
            checks.at_least_zero(wanted.size, "size"),
            offset,
            _kind(wanted),
        )
        size = offset
        try:
            async for piece in pieces:
                size += len(piece.data)
                await writer.write(piece.data)
            if size < wanted.size:  # the caller's side ended early
                return pb.ArtifactReceived(size=size)
            return pb.ArtifactReceived(size=await writer.commit(), complete=True)
        finally:
            await writer.abort()

    async def get(self, request: pb.GetBlobRequest) -> AsyncIterator[pb.BlobChunk]:
        """One, from an offset."""
        chunks: Any = given(self._port(), request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    def _port(self) -> ArtifactsPort:
        if self._artifacts is None:
            raise NotFoundError("this controller keeps nothing of what attempts leave")
        return self._artifacts


def _kind(request: pb.FindArtifactRequest) -> ArtifactKind:
    if request.kind == pb.ArtifactKind.OUTPUTS:
        return ArtifactKind.OUTPUTS
    if request.kind == pb.ArtifactKind.CHECKPOINT:
        return ArtifactKind.CHECKPOINT
    raise ValidationError(f"artifacts of kind {request.kind} are not known here")
