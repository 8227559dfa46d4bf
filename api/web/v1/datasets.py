"""`/v1/datasets`: bytes that jobs read, brought in one go or resumed, and fetched. I/O through the
port only; nothing is held in memory but the piece that passes.

A resumable upload: `POST /uploads` says its id and how much is here; `PATCH /uploads/{id}` with
`Upload-Offset` goes on; after a break `HEAD /uploads/{id}` says from where.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from ....crd_like_specs.archives.entries import Format
from ....crd_like_specs.dataset import Dataset
from ....crd_like_specs.identity import DIGEST_PATTERN
from ....crd_like_specs.meta import Model
from ...datasets import DatasetsPort, DatasetUpload, DatasetWanted, ImportWanted
from ...servicers import checks
from .. import sse
from ..calls import finish, may
from ..downloads import DOCUMENTED, Content, download
from ..guard import viewer
from ..live import Streams, event

_BYTES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_EVENTS: Final[dict[int | str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_MOST: Final = (1 << 63) - 1


class DatasetList(Model):
    """All, by name."""

    items: list[Dataset]


class UploadWanted(Model):
    """name: "" for one made of the digest; digest: `sha256:<hex>`, "" where only the end tells;
    size: bytes, likewise; filename: "" for the name; format: told by the content where it is not
    given; pinned: it stays though no job uses it; replace: one of this name may be another.
    """

    name: str = ""
    digest: str = Field(default="", pattern=rf"^$|{DIGEST_PATTERN}")
    size: int | None = Field(default=None, ge=0, le=_MOST)
    filename: str = Field(default="", max_length=255)
    format: Format | None = None
    pinned: bool = False
    replace: bool = False


class UploadBody(Model):
    """id: by which it is gone on with, for a day; received: bytes that are here; dataset: where
    nothing is to be sent.
    """

    id: str
    received: int
    dataset: Dataset | None = None


class ImportBody(Model):
    """url: `s3://bucket/key`, `s3://bucket/prefix/` or `mount://root/path`; the rest as for uploads."""

    url: str = Field(min_length=1, max_length=2048)
    name: str = ""
    digest: str = Field(default="", pattern=rf"^$|{DIGEST_PATTERN}")
    filename: str = Field(default="", max_length=255)
    format: Format | None = None
    pinned: bool = False
    replace: bool = False


class PinBody(Model):
    """pinned: whether it stays though no job uses it."""

    pinned: bool = True


def router(datasets: DatasetsPort, streams: Streams) -> APIRouter:
    """See the module docstring."""
    paths = APIRouter(tags=["datasets"], prefix="/datasets")
    _add_uploads(paths, datasets)
    _add_import(paths, datasets, streams)
    _add_put(paths, datasets)
    _add_verbs(paths, datasets)
    _add_content(paths, datasets, streams)
    return paths


def _seen(datasets: DatasetsPort, request: Request) -> DatasetsPort:
    return datasets.seen_by(viewer(request))


def _add_verbs(paths: APIRouter, datasets: DatasetsPort) -> None:
    @paths.get("", dependencies=[may("List")], response_model=DatasetList)
    async def list_datasets(request: Request) -> JSONResponse:
        """Those of the one who asks."""
        found = await _seen(datasets, request).list()
        return JSONResponse({"items": [one.to_dict() for one in found]})

    @paths.get("/{name}", dependencies=[may("Get")], response_model=Dataset)
    async def get_dataset(request: Request, name: str) -> JSONResponse:
        """One, by its name or digest."""
        return JSONResponse((await _seen(datasets, request).get(named(name))).to_dict())

    @paths.delete("/{name}", dependencies=[may("Delete", "Datasets")], response_model=Dataset)
    async def delete_dataset(request: Request, name: str) -> JSONResponse:
        """Drop it; refused while a job needs it that is not finished."""
        gone = await finish(_seen(datasets, request).delete(named(name)))
        return JSONResponse(gone.to_dict())

    @paths.post("/{name}/pin", dependencies=[may("Pin", "Datasets")], response_model=Dataset)
    async def pin_dataset(request: Request, name: str, body: PinBody) -> JSONResponse:
        """Keep it though no job uses it, or no longer."""
        pinned = _seen(datasets, request).pin(named(name), pinned=body.pinned)
        return JSONResponse((await finish(pinned)).to_dict())


def _add_import(paths: APIRouter, datasets: DatasetsPort, streams: Streams) -> None:
    @paths.post(
        "/import",
        dependencies=[may("Import", "Datasets")],
        response_class=Response,
        responses=_EVENTS,
    )
    async def import_dataset(request: Request, body: ImportBody) -> Response:
        """Let the controller fetch it: `progress` again and again, then `finished` with the dataset.
        Going away ends it.
        """
        name = checks.name(body.name) if body.name else ""
        wanted = ImportWanted(**{**dict(body), "name": name})
        steps: Any = _seen(datasets, request).import_(wanted)

        async def told() -> AsyncIterator[str]:
            async with aclosing(steps):
                async for step in steps:
                    if step.dataset is not None:
                        yield event("finished", step.dataset.to_dict())
                    else:
                        yield event("progress", {"received": step.received, "size": step.size})

        return await sse.events(told(), streams)


def _add_put(paths: APIRouter, datasets: DatasetsPort) -> None:
    @paths.put(
        "/{name}",
        dependencies=[may("Put", "Datasets")],
        response_model=Dataset,
        openapi_extra=_BYTES,
    )
    async def put_dataset(
        request: Request,
        name: str,
        digest: Annotated[str, Query(pattern=rf"^$|{DIGEST_PATTERN}")] = "",
        filename: Annotated[str, Query(max_length=255)] = "",
        pinned: bool = False,
        replace: bool = False,
    ) -> JSONResponse:
        """Upload it in one go, as `curl -T` does."""
        port, length = _seen(datasets, request), request.headers.get("content-length", "")
        wanted = DatasetWanted(
            name=checks.name(name),
            digest=digest,
            size=int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None,
            filename=filename,
            pinned=pinned,
            replace=replace,
        )
        found = await finish(port.begin(wanted))
        if found.dataset is None:
            if found.received:  # an earlier one broke off, and this one sends all of it
                await port.discard(found.id)
                found = await finish(port.begin(wanted))
            found = await _take(request, port, found.id, found.received, complete=True)
        assert found.dataset is not None
        return JSONResponse(found.dataset.to_dict())


def _add_content(paths: APIRouter, datasets: DatasetsPort, streams: Streams) -> None:
    async def content(request: Request, name: str) -> Response:
        """Its bytes as they were uploaded. `Range`, `If-None-Match` and `If-Range` are heeded."""
        port = _seen(datasets, request)
        spec = (await port.get(named(name))).spec

        def read(offset: int, length: int) -> AsyncIterator[bytes]:
            return _first(port.read(spec.digest, offset=offset), length)

        return await download(
            request, Content(spec.filename, spec.size, spec.digest), read, streams
        )

    for method in ("GET", "HEAD"):
        paths.add_api_route(
            "/{name}/content",
            content,
            methods=[method],
            dependencies=[may("Read", "Datasets")],
            response_class=Response,
            responses=DOCUMENTED,
            name=f"{method.lower()}_dataset_content",
        )


def _add_uploads(paths: APIRouter, datasets: DatasetsPort) -> None:
    @paths.post(
        "/uploads",
        dependencies=[may("Begin", "Datasets")],
        response_model=UploadBody,
        status_code=201,
    )
    async def begin_upload(request: Request, body: UploadWanted) -> JSONResponse:
        """Begin an upload, or find the one that began with the same name and digest."""
        name = checks.name(body.name) if body.name else ""
        found = await finish(
            _seen(datasets, request).begin(DatasetWanted(**{**dict(body), "name": name}))
        )
        return _upload(found, 201)

    @paths.get(
        "/uploads/{upload}", dependencies=[may("Find", "Datasets")], response_model=UploadBody
    )
    async def get_upload(request: Request, upload: str) -> JSONResponse:
        """How far it is."""
        return _upload(await _seen(datasets, request).find(upload))

    @paths.head(
        "/uploads/{upload}", dependencies=[may("Find", "Datasets")], response_class=Response
    )
    async def head_upload(request: Request, upload: str) -> Response:
        """How far it is, as `Upload-Offset`."""
        found = await _seen(datasets, request).find(upload)
        return Response(headers={"upload-offset": str(found.received)})

    @paths.patch(
        "/uploads/{upload}",
        dependencies=[may("Put", "Datasets")],
        response_model=UploadBody,
        openapi_extra=_BYTES,
    )
    async def patch_upload(
        request: Request,
        upload: str,
        offset: Annotated[int, Header(alias="Upload-Offset", ge=0, le=_MOST)],
        complete: Annotated[bool, Query(description="This is the end of it.")] = False,
    ) -> JSONResponse:
        """Go on at the offset. What comes before a break stays."""
        return _upload(
            await _take(request, _seen(datasets, request), upload, offset, complete=complete)
        )

    @paths.delete("/uploads/{upload}", dependencies=[may("Discard", "Datasets")], status_code=204)
    async def discard_upload(request: Request, upload: str) -> Response:
        """Drop what came of it."""
        await finish(_seen(datasets, request).discard(upload))
        return Response(status_code=204)


async def _take(
    request: Request, datasets: DatasetsPort, upload: str, offset: int, *, complete: bool
) -> DatasetUpload:
    """The body, from the offset on; the dataset where that was the end of it."""
    writer = await datasets.receive(upload, offset)
    try:
        async for data in request.stream():
            await writer.write(data)
            offset += len(data)
        if complete:
            return DatasetUpload("", offset, await finish(writer.commit()))
    finally:
        await writer.abort()
    return DatasetUpload(upload, offset)


def named(given: str) -> str:
    """A name or a digest."""
    return given if re.fullmatch(DIGEST_PATTERN, given) else checks.name(given)


def _upload(found: DatasetUpload, code: int = 200) -> JSONResponse:
    body: dict[str, Any] = {"id": found.id, "received": found.received}
    if found.dataset is not None:
        body["dataset"] = found.dataset.to_dict()
    return JSONResponse(body, code, {"upload-offset": str(found.received)})


async def _first(pieces: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    """So many bytes of them."""
    found: Any = pieces
    async with aclosing(found):
        async for piece in found:
            yield piece[:length]
            length -= len(piece)
            if length <= 0:
                return
