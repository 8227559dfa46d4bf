"""Datasets: uploaded, imported, kept, downloaded. I/O; `client.datasets`.

    dataset = await client.datasets.upload("photos/", name="photos")
    await client.submit({..., "spec": {..., "datasets": [{"name": "photos"}]}})

An upload and a download go on where a break left them, also in another process, and what is there
in the end has its digest. Bytes that the server has from the same user are not sent again.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from ..api import convert
from ..api.convert_datasets import (
    format_of,
    import_to_proto,
    progress_from_proto,
    upload_from_proto,
    wanted_to_proto,
)
from ..api.datasets import DatasetUpload, DatasetWanted, ImportProgress, ImportWanted
from ..api.gen.cumulus.v1 import datasets_pb2 as pb
from ..crd_like_specs.dataset import Dataset
from ..crd_like_specs.errors import ConflictError, CumulusError, NotFoundError, ValidationError
from . import downloading, follow
from .connection import BrokenError, Connection
from .dataset_sources import Source, name_for, open_source

_TRIES: Final = 5
"""Of an upload that comes no further."""
_LONG_TRIES: Final = 120
"""Of one that has all come, and that the server may be checking still."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far it is. what: reading (for the digest), sending, fetching or importing; done, total:
    bytes, total None where that is not known. Or, once, what: left out; done: files and folders
    that ignore files name.
    """

    what: str
    done: int
    total: int | None


Tell = Callable[[Transfer], None]


@final
class AsyncDatasets:
    """See the module docstring. progress: called with each step, in the loop's thread or in one
    that reads.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def upload(
        self,
        path: str | Path,
        *,
        name: str = "",
        format: str = "",  # noqa: A002 (as everywhere)
        pinned: bool = False,
        replace: bool = False,
        progress: Tell | None = None,
    ) -> Dataset:
        """A file, an archive or a folder; returns once it is whole at the controller.

        name: made of the path's where it is not given; format: told by the content where it is not
        given, `file` for an archive that jobs are to get as it is; pinned: it stays although no job
        uses it; replace: a dataset of this name gets this content. ValidationError names what of
        it is no good; ConflictError; QuotaExceededError.
        """
        tell = progress or _nobody
        source = await asyncio.to_thread(open_source, Path(path))
        size = source.size
        if source.left_out:
            tell(Transfer("left out", source.left_out, None))
        reading = lambda done: tell(Transfer("reading", done, size))  # noqa: E731 (one expression)
        digest = await asyncio.to_thread(_digest, source, reading)
        wanted = DatasetWanted(
            name or name_for(Path(path)),
            digest,
            size,
            source.filename,
            format_of(format) or source.format,
            pinned=pinned,
            replace=replace,
        )
        return await self._sent(source, wanted, tell)

    async def import_(
        self,
        url: str,
        *,
        name: str = "",
        format: str = "",  # noqa: A002 (as everywhere)
        digest: str = "",
        pinned: bool = False,
        replace: bool = False,
        progress: Tell | None = None,
    ) -> Dataset:
        """Let the controller fetch it: `s3://bucket/key`, `s3://bucket/prefix/` for all below it,
        `mount://root/path`; from where its operator allows. digest: it must have.
        """
        wanted = ImportWanted(
            url, name, digest, format=format_of(format), pinned=pinned, replace=replace
        )
        last = ImportProgress(0)
        call = self._connection.open("Datasets.Import", import_to_proto(wanted))
        try:
            while (message := await self._connection.read(call)) is not None:
                last = progress_from_proto(message)
                (progress or _nobody)(Transfer("importing", last.received, last.size))
        except BrokenError as error:  # an import ends with the call that asked for it
            raise error.cause from error
        finally:
            call.cancel()
        if last.dataset is None:
            raise CumulusError(f"the import of {url} ended without a dataset: try again")
        return last.dataset

    async def list(self) -> builtins.list[Dataset]:
        """All that are yours, by name."""
        found, _version = await follow.snapshot(self._connection, "Dataset", selector="", phase="")
        return [one for one in found if isinstance(one, Dataset)]

    async def get(self, name: str) -> Dataset:
        """One, by name. NotFoundError."""
        from ..api.gen.cumulus.v1 import cumulus_pb2  # noqa: PLC0415 (one use)

        request = cumulus_pb2.GetRequest(kind="Dataset", name=name)
        found = convert.resource_from_proto(await self._connection.call("Get", request))
        if not isinstance(found, Dataset):
            raise NotFoundError(f"dataset {name!r} not found")
        return found

    async def pin(self, name: str, *, pinned: bool = True) -> Dataset:
        """Keep it although no job uses it, or no longer."""
        request = pb.PinDatasetRequest(name=name, pinned=pinned)
        return convert.dataset_from_proto(await self._connection.call("Datasets.Pin", request))

    async def unpin(self, name: str) -> Dataset:
        """Let it go once no job has used it for long."""
        return await self.pin(name, pinned=False)

    async def delete(self, name: str) -> Dataset:
        """Drop it. ConflictError while a job needs it that is not over."""
        request = pb.NamedDatasetRequest(name=name)
        return convert.dataset_from_proto(await self._connection.call("Datasets.Delete", request))

    async def stream(self, name: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Its bytes as they were uploaded, over breaks."""
        at = offset

        def opened() -> Any:
            return self._connection.open(
                "Datasets.Read", pb.ReadDatasetRequest(name=name, offset=at)
            )

        reading = follow.Reopening(self._connection, opened, endless=True)
        try:
            while True:
                chunk = await reading.read()
                if not chunk.data:
                    return
                at += len(chunk.data)
                yield chunk.data
        finally:
            reading.close()

    async def download(
        self, name: str, to: str | Path = ".", *, progress: Tell | None = None
    ) -> Path:
        """Into this file, or under its own name into a folder that is there. The file."""
        dataset = await self.get(name)
        target = await asyncio.to_thread(_place, dataset, Path(to))
        tell = progress or _nobody
        digest, size = dataset.spec.digest, dataset.spec.size
        return await downloading.fetch(
            target,
            digest,
            lambda offset: self.stream(digest, offset=offset),
            what=f"dataset {name}",
            arrived=lambda done: tell(Transfer("fetching", done, size)),
        )

    async def _sent(self, source: Source, wanted: DatasetWanted, tell: Tell) -> Dataset:
        """Over breaks, as long as each try brings it further."""
        tries, furthest = 0, -1
        request = wanted_to_proto(wanted)
        while True:
            begun = upload_from_proto(await self._connection.call("Datasets.Begin", request))
            if begun.dataset is not None:
                return begun.dataset
            tries = 0 if begun.received > furthest else tries + 1
            furthest = max(furthest, begun.received)
            try:
                done = await self._put(source, begun, tell)
            except (BrokenError, ConflictError, NotFoundError) as error:
                # The server may not have noticed yet that the call before is over, or another
                # client has brought the same bytes meanwhile.
                checking = begun.received == source.size  # of gigabytes: that takes a while
                if tries >= (_LONG_TRIES if checking else _TRIES):
                    raise getattr(error, "cause", error) from error
                await self._connection.pause(min(5.0, 0.2 * 2**tries))
                continue
            if done.dataset is not None:
                return done.dataset

    async def _put(self, source: Source, begun: DatasetUpload, tell: Tell) -> DatasetUpload:
        failed: list[OSError | CumulusError] = []

        async def requests() -> AsyncIterator[pb.PutDatasetRequest]:
            done = begun.received
            start = pb.PutDatasetRequest.Start(upload=begun.id, offset=done)
            yield pb.PutDatasetRequest(start=start)
            pieces = source.pieces(done)
            try:
                while (piece := await asyncio.to_thread(_next, pieces)) is not None:
                    yield pb.PutDatasetRequest(data=piece)
                    done += len(piece)
                    tell(Transfer("sending", done, source.size))
            except (OSError, CumulusError) as error:  # gRPC would tell nobody of it
                failed.append(error)
                return
            yield pb.PutDatasetRequest(complete=True)

        answer = await self._connection.send("Datasets.Put", requests())
        if failed:
            why = getattr(failed[0], "strerror", None) or str(failed[0])
            raise ValidationError(f"{source.filename} cannot be read: {why}") from failed[0]
        return upload_from_proto(answer)


class DatasetCalls:
    """`client.datasets`."""

    _connection: Connection

    @property
    def datasets(self) -> AsyncDatasets:
        """Datasets: bytes that jobs read."""
        return AsyncDatasets(self._connection)


def _nobody(_: Transfer) -> None:
    return


def _digest(source: Source, tell: Callable[[int], None]) -> str:
    try:
        return source.digest(tell)
    except OSError as error:
        raise ValidationError(f"{error.filename} cannot be read: {error.strerror}") from error


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _place(dataset: Dataset, to: Path) -> Path:
    name = dataset.spec.filename
    if not to.is_dir():
        return to
    if "/" in name or name in ("", ".", ".."):
        raise ValidationError(f"the controller names a file {name!r:.200}: give a name of its own")
    return to / name
