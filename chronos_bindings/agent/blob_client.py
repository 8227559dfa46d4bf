"""Code zips from the controller, over the agent's channel. I/O; implements `ports.BlobSource`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import tenacity

from ...api.gen.cumulus.v1 import agent_pb2 as pb
from ...api.gen.cumulus.v1 import agent_pb2_grpc
from ...crd_like_specs.errors import Permanent, Temporary
from .blob_cache import matches

Metadata = tuple[tuple[str, str], ...]

_TRIES: Final = 4


class GrpcBlobs:
    """worker: name of this worker, which the controller checks before it gives anything.
    metadata: sent with each call.
    """

    def __init__(self, channel: grpc.aio.Channel, worker: str, *, metadata: Metadata = ()) -> None:
        self._stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._worker = worker
        self._metadata = metadata

    async def fetch(self, digest: str, dest: Path) -> None:
        """See `ports.BlobSource`. The part that came before a break lies in `<dest>.part`."""
        part = dest.with_name(f"{dest.name}.part")
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(Temporary),
                wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
                stop=tenacity.stop_after_attempt(_TRIES),
                reraise=True,
            ):
                with attempt:
                    await self._resume(digest, part)
                    if not await asyncio.to_thread(matches, part, digest):
                        _forget(part)
                        raise Temporary(f"{digest} came damaged", reason="CodeMissing")
            part.replace(dest)
        except OSError as e:
            raise Temporary(
                f"code cannot be kept: {e.strerror}: {e.filename}", reason="StagingFailed"
            ) from e

    async def _resume(self, digest: str, part: Path) -> None:
        have = _size(part)
        request = pb.GetBlobRequest(digest=digest, offset=have, worker=self._worker)
        total = -1
        try:
            with part.open("ab") as file:
                async for chunk in self._stub.GetBlob(request, metadata=self._metadata):
                    total = chunk.total
                    file.write(chunk.data)
                    have += len(chunk.data)
        except grpc.aio.AioRpcError as e:
            if have and e.code() is grpc.StatusCode.INVALID_ARGUMENT:
                _forget(part)  # it is longer than the blob: begin anew
            kind = Permanent if e.code() is grpc.StatusCode.NOT_FOUND else Temporary
            raise kind(f"{digest}: {e.details()}", reason="CodeMissing") from e
        if have != total:
            _forget(part)
            raise Temporary(f"{digest}: {have} of {total} bytes came", reason="CodeMissing")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
