"""Content-addressed files on the controller's disk: code zips, named by their SHA-256.

Uploads go to a temporary file beside their place and are renamed once the digest is right, so a
blob that is there is whole. File I/O in pieces of at most 1 MiB. Implements `api.ports.BlobsPort`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import NotFoundError, ValidationError
from ...crd_like_specs.identity import DIGEST_PATTERN
from .durable import flush, on_disk, sync_folders

PIECE: Final = 1 << 20


class Blobs:
    """folder: where blobs lie, two levels deep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.partial"):  # uploads a crash cut off
            left.unlink()

    def size(self, digest: str) -> int | None:
        """Bytes, or None where it is not here."""
        if digest not in self._known:
            path = self._path(digest)
            if not path.exists():
                return None
            self._known[digest] = path.stat().st_size
        return self._known[digest]

    async def has(self, digest: str) -> int | None:
        """Size in bytes, or None where it is not there. Who asks is about to use it: from now
        on it is as young as if it had been sent now (`drop_unused`).
        """
        size = self.size(digest)
        if size is not None:
            try:
                os.utime(self._path(digest))
            except FileNotFoundError:  # taken away by hand
                self._known.pop(digest, None)
                return None
        return size

    async def receive(self, digest: str) -> Upload:
        """Begin an upload."""
        path = self._path(digest)
        with on_disk(f"blob {digest}"):
            return Upload(self, path, digest)

    async def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """The content from an offset on."""
        path = self._path(digest)
        if not path.exists():
            raise NotFoundError(f"blob {digest} not found")
        with path.open("rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE):
                yield piece

    def drop_unused(self, is_used: Callable[[str], bool], before: float) -> int:
        """Delete blobs that nobody uses and that came before `before` (POSIX seconds).

        Young ones stay: their job may be on its way. Returns how many went.
        """
        dropped = 0
        for path in self._folder.glob("??/*"):
            digest = f"sha256:{path.name}"
            if path.stat().st_mtime < before and not is_used(digest):
                path.unlink()
                self._known.pop(digest, None)
                dropped += 1
        return dropped

    def kept(self, digest: str, size: int) -> None:
        """An upload is complete."""
        self._known[digest] = size

    def temporary(self) -> Path:
        """A fresh file for an upload."""
        handle, name = tempfile.mkstemp(suffix=".partial", dir=self._folder)
        os.close(handle)
        return Path(name)

    def _path(self, digest: str) -> Path:
        if not re.match(DIGEST_PATTERN, digest):
            raise ValidationError(f"{digest!r} is no digest: expected sha256:<64 hex digits>")
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name


class Upload:
    """One blob on its way in. Implements `api.ports.BlobWriter`."""

    def __init__(self, blobs: Blobs, path: Path, digest: str) -> None:
        self._blobs = blobs
        self._path = path
        self._digest = digest
        self._temporary = blobs.temporary()
        self._file = self._temporary.open("wb")
        self._hash = hashlib.sha256()
        self._size = 0

    async def write(self, data: bytes) -> None:
        """Append a piece. StoreError."""
        with on_disk(f"blob {self._digest}"):
            self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    async def commit(self) -> int:
        """Check the digest and keep it for good; returns the size in bytes. StoreError."""
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            await self.abort()
            raise ValidationError(f"the content has digest {found}, {self._digest} was announced")
        with on_disk(f"blob {self._digest}"):
            await asyncio.to_thread(self._keep)
        self._blobs.kept(self._digest, self._size)
        return self._size

    async def abort(self) -> None:
        """Forget what was written."""
        with suppress(OSError):  # what a full disk did not take is flushed once more, in vain
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _keep(self) -> None:
        flush(self._file)
        self._file.close()
        self._path.parent.mkdir(exist_ok=True)
        self._temporary.replace(self._path)
        sync_folders(self._path.parent, self._path.parent.parent)
