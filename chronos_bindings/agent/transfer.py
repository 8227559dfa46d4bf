"""What a digest names, fetched from the controller: resumed after a break, checked at the end. I/O.

Called by `blob_client` (code zips) and `image_client` (parts of images). What came before a break
lies in `<dest>.part`, also for the agent after this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import grpc
import grpc.aio
import tenacity

from ...api.gen.cumulus.v1 import agent_pb2 as pb
from ...crd_like_specs.errors import Permanent, Temporary
from .blob_cache import matches

Metadata = tuple[tuple[str, str], ...]

PARTIAL: Final = ".part"
_TRIES: Final = 4


class Read(Protocol):
    """A method of the stub that streams a blob from an offset."""

    def __call__(
        self, request: pb.GetBlobRequest, *, metadata: Metadata
    ) -> AsyncIterable[pb.BlobChunk]:
        """One call."""


@dataclass(frozen=True)
class Transfer:
    """worker: name of this worker, which the controller checks before it gives anything.
    metadata: sent with each call. reason: of the errors. unit: the attempt that it is for, of an
    artifact.
    """

    read: Read
    worker: str
    metadata: Metadata
    reason: str
    unit: str = ""

    async def fetch(
        self, digest: str, dest: Path, arrived: Callable[[int], None] = lambda _: None
    ) -> None:
        """The content, in `dest` once it is whole and right.

        arrived: told how many bytes are there, after each piece. Permanent where the controller
        does not have it, Temporary for all else, after a few tries.
        """
        part = dest.with_name(f"{dest.name}{PARTIAL}")
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(Temporary),
                wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
                stop=tenacity.stop_after_attempt(_TRIES),
                reraise=True,
            ):
                with attempt:
                    await self._resume(digest, part, arrived)
                    if not await asyncio.to_thread(matches, part, digest):
                        _forget(part)
                        raise Temporary(f"{digest} came damaged", reason=self.reason)
            part.replace(dest)
        except OSError as e:
            raise Temporary(
                f"{digest} cannot be kept: {e.strerror}: {e.filename}", reason=self.reason
            ) from e

    async def _resume(self, digest: str, part: Path, arrived: Callable[[int], None]) -> None:
        have = _size(part)
        request = pb.GetBlobRequest(digest=digest, offset=have, worker=self.worker, unit=self.unit)
        total = -1
        try:
            with part.open("ab") as file:
                async for chunk in self.read(request, metadata=self.metadata):
                    total = chunk.total
                    if chunk.data:  # in a thread: a disk that is behind must not delay the agent
                        await asyncio.to_thread(file.write, chunk.data)
                    have += len(chunk.data)
                    arrived(have)
        except asyncio.CancelledError as e:
            raise_if_cancelled()
            raise Temporary(f"{digest}: the connection was exchanged", reason=self.reason) from e
        except grpc.aio.AioRpcError as e:
            if have and e.code() is grpc.StatusCode.INVALID_ARGUMENT:
                _forget(part)  # it is longer than the blob: begin anew
            kind = Permanent if e.code() is grpc.StatusCode.NOT_FOUND else Temporary
            raise kind(f"{digest}: {e.details()}", reason=self.reason) from e
        if have != total:
            _forget(part)
            raise Temporary(f"{digest}: {have} of {total} bytes came", reason=self.reason)


def raise_if_cancelled() -> None:
    """Go on with a cancellation that is this task's own: a call ends in one, too, where its
    channel is closed under it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
