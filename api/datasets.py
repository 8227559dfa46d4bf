"""Datasets as clients bring, fetch and drop them: values, and the port that the faces ask.

Values are pure. The port is implemented by `controller/runtime/datasets.py` and called by the
servicer of `datasets.proto` and by the HTTP faces. Its methods raise errors of
`crd_like_specs.errors` only.

    found = await datasets.seen_by(viewer).begin(DatasetWanted("photos", digest=…, size=…))
    if found.dataset is None:
        writer = await datasets.receive(found.id, found.received)
        try:
            await writer.write(data)         # any number of pieces
            dataset = await writer.commit()  # size, digest and archive are checked here
        finally:
            await writer.abort()             # after a commit it does nothing; before, bytes stay
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from ..crd_like_specs.archives.entries import Format
from ..crd_like_specs.dataset import Dataset
from .viewer import Viewer


@dataclass(frozen=True, slots=True)
class DatasetWanted:
    """A dataset that is to be. name: "" for one made of its digest; digest: `sha256:<hex>`, or ""
    where only its end will tell; size: bytes, or None likewise; filename: "" for the name; format:
    None: told by the content; pinned: it stays although no job uses it; replace: a dataset of this
    name with another content is changed, else it is in the way.
    """

    name: str = ""
    digest: str = ""
    size: int | None = None
    filename: str = ""
    format: Format | None = None
    pinned: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class DatasetUpload:
    """How far an upload is. id: by which it is resumed, for a day; received: bytes that are here;
    dataset: the whole thing, where nothing is to be sent (any more).
    """

    id: str
    received: int = 0
    dataset: Dataset | None = None


@dataclass(frozen=True, slots=True)
class ImportWanted:
    """What is fetched by the controller itself. url: `s3://bucket/key`, `s3://bucket/prefix/` for
    all below it, or `mount://root/path` of a file or folder below one of the configured roots; the
    rest as for `DatasetWanted`.
    """

    url: str
    name: str = ""
    digest: str = ""
    filename: str = ""
    format: Format | None = None
    pinned: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """received: bytes so far; size: of all, None where it is not known; dataset: in the last one."""

    received: int
    size: int | None = None
    dataset: Dataset | None = None


class DatasetWriter(Protocol):
    """An upload that goes on. One at a time for each."""

    async def write(self, data: bytes) -> None:
        """Append a piece. ValidationError beyond the announced size, QuotaExceededError beyond what
        the owner may have, StoreError where the disk is full.
        """

    async def commit(self) -> Dataset:
        """All came: check it, and make it a dataset. It is whole and durable, or not there.

        ValidationError for another size or digest, or an archive that cannot be taken: what came is
        dropped then.
        """

    async def abort(self) -> None:
        """Let go of it; what was written and not committed is kept for a day, to go on from."""


class DatasetsPort(Protocol):
    """The datasets of one viewer. What is not for its eyes is not there: NotFoundError."""

    def seen_by(self, viewer: Viewer) -> DatasetsPort:
        """The same for this viewer, to whom what it brings will belong."""

    async def begin(self, wanted: DatasetWanted) -> DatasetUpload:
        """Begin an upload, or find the one that began with the same name and digest.

        Where the viewer has the very bytes already, the dataset is made of them and nothing is to
        be sent. ValidationError; ConflictError for a name that is taken; QuotaExceededError.
        """

    async def find(self, upload: str) -> DatasetUpload:
        """How far it is. NotFoundError."""

    async def receive(self, upload: str, offset: int) -> DatasetWriter:
        """Go on at this offset, which is what `received` said. NotFoundError; ConflictError where
        somebody is at it, or it has come to another offset.
        """

    async def discard(self, upload: str) -> None:
        """Drop what came of it. NotFoundError."""

    def import_(self, wanted: ImportWanted) -> AsyncIterator[ImportProgress]:
        """Fetch from elsewhere; the last value has the dataset. Closing it ends the import.

        ForbiddenError for a bucket or root that is not configured; NotFoundError,
        UnavailableError of the other side; else as `begin` and `commit`.
        """

    async def get(self, name: str) -> Dataset:
        """One, by its name or digest. NotFoundError."""

    async def list(self) -> tuple[Dataset, ...]:
        """All, by name."""

    async def pin(self, name: str, *, pinned: bool) -> Dataset:
        """Keep it although no job uses it, or no longer. NotFoundError."""

    async def delete(self, name: str) -> Dataset:
        """Drop it. NotFoundError; ConflictError while a job needs it that is not finished."""

    def read(self, name: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """Its bytes from an offset on, in pieces of at most 1 MiB. NotFoundError."""
