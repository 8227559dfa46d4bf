"""The bytes of datasets on the controller's disk, once for each digest.

    <folder>/whole/<2 hex digits>/<64 hex digits>   whole and checked
    <folder>/uploads/                               see `dataset_uploads`
    <folder>/going/                                 being deleted

Whose they are, and what they are called, is in the records only. File I/O in pieces of at most
1 MiB, in threads; what is noted here changes on the event loop. Used by `datasets.py`, and by
whoever gives datasets to workers.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import NotFoundError, StoreError, ValidationError
from ...crd_like_specs.identity import DIGEST_PATTERN
from ...crd_like_specs.units import show_bytes
from .durable import sync_folders

PIECE: Final = 1 << 20
SPARE: Final = 1 << 30
"""Bytes of the disk that datasets leave free: the store and the logs are on it too."""


class DatasetStore:
    """folder: made if missing; free: bytes that are free on the disk of a folder; dropped: told
    after a sweep that dropped something.
    """

    def __init__(
        self,
        folder: Path,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self.uploads = folder / "uploads"
        self._whole = folder / "whole"
        self._going = folder / "going"
        self._free = free
        self._dropped = dropped
        self._busy: dict[str, int] = {}
        self._deleting: asyncio.Future[None] | None = None
        for made in (folder, self.uploads, self._whole, self._going):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sizes = {
            f"sha256:{path.name}": path.stat().st_size for path in self._whole.glob("??/*")
        }

    def size(self, digest: str) -> int | None:
        """Bytes, or None where they are not here, whole."""
        return self._sizes.get(digest)

    @property
    def total(self) -> int:
        """Bytes of all that is whole."""
        return sum(self._sizes.values())

    def path(self, digest: str) -> Path:
        """Where these bytes lie, or will. ValidationError where it is no digest."""
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise ValidationError(f"{digest!r:.80} is no digest: expected sha256:<64 hex digits>")
        name = digest.removeprefix("sha256:")
        return self._whole / name[:2] / name

    async def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """The bytes from an offset on. NotFoundError."""
        if digest not in self._sizes:
            raise NotFoundError(f"the bytes {digest} are not here")
        with self.path(digest).open("rb") as file:
            file.seek(offset)
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

    def check_room(self, more: int) -> None:
        """StoreError where so many bytes more would leave too little of the disk free."""
        free = self._free(self.uploads)
        if free < more + SPARE:
            raise StoreError(
                f"the controller has no room for {show_bytes(more)} more of datasets: its disk has "
                f"{show_bytes(free)} free, and {show_bytes(SPARE)} are kept so"
            )

    async def take(self, part: Path, digest: str) -> None:
        """These bytes are whole: their file gets a second name here, `part` stays the caller's."""
        path = self.path(digest)
        size = await asyncio.to_thread(_link, part, path)
        self._sizes[digest] = size

    @contextmanager
    def needed(self, digest: str) -> Iterator[None]:
        """Within it these bytes are not swept away: a record is about to name them."""
        self._busy[digest] = self._busy.get(digest, 0) + 1
        try:
            yield
        finally:
            self._busy[digest] -= 1
            if not self._busy[digest]:
                del self._busy[digest]

    def sweep(self, is_used: Callable[[str], bool]) -> int:
        """Drop the bytes that nobody names; they leave their place at once and the disk soon. How
        many went. On the event loop, so that nobody begins to name them meanwhile.
        """
        gone = [d for d in self._sizes if d not in self._busy and not is_used(d)]
        for digest in gone:
            path = self.path(digest)
            path.replace(self._going / path.name)
            del self._sizes[digest]
        if self._deleting is None or self._deleting.done():
            loop = asyncio.get_running_loop()
            self._deleting = loop.run_in_executor(None, self._empty)
        if gone:
            self._dropped()
        return len(gone)

    async def settle(self) -> None:
        """Until what was dropped has left the disk."""
        if self._deleting is not None:
            await self._deleting
            await asyncio.to_thread(self._empty)  # what came while that one was at it

    def _empty(self) -> None:
        for path in self._going.iterdir():
            try:
                path.unlink()
            except OSError as error:  # the next sweep tries again
                logger.warning("a dataset that nobody needs cannot be deleted: {}", error)


def _link(part: Path, path: Path) -> int:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    try:
        os.link(part, path)
    except FileExistsError:  # another upload of the same bytes, or this one before a crash
        return path.stat().st_size
    sync_folders(path.parent, path.parent.parent)
    return path.stat().st_size
