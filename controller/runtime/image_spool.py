"""Images' archives on the controller's disk, as content-addressed parts. File I/O; blocks.

Called by `images` in threads, one change at a time. A part that several images have lies here
once. An index, `<image>.json`, names an image's parts in the order of its archive; it is written
last, so that an image with an index is whole. What lies here can always be exported again, so
nothing is synced to the disk: a part is hashed before its first use after a start, and again when
its file changed since.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import IO, Final

from ...api.frames import ImageArchive, ImagePart
from ...crd_like_specs.errors import NotFoundError, Permanent, Temporary
from ...crd_like_specs.units import show_bytes
from .image_archive import PARTIAL, check_whole, take_apart

SPARE: Final = 2 << 30
"""Bytes of the disk that exports leave free: the store beside them must go on writing."""


class ImageSpool:
    """folder: of this spool alone, made if missing. limit: bytes of all parts together."""

    def __init__(self, folder: Path, limit: int, spare: int = SPARE) -> None:
        self._folder = folder
        self._parts = folder / "parts"
        self._limit = limit
        self._spare = spare
        self._sound: dict[str, tuple[int, int]] = {}
        self._parts.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for left in folder.rglob(f"*{PARTIAL}"):  # of an export that a crash cut off
            left.unlink()

    def archive(self, image: str) -> ImageArchive | None:
        """The image's parts, all of them here; None where it has to be exported. Counts as use."""
        index = self._index(image)
        archive = _read(index)
        if archive is None or any(self._stat(part.digest) is None for part in archive.parts):
            return None
        os.utime(index)
        return archive

    def take(self, image: str, stream: IO[bytes]) -> ImageArchive:
        """Keep what an engine exports. Temporary("DiskFull" | "SpoolFailed"), Permanent."""
        parts: list[ImagePart] = []
        try:
            for part, temporary in take_apart(stream, self._folder):
                parts.append(part)
                if temporary is not None:
                    self._keep(part, temporary)
            check_whole(image, parts, self._path)
            archive = ImageArchive(tuple(parts))
            fresh = self._folder / f"{_hex(image)}{PARTIAL}"
            fresh.write_text(json.dumps([[p.path, p.digest, p.size] for p in parts]))
            fresh.replace(self._index(image))
        except OSError as e:
            self._drop_unnamed()
            full = e.errno in (errno.ENOSPC, errno.EDQUOT)
            raise Temporary(
                f"the controller cannot keep image {image}: {e.strerror or e}",
                reason="DiskFull" if full else "SpoolFailed",
            ) from e
        except (Temporary, Permanent):
            self._drop_unnamed()
            raise
        return archive

    def sound(self, digest: str) -> Path:
        """The file of a part that is as it was written down. NotFoundError where it is gone or
        damaged: what had it is exported anew when it is next asked for.
        """
        path, now = self._path(digest), self._stat(digest)
        if now is not None and self._sound.get(digest) != now:
            with path.open("rb") as file:
                right = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest
            if right:
                self._sound[digest] = now
            else:
                path.unlink(missing_ok=True)
                now = None
        if now is None:
            self._sound.pop(digest, None)
            raise NotFoundError(f"{digest} is not here any more: ask for its image again")
        return path

    def make_room(self, image: str, size: int, busy: Collection[str]) -> None:
        """Before an export of about `size` bytes: drop what was used longest ago, but not `busy`.

        Permanent("SpoolTooSmall") where the limit is below the image, Temporary("DiskFull").
        """
        if size > self._limit:
            raise Permanent(
                f"image {image} has {show_bytes(size)}, but the controller spools at most "
                f"{show_bytes(self._limit)} (imageSpool)",
                reason="SpoolTooSmall",
            )
        idle = sorted(
            (path for path in self._indexes() if f"sha256:{path.stem}" not in busy),
            key=lambda path: path.stat().st_mtime,
        )
        while self.size() + size > self._limit and idle:
            idle.pop(0).unlink()
            self._drop_unnamed()
        free = shutil.disk_usage(self._folder).free
        if free < size + self._spare:
            raise Temporary(
                f"image {image} has {show_bytes(size)}, but the controller's disk has "
                f"{show_bytes(free)} free and keeps {show_bytes(self._spare)} for itself",
                reason="DiskFull",
            )

    def prune(self, held: Collection[str]) -> int:
        """Drop every image that is not held by the engine any more; how many went."""
        gone = [path for path in self._indexes() if f"sha256:{path.stem}" not in held]
        for path in gone:
            path.unlink()
        if gone:
            self._drop_unnamed()
        return len(gone)

    def size(self) -> int:
        """Bytes of all parts."""
        return sum(path.stat().st_size for path in self._parts.glob("??/*"))

    def _keep(self, part: ImagePart, temporary: Path) -> None:
        path = self._path(part.digest)
        path.parent.mkdir(exist_ok=True)
        temporary.replace(path)
        stat = self._stat(part.digest)
        assert stat is not None
        self._sound[part.digest] = stat

    def _drop_unnamed(self) -> None:
        """Parts that no index names. Whoever reads one has it open, and reads on."""
        named = {
            _hex(part.digest)
            for index in self._indexes()
            if (archive := _read(index)) is not None
            for part in archive.parts
        }
        for path in self._parts.glob("??/*"):
            if path.name not in named:
                path.unlink()
                self._sound.pop(f"sha256:{path.name}", None)

    def _indexes(self) -> list[Path]:
        return list(self._folder.glob("*.json"))

    def _index(self, image: str) -> Path:
        return self._folder / f"{_hex(image)}.json"

    def _path(self, digest: str) -> Path:
        return self._parts / _hex(digest)[:2] / _hex(digest)

    def _stat(self, digest: str) -> tuple[int, int] | None:
        try:
            stat = self._path(digest).stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns


def _hex(digest: str) -> str:
    """Of a digest that was checked before: it becomes part of a path."""
    return digest.removeprefix("sha256:")


def _read(index: Path) -> ImageArchive | None:
    """None where there is none, or where a power cut left half of one."""
    try:
        rows = json.loads(index.read_text())
        return ImageArchive(tuple(ImagePart(str(p), str(d), int(s)) for p, d, s in rows))
    except (FileNotFoundError, ValueError, TypeError):
        return None
