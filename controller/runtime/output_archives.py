"""Archives of outputs: checked and indexed as they come, read file by file. File I/O, blocks but
for `read`.

    <folder>/<uid of the job>/<hex digest>        the archive, see `artifacts`
    <folder>/<uid of the job>/<hex digest>.json   its index, there before the archive is

Used by `artifact_gate`, `agents` and `outputs`.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.outputs import MANIFEST
from .artifacts import INDEX, PIECE, Artifacts
from .output_index import MANIFEST_BYTES, Index, Indexed, build
from .output_tar import Member, members

_KEPT: Final = 32
"""Indexes that are kept in memory; one of 10,000 files takes a few megabytes."""

_LARGEST: Final = 1 << 40


class OutputArchives(Artifacts):
    """What attempts left in /results."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._indexes: OrderedDict[tuple[str, str], Index] = OrderedDict()

    def check(self, part: Path) -> None:
        """Index an archive that came whole. ValidationError where no agent of ours made it."""
        index = index_of(part)
        target = part.with_suffix(INDEX)
        aside = target.with_suffix(f"{INDEX}.new")
        with aside.open("w", encoding="utf-8") as file:
            file.write(index.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)

    def index(self, uid: str, digest: str) -> Index:
        """What is in one that is here. NotFoundError."""
        key = (uid, digest)
        if key in self._indexes:
            self._indexes.move_to_end(key)
            return self._indexes[key]
        try:
            text = self._path(uid, digest).with_suffix(INDEX).read_bytes()
        except FileNotFoundError as e:
            raise NotFoundError("these outputs are not here any more", job_id=uid) from e
        found = self._indexes[key] = Index.model_validate_json(text)
        while len(self._indexes) > _KEPT:
            self._indexes.popitem(last=False)
        return found

    async def read_file(
        self, uid: str, digest: str, file: Indexed, *, offset: int, length: int
    ) -> AsyncIterator[bytes]:
        """Part of a file's content. NotFoundError where the archive is gone."""
        try:
            source = await asyncio.to_thread(self._path(uid, digest).open, "rb")
        except FileNotFoundError as e:
            raise NotFoundError("these outputs are not here any more", job_id=uid) from e
        with source:
            source.seek(file.offset + offset)
            left = length
            while left:
                piece = await asyncio.to_thread(source.read, min(left, PIECE))
                if not piece:
                    raise NotFoundError(f"the archive that holds {file.path} is cut", job_id=uid)
                left -= len(piece)
                yield piece


def index_of(archive: Path) -> Index:
    """Walk the archive once. ValidationError."""
    with archive.open("rb") as file:
        found = list(members(file, limit=_LARGEST))
        return build(found, _manifest(file, found))


def _manifest(file: BinaryIO, found: list[Member]) -> bytes | None:
    """Its content; cut, and so wrong, where it is too long."""
    one = next((member for member in found if member.path == MANIFEST), None)
    if one is None:
        return None
    file.seek(one.offset)
    return file.read(min(one.size, MANIFEST_BYTES))
