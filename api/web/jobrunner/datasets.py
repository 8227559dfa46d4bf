"""Datasets of `/jobrunner`: there or not, uploaded by a form, imported. I/O through the port only."""

from __future__ import annotations

import hashlib
import re
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.dataset import Dataset
from ....crd_like_specs.errors import ForbiddenError, NotFoundError, Problem, ValidationError
from ...datasets import DatasetsPort, DatasetWanted, DatasetWriter, ImportWanted
from ..calls import finish, may
from ..faces import Face
from ..forms import Part, bounded, documented, fields, parts, text
from ..guard import viewer
from . import models
from .models import JobRunnerOptions

FILE = "file"
SHA = "sha256"


def add_datasets(app: Face, datasets: DatasetsPort, options: JobRunnerOptions) -> None:
    """Everything below `/datasets`."""

    @app.get(
        "/datasets/exists/{sha256}",
        dependencies=[may("Get")],
        response_model=models.Exists,
    )
    async def dataset_exists(request: Request, sha256: str) -> Response:
        """Whether it is here, for the one who asks."""
        found = None
        if re.fullmatch("[0-9a-fA-F]{64}", sha256):
            found = await _known(datasets.seen_by(viewer(request)), f"sha256:{sha256.lower()}")
        body = models.Exists(exists=found is not None, info=found and models.info_of(found))
        return Response(models.spaced(body), media_type="application/json")

    @app.post(
        "/datasets/upload",
        dependencies=[may("Put", "Datasets")],
        response_model=models.Uploaded,
        openapi_extra=documented(FILE, sha256={"type": "string"}),
    )
    async def upload_dataset(request: Request) -> Response:
        """Take a file, an archive is unpacked where jobs run. `sha256` is checked wherever it stands
        in the form.
        """
        upload = _Upload(datasets.seen_by(viewer(request)))
        try:
            async for piece in parts(request):
                await upload.take(piece)
            return JSONResponse(models.uploaded(await upload.end()).model_dump())
        finally:
            await upload.close()

    @app.post(
        "/datasets/import_path",
        dependencies=[may("Import", "Datasets")],
        response_model=models.Uploaded,
        openapi_extra=documented(src_path={"type": "string", "required": True}),
    )
    async def import_path(request: Request) -> Response:
        """Fetch a file or folder from the bucket, or the mount, that is configured."""
        path = (await fields(request)).get("src_path", "")
        steps: Any = datasets.seen_by(viewer(request)).import_(
            ImportWanted(url=_url(path, options))
        )
        async with aclosing(steps):
            async for step in steps:
                if step.dataset is not None:
                    return JSONResponse(models.uploaded(step.dataset).model_dump())
        raise NotFoundError(f"nothing was found at {path!r:.200}")


class _Upload:
    """One form on its way in: the file goes to the port as it comes."""

    def __init__(self, datasets: DatasetsPort) -> None:
        self._datasets = datasets
        self._id = ""
        self._writer: DatasetWriter | None = None
        self._digest = hashlib.sha256()
        self._part = Part("")
        self._field = bytearray()
        self._sha = ""

    async def take(self, piece: Part | bytes) -> None:
        """The next piece of the form."""
        if isinstance(piece, Part):
            self._part, self._field = piece, bytearray()
            if piece.name == FILE:
                await self._begin(piece.filename or "uploaded_file")
        elif self._part.name == FILE and self._writer is not None:
            self._digest.update(piece)
            await self._writer.write(piece)
        else:
            self._field += piece
            bounded(self._field)
            if self._part.name == SHA:
                self._sha = text(self._field).strip().lower()

    async def end(self) -> Dataset:
        """What is kept now. ValidationError where it is another file than the form says."""
        if self._writer is None:
            raise ValidationError([Problem("is missing: expected a file", FILE)])
        found = self._digest.hexdigest()
        if self._sha and self._sha != found:
            words = f"SHA256 mismatch. Provided: {self._sha:.80}, computed: {found}"
            raise ValidationError([Problem(words, SHA)])
        known = await _known(self._datasets, f"sha256:{found}")
        if known is not None:
            return known
        dataset = await finish(self._writer.commit())
        self._id = ""
        return dataset

    async def close(self) -> None:
        """Keep nothing of what was not committed: it cannot be gone on with."""
        if self._writer is not None:
            await self._writer.abort()
        if self._id:
            await self._datasets.discard(self._id)

    async def _begin(self, filename: str) -> None:
        if self._writer is not None:
            raise ValidationError([Problem("is given twice: expected one file", FILE)])
        name = filename.replace("\\", "/").rpartition("/")[2] or "uploaded_file"
        upload = await self._datasets.begin(DatasetWanted(filename=name))
        self._id = upload.id
        self._writer = await self._datasets.receive(upload.id, upload.received)


async def _known(datasets: DatasetsPort, digest: str) -> Dataset | None:
    try:
        return await datasets.get(digest)
    except NotFoundError:
        return None


def _url(path: str, options: JobRunnerOptions) -> str:
    """Of a path of theirs. Nothing else of this machine can be imported."""
    if not options.import_from:
        raise ForbiddenError(
            "there is nothing to import from: an operator sets jobrunner.importFrom, or JR_B2_ENABLE=1"
        )
    mount = f"{options.mount.rstrip('/')}/"
    rest = path.removeprefix(mount)
    if rest.startswith("/"):
        raise ForbiddenError(f"{path!r:.200} is given, expected a path below {mount}")
    if not rest:
        raise ValidationError([Problem("is missing: expected a path", "src_path")])
    return f"{options.import_from}{rest}"
