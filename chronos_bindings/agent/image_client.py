"""Images from the controller, part by part. I/O; implements `image_ports.ImageSource`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from ...api.frames import ImageArchive, ImagePart
from ...api.gen.cumulus.v1 import agent_pb2 as pb
from ...api.gen.cumulus.v1 import agent_pb2_grpc
from ...crd_like_specs.errors import Temporary
from .transfer import Metadata, Transfer, raise_if_cancelled

REASON: Final = "ImageUnavailable"


class GrpcImages:
    """channel: to the controller; one of its own, so that a heartbeat never waits behind gigabytes.
    worker: name of this worker. metadata: sent with each call.
    """

    def __init__(self, channel: grpc.aio.Channel, worker: str, *, metadata: Metadata = ()) -> None:
        self._stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._worker = worker
        self._metadata = metadata
        self._transfer = Transfer(self._stub.GetImagePart, worker, metadata, reason=REASON)

    async def archive(self, image: str) -> ImageArchive:
        """See `ImageSource`."""
        request = pb.GetImageRequest(id=image, worker=self._worker)
        try:
            found = await self._stub.GetImage(request, metadata=self._metadata)
        except asyncio.CancelledError as e:
            raise_if_cancelled()
            raise Temporary(f"image {image}: the connection was exchanged", reason=REASON) from e
        except grpc.aio.AioRpcError as e:
            raise Temporary(f"image {image}: {e.details()}", reason=REASON) from e
        return ImageArchive(tuple(ImagePart(p.path, p.digest, p.size) for p in found.parts))

    async def part(self, digest: str, dest: Path, arrived: Callable[[int], None]) -> None:
        """See `ImageSource`."""
        await self._transfer.fetch(digest, dest, arrived)
