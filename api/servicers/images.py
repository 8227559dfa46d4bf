"""GetImage and GetImagePart of `cumulus.v1.Agent`. I/O through the port only.

Called by `agent.py` once it has checked that the caller speaks for the worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ...crd_like_specs.errors import NotFoundError, ValidationError
from ..gen.cumulus.v1 import agent_pb2 as pb
from ..ports import ImagesPort
from . import checks


class ImageHandlers:
    """images: None where the controller holds none, as on platforms that run no containers."""

    def __init__(self, images: ImagesPort | None) -> None:
        self._images = images

    async def archive(self, request: pb.GetImageRequest) -> pb.ImageArchive:
        """The parts of an image that is wanted on the calling worker."""
        image = checks.digest(request.id)
        archive = await self._port().archive(request.worker, image)
        parts = [pb.ImagePart(path=p.path, digest=p.digest, size=p.size) for p in archive.parts]
        return pb.ImageArchive(parts=parts)

    async def part(self, request: pb.GetBlobRequest) -> AsyncIterator[pb.BlobChunk]:
        """One part, from an offset."""
        digest = checks.digest(request.digest)
        offset = checks.at_least_zero(request.offset, "offset")
        images = self._port()
        size = await images.part(request.worker, digest)
        if offset > size:
            raise ValidationError(f"offset {offset} is beyond the {size} bytes of {digest}")
        if offset == size:
            yield pb.BlobChunk(total=size)
            return
        pieces: Any = images.read_part(digest, offset=offset)
        async with aclosing(pieces):
            async for data in pieces:
                yield pb.BlobChunk(data=data, total=size)

    def _port(self) -> ImagesPort:
        if self._images is None:
            raise NotFoundError("this controller's platform has no images to give")
        return self._images
