"""What attempts leave, to the controller and from it, over the agent's bulk channel. I/O.

Called by `saving` and `staging`. An upload that broke off goes on where it was: the
controller says how much it has. One piece is read at a time, so that memory stays small.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from ...api.gen.cumulus.v1 import agent_pb2 as pb
from ...api.gen.cumulus.v1 import agent_pb2_grpc
from ...api.options import CHUNK_BYTES
from ...api.outputs import ArtifactKind
from ...crd_like_specs.errors import Permanent, Temporary
from .transfer import Metadata, Transfer, raise_if_cancelled

NOT_KEPT: Final = "CheckpointNotKept"
MISSING: Final = "CheckpointMissing"

_KINDS: Final = {
    ArtifactKind.CHECKPOINT: pb.ArtifactKind.CHECKPOINT,
    ArtifactKind.OUTPUTS: pb.ArtifactKind.OUTPUTS,
}
_FOR_GOOD: Final = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,  # a controller from before there were artifacts
)


class GrpcArtifacts:
    """channel: to the controller, not the one of the heartbeats. worker: name of this worker, which
    the controller checks. metadata: sent with each call.
    """

    def __init__(self, channel: grpc.aio.Channel, worker: str, *, metadata: Metadata = ()) -> None:
        self._stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._worker = worker
        self._metadata = metadata

    async def fetch(self, unit: str, digest: str, dest: Path) -> None:
        """The content in `dest`, checked. unit: the attempt that it is wanted for.

        Permanent("CheckpointMissing"), Temporary.
        """
        transfer = Transfer(
            self._stub.GetArtifact, self._worker, self._metadata, reason=MISSING, unit=unit
        )
        await transfer.fetch(digest, dest)

    async def send(
        self,
        unit: str,
        digest: str,
        path: Path,
        arrived: Callable[[int], None] = lambda _: None,
        kind: ArtifactKind = ArtifactKind.CHECKPOINT,
    ) -> None:
        """Returns once the controller has it for good. unit: the attempt that left it.

        arrived: told after each piece how many bytes were sent in all. Permanent where the
        controller does not take it, Temporary for all else; done again it goes on.
        """
        size = (await asyncio.to_thread(path.stat)).st_size
        wanted = pb.FindArtifactRequest(
            worker=self._worker, unit=unit, digest=digest, size=size, kind=_KINDS[kind]
        )
        try:
            found = await self._stub.FindArtifact(wanted, metadata=self._metadata)
            if found.complete:
                return
            arrived(found.size)
            frames = _frames(wanted, path, found.size, arrived)
            kept = await self._stub.PutArtifact(frames, metadata=self._metadata)
        except asyncio.CancelledError as e:
            raise_if_cancelled()
            raise Temporary(f"{digest}: the connection was exchanged", reason=NOT_KEPT) from e
        except grpc.aio.AioRpcError as e:
            error = Permanent if e.code() in _FOR_GOOD else Temporary
            raise error(str(e.details()), reason=NOT_KEPT) from e
        if not kept.complete:
            raise Temporary(f"{digest}: {kept.size} of {size} bytes arrived", reason=NOT_KEPT)


async def _frames(
    wanted: pb.FindArtifactRequest, path: Path, offset: int, arrived: Callable[[int], None]
) -> AsyncIterator[pb.PutArtifactRequest]:
    yield pb.PutArtifactRequest(start=pb.PutArtifactRequest.Start(artifact=wanted, offset=offset))
    with path.open("rb") as file:
        file.seek(offset)
        while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield pb.PutArtifactRequest(data=piece)
            offset += len(piece)
            arrived(offset)
