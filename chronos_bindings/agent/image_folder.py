"""Parts of images on this worker's disk, until their image is loaded. File I/O; used by `images`."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Temporary
from ...crd_like_specs.images import DISK_TOO_FULL
from ...crd_like_specs.units import show_bytes
from .blob_cache import matches
from .image_ports import ImageSource
from .transfer import PARTIAL

SPARE: Final = 1 << 30
"""Bytes that a transfer leaves free on a disk: jobs need it more."""


class ImageFolder:
    """folder: of these parts alone, made if missing."""

    def __init__(self, folder: Path, spare: int = SPARE) -> None:
        self._folder = folder
        self._spare = spare
        self._whole: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    def file(self, digest: str) -> Path:
        """Where a part lies once it is whole. digest: checked before, as it becomes a path."""
        return self._folder / digest.removeprefix("sha256:")

    def size(self, digest: str) -> int:
        """Bytes of the part that are here."""
        path = self.file(digest)
        for candidate in (path, path.with_name(f"{path.name}{PARTIAL}")):
            if candidate.exists():
                return candidate.stat().st_size
        return 0

    async def fetch(self, digest: str, source: ImageSource, arrived: Callable[[int], None]) -> None:
        """Have the part whole and right; what an agent before this one left is checked first.

        Temporary; with reason DISK_TOO_FULL where the disk is.
        """
        path = self.file(digest)
        if digest not in self._whole:
            if path.exists() and not await asyncio.to_thread(matches, path, digest):
                path.unlink()
            if not path.exists():
                try:
                    await source.part(digest, path, arrived)
                except Temporary as e:
                    if isinstance(e.__cause__, OSError) and e.__cause__.errno in _FULL:
                        raise Temporary(e.message, reason=DISK_TOO_FULL) from e
                    raise
            self._whole.add(digest)
        arrived(path.stat().st_size)

    def need_room(self, image: str, missing: int, unpacked: int, root: Path | None) -> None:
        """Temporary(DISK_TOO_FULL) where `missing` bytes more would fill this disk, or `unpacked`
        bytes that of `root`, the engine's folder (None: unknown).
        """
        here = self._folder
        if root is not None and root.stat().st_dev == here.stat().st_dev:
            missing, root = missing + unpacked, None
        for where, needed in ((here, missing), (root, unpacked)):
            if where is None:
                continue
            free = shutil.disk_usage(where).free
            if free < needed + self._spare:
                raise Temporary(
                    f"image {image} needs {show_bytes(needed)} at {where}, where "
                    f"{show_bytes(free)} are free and {show_bytes(self._spare)} are to stay free",
                    reason=DISK_TOO_FULL,
                )

    def keep_only(self, digests: Collection[str]) -> None:
        """Remove every other part, whole or not."""
        names = {digest.removeprefix("sha256:") for digest in digests}
        for path in list(self._folder.iterdir()):
            if path.name.removesuffix(PARTIAL) not in names:
                path.unlink()
        self._whole &= set(digests)


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
