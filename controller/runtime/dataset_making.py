"""An upload on its way to being a dataset: written, checked, named. I/O in threads.

Nothing is half there: the bytes get their place once they are checked, the name comes after that,
and what came of the upload goes last. A controller that is killed in between goes on from the last
of these that was done. Used by `datasets.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from ...api.datasets import DatasetWanted
from ...api.tenancy import DatasetQuotaPort
from ...crd_like_specs.archives.detecting import detect
from ...crd_like_specs.archives.entries import Contents, Format, Limits
from ...crd_like_specs.archives.names import clean
from ...crd_like_specs.archives.walking import survey
from ...crd_like_specs.dataset import MOST_NAME, Dataset, DatasetSpec, DatasetStatus
from ...crd_like_specs.errors import Problem, ValidationError
from .dataset_records import DatasetRecords, check_name
from .dataset_store import DatasetStore
from .dataset_uploads import PartFile, Pending, Uploads
from .heavy import heavy
from .shielded import to_the_end

CHECKED: Final = 64 << 20
"""Bytes between two looks at the quota and at the disk."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all of this works on. now: POSIX seconds; quota: None where nobody has one; limits: of
    archives.
    """

    records: DatasetRecords
    store: DatasetStore
    uploads: Uploads
    now: Callable[[], float]
    quota: DatasetQuotaPort | None = None
    limits: Limits = field(default_factory=Limits)

    def check_room(self, owner: str, more: int) -> None:
        """QuotaExceededError, StoreError where so many bytes more are too many."""
        if self.quota is not None and owner:
            used = self.records.bytes_of(owner) + self.uploads.of(owner)
            self.quota.check_dataset_bytes(owner, used, more)
        self.store.check_room(more)

    async def become(self, owner: str, wanted: DatasetWanted, path: Path, digest: str) -> Dataset:
        """Name what lies in the file, which has this digest. ValidationError, ConflictError."""
        size = path.stat().st_size  # noqa: ASYNC240 (a name lookup)
        if wanted.digest not in ("", digest):
            raise ValidationError(f"the content has digest {digest}, {wanted.digest} was announced")
        name = wanted.name or self._own_name(owner, digest)
        old = self.records.get(name)
        if old is not None:  # before gigabytes are read
            check_name(old, owner, digest, replace=wanted.replace)
        filename = wanted.filename or wanted.name or "data"
        with self.store.needed(digest):
            form, found = await self._known(digest, wanted, path, filename)
            if self.store.size(digest) is None:
                await self.store.take(path, digest)
            spec = DatasetSpec(
                digest=digest, size=size, filename=filename, format=form, pinned=wanted.pinned
            )
            status = DatasetStatus(
                files=found.files, extracted_bytes=found.size, last_used_at=self.now()
            )
            return await self.records.make(name, owner, spec, status, replace=wanted.replace)

    def _own_name(self, owner: str, digest: str) -> str:
        """Of content that was given none: another one where somebody else has the short one."""
        short = name_of(digest)
        old = self.records.get(short)
        if old is None or (old.metadata.owner, old.spec.digest) == (owner, digest):
            return short
        return hashlib.sha256(f"{owner} {digest}".encode()).hexdigest()[: len(short)]

    async def _known(
        self, digest: str, wanted: DatasetWanted, path: Path, filename: str
    ) -> tuple[Format, Contents]:
        """What it is and holds: from another name of the same bytes, or by reading them."""
        form = wanted.format
        if form is not Format.FILE:
            found = await asyncio.to_thread(_detected, path, "" if form else filename)
            if form is not None and form is not found:
                raise ValidationError(f"it is given as {form.value}, and is none")
            form = found
        for one in self.records.with_digest(digest):
            if one.spec.format is form:
                return form, Contents(one.status.files, one.status.extracted_bytes)
        return form, await heavy(partial(_surveyed, path, form, self.limits))


def name_of(digest: str) -> str:
    """Of a dataset that was given none."""
    return digest.removeprefix("sha256:")[:12]


def check_filename(filename: str) -> None:
    """ValidationError unless it is the plain name of a file."""
    problem = ""
    try:
        plain = clean(filename)
    except ValidationError as error:
        problem = error.problems[0].message
    else:
        if plain != filename or "/" in filename or len(filename.encode()) > MOST_NAME:
            problem = "expected the plain name of a file"
    if problem:
        raise ValidationError([Problem(f"{filename!r:.80}: {problem}", path="filename")])


def _detected(path: Path, filename: str) -> Format:
    with path.open("rb") as file:
        return detect(file, filename)


def _surveyed(path: Path, form: Format, limits: Limits) -> Contents:
    with path.open("rb") as file:
        return survey(file, form, limits)


class Writer:
    """Implements `api.datasets.DatasetWriter`."""

    def __init__(self, parts: Parts, pending: Pending) -> None:
        self._parts = parts
        self._pending = pending
        self._file = PartFile(pending)
        self._unchecked = 0
        self._committing = False

    async def write(self, data: bytes) -> None:
        """See the port."""
        pending, announced = self._pending, self._pending.wanted.size
        if announced is not None and pending.size + len(data) > announced:
            raise ValidationError(f"more than the announced {announced} bytes came")
        self._unchecked += len(data)
        if self._unchecked >= CHECKED or pending.size < CHECKED:
            self._parts.check_room(pending.owner, self._unchecked)
            self._unchecked = 0
        await self._file.append(data)

    async def commit(self) -> Dataset:
        """See the port. It comes to its end although the caller goes away."""
        self._committing = True
        return await to_the_end(self._commit())

    async def abort(self) -> None:
        """See the port. A commit that goes on alone lets go of it in the end."""
        if not self._committing:
            await self._file.close()

    async def _commit(self) -> Dataset:
        pending, announced = self._pending, self._pending.wanted.size
        try:
            if announced is not None and pending.size != announced:
                raise ValidationError(
                    f"{pending.size} bytes came, {announced} were announced: send the rest"
                )
            self._parts.check_room(pending.owner, 0)
            try:
                made = await self._made()
            except ValidationError:  # sent again, it would be no better
                self._parts.uploads.done(pending)
                raise
            self._parts.uploads.done(pending)
            return made
        finally:
            self._committing = False
            await self._file.close()

    async def _made(self) -> Dataset:
        pending = self._pending
        digest = await self._file.finish()
        try:
            return await self._parts.become(pending.owner, pending.wanted, pending.part, digest)
        except ValidationError as error:
            name = pending.wanted.name or name_of(digest)
            problems = [
                Problem(f"dataset {name}: {p}" if p.path else p.message) for p in error.problems
            ]
            raise ValidationError(problems) from error
