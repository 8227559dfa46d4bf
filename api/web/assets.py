"""Scripts, styles and pictures of the dashboard, read once when the application is made. I/O: files.

They are served below a digest of them all, so that browsers may keep them for ever. Nothing that a
request says ever becomes part of a path.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from ...crd_like_specs.errors import NotFoundError

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    type: str
    data: bytes
    packed: bytes


class Assets:
    """Every file of the folder, by its path below it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        found = {path.relative_to(folder).as_posix(): path for path in paths}
        self._files = {
            name: _Asset(_TYPES[path.suffix], data, gzip.compress(data, mtime=0))
            for name, path in found.items()
            for data in (path.read_bytes(),)
        }
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(name.encode() + b"\0" + asset.data)
        self.base = f"/ui/static/{digest.hexdigest()[:16]}"
        """What paths in pages begin with."""

    def router(self) -> APIRouter:
        """Where they are served."""
        paths = APIRouter(prefix="/ui/static")

        @paths.get("/{digest}/{name:path}")
        async def get(request: Request, digest: str, name: str) -> Response:
            """One file; of another version of the controller it must not be kept."""
            asset = self._files.get(name)
            if asset is None:
                raise NotFoundError(f"there is no file {name[:80]!r} here")
            current = self.base.endswith(f"/{digest}")
            headers = {"cache-control": _FOR_EVER if current else "no-store"}
            headers["vary"] = "accept-encoding"
            data = asset.data
            if "gzip" in request.headers.get("accept-encoding", ""):
                headers["content-encoding"], data = "gzip", asset.packed
            return Response(data, media_type=asset.type, headers=headers)

        return paths
