"""Code zips on this worker, by digest, so that attempts of a job fetch them once. File I/O.

Called by `staging`. What lies here is checked again before each use: a machine may lose power
between writing a file and its blocks. The oldest go when the cache is larger than its limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.identity import DIGEST_PATTERN
from .ports import BlobSource

LIMIT: Final = 4 << 30


def matches(path: Path, digest: str) -> bool:
    """Whether the file exists and has this `sha256:<hex>`. Blocks for as long as hashing takes."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest
    except FileNotFoundError:
        return False


class BlobCache:
    """folder: made if missing; source: None where each `get` says it; limit: bytes kept beside the one just asked for."""

    def __init__(self, folder: Path, source: BlobSource | None, *, limit: int = LIMIT) -> None:
        self._folder = folder
        self._source = source
        self._limit = limit
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    async def get(self, digest: str, source: BlobSource | None = None) -> Path:
        """The blob's file, readable by everyone who gets at it; it may be linked, not changed.
        source: where this one comes from, if not from where all do.

        `Permanent("BadLease" | "CodeMissing")`, `Temporary`.
        """
        if not re.match(DIGEST_PATTERN, digest):
            raise Permanent(
                f"{digest!r} is no digest: expected sha256:<64 hex digits>", reason="BadLease"
            )
        lock = self._locks.setdefault(digest, asyncio.Lock())
        async with lock:
            path = self._folder / digest.partition(":")[2]
            if not await asyncio.to_thread(matches, path, digest):
                origin = source or self._source
                assert origin is not None, "one of the two is given"
                await origin.fetch(digest, path)
                path.chmod(0o644)
                await asyncio.to_thread(self._shrink, path)
            return path

    def adopt(self, digest: str, file: Path) -> None:
        """Take a file of this digest over, from the same disk. Blocks; OSError."""
        path = self._folder / digest.partition(":")[2]
        file.chmod(0o644)
        file.replace(path)
        self._shrink(path)

    def _shrink(self, keep: Path) -> None:
        files = sorted(
            (path for path in self._folder.iterdir() if path != keep and not self._coming(path)),
            key=lambda path: path.stat().st_mtime,
        )
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total <= self._limit:
                break
            total -= path.stat().st_size
            path.unlink()

    def _coming(self, path: Path) -> bool:
        """Whether it is a part of what is being fetched; one that was given up goes by its age."""
        return bool(path.suffix) and f"sha256:{path.stem}" in self._locks
