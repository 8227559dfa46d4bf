"""Code zips from the controller, over the agent's channel. I/O; implements `ports.BlobSource`."""

from __future__ import annotations

from pathlib import Path

import grpc.aio

from ...api.gen.cumulus.v1 import agent_pb2_grpc
from .transfer import Metadata, Transfer


class GrpcBlobs:
    """worker: name of this worker, which the controller checks before it gives anything.
    metadata: sent with each call.
    """

    def __init__(self, channel: grpc.aio.Channel, worker: str, *, metadata: Metadata = ()) -> None:
        stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._transfer = Transfer(stub.GetBlob, worker, metadata, reason="CodeMissing")

    async def fetch(self, digest: str, dest: Path) -> None:
        """See `ports.BlobSource`."""
        await self._transfer.fetch(digest, dest)
