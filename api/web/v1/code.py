"""`/v1/code`: code of jobs, by its digest. I/O through the port only."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.errors import NotFoundError
from ...options import MAX_CODE_BYTES
from ...ports import BlobsPort
from ...servicers import checks
from ...servicers.uploads import receive
from ..calls import may
from . import models

_ZIP = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def router(blobs: BlobsPort, max_code: int = MAX_CODE_BYTES) -> APIRouter:
    """max_code: bytes of the largest zip that is taken."""
    paths = APIRouter(tags=["code"])

    @paths.head("/code/{digest}", dependencies=[may("HasBlob")], response_class=Response)
    async def has_code(digest: str) -> Response:
        """Whether it is here; its size as `Cumulus-Size`."""
        size = await blobs.has(checks.digest(digest))
        if size is None:
            raise NotFoundError(f"the code {digest} is not here")
        return Response(headers={"cumulus-size": str(size)})

    @paths.put(
        "/code/{digest}",
        dependencies=[may("PutBlob")],
        response_model=models.CodeBody,
        openapi_extra=_ZIP,
    )
    async def put_code(request: Request, digest: str) -> JSONResponse:
        """Upload a zip; `sha256:` and 64 hex digits are its name, and checked."""
        got = await receive(blobs, checks.digest(digest), request.stream(), limit=max_code)
        body = models.CodeBody(digest=digest, size=got.size, existed=got.existed)
        return JSONResponse(body.to_dict())

    return paths
