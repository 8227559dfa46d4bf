"""Datasets: brought, kept, shown and dropped. Implements `api.datasets.DatasetsPort`.

Who may see what is decided here: whoever knows a digest, and has not got the bytes, has to send
them before anything is made of it. On the event loop; what takes long is in threads.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from ...api.datasets import (
    DatasetUpload,
    DatasetWanted,
    ImportProgress,
    ImportWanted,
)
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.errors import (
    ConflictError,
    NotFoundError,
    Problem,
    QuotaExceededError,
    ValidationError,
)
from ...crd_like_specs.identity import DIGEST_PATTERN, NAME_PATTERN
from .dataset_imports import Origins
from .dataset_making import Parts, Writer, check_filename
from .dataset_records import check_name
from .shielded import to_the_end

MOST_UPLOADS: Final = 64
"""Of one owner, on their way at once."""
TOLD: Final = 8 << 20
"""Bytes between two words on an import."""


class Datasets:
    """See the module docstring. origins: from where imports may come."""

    def __init__(self, parts: Parts, origins: Origins, viewer: Viewer = EVERYTHING) -> None:
        self._parts = parts
        self._origins = origins
        self._viewer = viewer

    def seen_by(self, viewer: Viewer) -> Datasets:
        """See the port."""
        return Datasets(self._parts, self._origins, viewer)

    async def begin(self, wanted: DatasetWanted) -> DatasetUpload:
        """See the port."""
        _check(wanted)
        parts, owner = self._parts, self._viewer.owner
        old = parts.records.get(wanted.name) if wanted.name else None
        if old is not None:
            check_name(old, owner, wanted.digest, replace=wanted.replace)
        here = self._own_bytes(wanted.digest)
        if here is not None:
            with parts.store.needed(wanted.digest):
                made = await to_the_end(self._named(wanted))
            return DatasetUpload("", made.spec.size, made)
        if parts.uploads.count(owner) >= MOST_UPLOADS:
            raise QuotaExceededError(
                f"{MOST_UPLOADS} uploads are on their way: finish some of them first"
            )
        # What the same upload brought before a break is counted already.
        size = wanted.size or 0
        parts.check_room(owner, max(0, size - parts.uploads.received(owner, wanted)))
        pending = await parts.uploads.begin(owner, wanted)
        return DatasetUpload(pending.id, pending.size)

    async def find(self, upload: str) -> DatasetUpload:
        """See the port."""
        pending = self._parts.uploads.find(upload, self._viewer.owner)
        return DatasetUpload(pending.id, pending.size)

    async def receive(self, upload: str, offset: int) -> Writer:
        """See the port."""
        pending = self._parts.uploads.find(upload, self._viewer.owner)
        if offset != pending.size:
            raise ConflictError(f"{pending.size} bytes of the upload are here, not {offset}")
        return Writer(self._parts, pending)

    async def discard(self, upload: str) -> None:
        """See the port."""
        uploads = self._parts.uploads
        uploads.drop(uploads.find(upload, self._viewer.owner))

    async def import_(self, wanted: ImportWanted) -> AsyncIterator[ImportProgress]:
        """See the port."""
        async with self._origins.opened(wanted.url) as origin:
            begun = await self.begin(
                DatasetWanted(
                    wanted.name,
                    wanted.digest,
                    origin.size,
                    wanted.filename or origin.filename,
                    wanted.format,
                    pinned=wanted.pinned,
                    replace=wanted.replace,
                )
            )
            if begun.dataset is not None:
                yield ImportProgress(origin.size, origin.size, begun.dataset)
                return
            writer = await self.receive(begun.id, begun.received)
            received = told = begun.received
            try:
                pieces: Any = origin.pieces(received)
                async with aclosing(pieces):
                    async for piece in pieces:
                        await writer.write(piece)
                        received += len(piece)
                        if received - told >= TOLD:
                            told = received
                            yield ImportProgress(received, origin.size)
                await origin.check()
                made = await writer.commit()
            finally:
                await writer.abort()
                await self._forget(begun.id)
            yield ImportProgress(received, origin.size, made)

    async def get(self, name: str) -> Dataset:
        """See the port."""
        return self._parts.records.find(name, self._viewer)

    async def list(self) -> tuple[Dataset, ...]:
        """See the port."""
        return tuple(self._parts.records.all(self._viewer))

    async def pin(self, name: str, *, pinned: bool) -> Dataset:
        """See the port."""
        found = await self.get(name)
        changed = await to_the_end(
            self._parts.records.change(found.metadata.name, spec={"pinned": pinned})
        )
        if changed is None:
            raise NotFoundError(f"dataset {name!r:.80} not found")
        return changed

    async def delete(self, name: str) -> Dataset:
        """See the port."""
        found = await self.get(name)
        readers = self._parts.records.readers(found)
        if readers:
            more = f" and {len(readers) - 1} more" if len(readers) > 1 else ""
            raise ConflictError(
                f"dataset {found.metadata.name!r} is needed by job {readers[0]!r}{more}: "
                "wait for it, or cancel it"
            )
        await to_the_end(self._parts.records.delete(found))
        self._parts.store.sweep(self._parts.records.needed)
        return found

    async def read(self, name: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """See the port."""
        found = await self.get(name)
        if not 0 <= offset <= found.spec.size:
            raise ValidationError(f"offset {offset} is outside of the {found.spec.size} bytes")
        pieces: Any = self._parts.store.read(found.spec.digest, offset=offset)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    def _own_bytes(self, digest: str) -> Dataset | None:
        """A dataset of these bytes that the viewer has anyway."""
        if not digest or self._parts.store.size(digest) is None:
            return None
        seen = (o for o in self._parts.records.with_digest(digest) if self._viewer.sees(o.metadata))
        return next(seen, None)

    async def _named(self, wanted: DatasetWanted) -> Dataset:
        path = self._parts.store.path(wanted.digest)
        if wanted.size not in (None, path.stat().st_size):
            raise ValidationError(
                f"{wanted.size} bytes are announced, {wanted.digest} has {path.stat().st_size}"
            )
        return await self._parts.become(self._viewer.owner, wanted, path, wanted.digest)

    async def _forget(self, upload: str) -> None:
        """What came of an import that ended; one that became a dataset is gone already."""
        with contextlib.suppress(
            NotFoundError, ConflictError
        ):  # the second: it is just becoming one
            await self.discard(upload)


def _check(wanted: DatasetWanted) -> None:
    problems = []
    if wanted.name and not re.fullmatch(NAME_PATTERN, wanted.name):
        expected = "expected lower-case letters, digits and inner dashes, at most 63"
        problems.append(Problem(f"{wanted.name!r:.80} is given, {expected}", path="name"))
    if wanted.digest and not re.fullmatch(DIGEST_PATTERN, wanted.digest):
        expected = "expected sha256:<64 hex digits>"
        problems.append(Problem(f"{wanted.digest!r:.80} is given, {expected}", path="digest"))
    if wanted.size is not None and wanted.size < 0:
        problems.append(Problem(f"{wanted.size} is given, expected 0 or more", path="size"))
    if problems:
        raise ValidationError(problems)
    if wanted.filename:
        check_filename(wanted.filename)
