"""`cumulus.v1.Datasets`: bytes that jobs read, on their way in and out. I/O through the port only.

They are listed, shown and watched as every resource is, by `cumulus.v1.Cumulus`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ...crd_like_specs.errors import Problem, ValidationError
from ...crd_like_specs.identity import DIGEST_PATTERN
from ..convert import dataset_to_proto
from ..convert_datasets import (
    import_from_proto,
    progress_to_proto,
    upload_to_proto,
    wanted_from_proto,
)
from ..datasets import DatasetsPort, DatasetUpload, DatasetWriter
from ..gen.cumulus.v1 import datasets_pb2 as pb
from ..gen.cumulus.v1 import datasets_pb2_grpc
from ..gen.cumulus.v1 import resources_pb2 as res
from ..interceptor import Context, current
from . import checks
from .writes import Writes


class DatasetsServicer(datasets_pb2_grpc.DatasetsServicer):
    """writes: bring what is begun to its end though its client goes away."""

    def __init__(self, datasets: DatasetsPort, writes: Writes) -> None:
        self._of_all = datasets
        self._writes = writes

    @property
    def _datasets(self) -> DatasetsPort:
        """As the caller of the running call sees them: the one way to them from here."""
        return self._of_all.seen_by(current().viewer)

    async def Begin(  # noqa: N802 (gRPC names methods like this)
        self, request: pb.BeginDatasetRequest, _context: Context
    ) -> pb.DatasetUpload:
        """Begin an upload, or find it."""
        wanted = wanted_from_proto(request)
        return upload_to_proto(await self._writes.write(self._datasets.begin(wanted)))

    async def Find(self, request: pb.FindDatasetRequest, _context: Context) -> pb.DatasetUpload:  # noqa: N802
        """How far an upload is."""
        return upload_to_proto(await self._datasets.find(request.upload))

    async def Put(  # noqa: N802
        self, requests: AsyncIterator[pb.PutDatasetRequest], _context: Context
    ) -> pb.DatasetUpload:
        """Take the rest of it."""
        async for first in requests:
            if first.WhichOneof("frame") != "start":
                break
            start = first.start
            offset = checks.at_least_zero(start.offset, "start.offset")
            writer = await self._datasets.receive(start.upload, offset)
            try:
                return upload_to_proto(await self._take(start.upload, offset, writer, requests))
            finally:
                await writer.abort()
        raise ValidationError([Problem("is missing: expected it first", path="start")])

    async def _take(
        self,
        upload: str,
        size: int,
        writer: DatasetWriter,
        requests: AsyncIterator[pb.PutDatasetRequest],
    ) -> DatasetUpload:
        async for request in requests:
            if request.WhichOneof("frame") == "data":
                size += len(request.data)
                await writer.write(request.data)
            elif request.complete:
                return DatasetUpload("", size, await self._writes.write(writer.commit()))
        return DatasetUpload(upload, size)  # the caller's side ended early

    async def Discard(  # noqa: N802
        self, request: pb.FindDatasetRequest, _context: Context
    ) -> pb.DiscardDatasetResponse:
        """Drop what came of it."""
        await self._datasets.discard(request.upload)
        return pb.DiscardDatasetResponse()

    async def Import(  # noqa: N802
        self, request: pb.ImportDatasetRequest, _context: Context
    ) -> AsyncIterator[pb.ImportDatasetProgress]:
        """Fetch it from elsewhere, and tell how far that is."""
        steps: Any = self._datasets.import_(import_from_proto(request))
        async with aclosing(steps):
            async for step in steps:
                yield progress_to_proto(step)

    async def Pin(self, request: pb.PinDatasetRequest, _context: Context) -> res.Dataset:  # noqa: N802
        """Keep it although no job uses it, or no longer."""
        pin = self._datasets.pin(_named(request.name), pinned=request.pinned)
        return dataset_to_proto(await self._writes.write(pin))

    async def Delete(self, request: pb.NamedDatasetRequest, _context: Context) -> res.Dataset:  # noqa: N802
        """Gives it as it was."""
        return dataset_to_proto(
            await self._writes.write(self._datasets.delete(_named(request.name)))
        )

    async def Read(  # noqa: N802
        self, request: pb.ReadDatasetRequest, _context: Context
    ) -> AsyncIterator[pb.DatasetChunk]:
        """Its bytes, from an offset on."""
        datasets, offset = self._datasets, checks.at_least_zero(request.offset, "offset")
        # By its digest from here on: the name may get other content meanwhile.
        spec = (await datasets.get(_named(request.name))).spec
        pieces: Any = datasets.read(spec.digest, offset=offset)
        async with aclosing(pieces):
            async for data in pieces:
                yield pb.DatasetChunk(data=data, total=spec.size)
        yield pb.DatasetChunk(total=spec.size)


def _named(given: str) -> str:
    """A name or a digest."""
    return given if re.fullmatch(DIGEST_PATTERN, given) else checks.name(given)
