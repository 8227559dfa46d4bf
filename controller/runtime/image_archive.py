"""An image's archive, as an engine's export writes it, taken apart into its files. File I/O.

Called by `image_spool` in a thread. The archive is read once, as a stream, in small pieces, so
that an image of any size takes no memory; each file is hashed while it is written down.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from ...api.frames import ImagePart
from ...crd_like_specs.errors import Permanent

PIECE: Final = 64 << 10  # larger ones cost three times the processor: each is mapped anew
PARTIAL: Final = ".partial"


def take_apart(archive: IO[bytes], folder: Path) -> Iterator[tuple[ImagePart, Path | None]]:
    """Each file of a tar stream, with the temporary file in `folder` that holds it.

    Links come last, as the part that they point to (None: no file of their own): engines write
    one for a layer that an image has twice. Permanent where the stream is no image's archive.
    """
    found: dict[str, ImagePart] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r|", bufsize=PIECE) as tar:
            for member in tar:
                path = _inside(member.name)
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    digest, temporary = _write_down(content, folder)
                    found[path] = ImagePart(path, digest, member.size)
                    yield found[path], temporary
                elif member.issym():
                    links[path] = _inside(posixpath.join(posixpath.dirname(path), member.linkname))
                elif member.islnk():
                    links[path] = _inside(member.linkname)
    except tarfile.TarError as e:
        raise Permanent(f"the engine's archive is damaged: {e}", reason="BadArchive") from e
    for path, target in links.items():
        if target not in found:
            raise Permanent(f"the archive's link {path} leads nowhere", reason="BadArchive")
        yield ImagePart(path, found[target].digest, found[target].size), None


def check_whole(image: str, parts: Sequence[ImagePart], file: Callable[[str], Path]) -> None:
    """Permanent("BadArchive") unless everything is there that the archive's own manifest names:
    a stream that breaks off between two files looks like one that has ended. Where the image's id
    is its configuration's digest, the layers are those of that configuration, too.

    file: digest → where the content lies.
    """
    by_path = {part.path: part for part in parts}
    try:
        (manifest,) = json.loads(file(by_path["manifest.json"].digest).read_bytes())
        config = by_path[posixpath.normpath(manifest["Config"])].digest
        layers = [by_path[posixpath.normpath(path)].digest for path in manifest["Layers"]]
        right = config != image or layers == json.loads(file(config).read_bytes())["rootfs"].get(
            "diff_ids", []
        )
    except (KeyError, TypeError, ValueError) as e:
        raise Permanent(f"the engine's archive lacks a part: {e}", reason="BadArchive") from e
    if not right:
        raise Permanent("the engine's archive has other layers than its image", reason="BadArchive")


def _write_down(content: IO[bytes], folder: Path) -> tuple[str, Path]:
    handle, name = tempfile.mkstemp(suffix=PARTIAL, dir=folder)
    hashed = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as file:
            while piece := content.read(PIECE):
                hashed.update(piece)
                file.write(piece)
    except BaseException:  # also Ctrl-C: no half-written part stays behind
        Path(name).unlink(missing_ok=True)
        raise
    return f"sha256:{hashed.hexdigest()}", Path(name)


def _inside(path: str) -> str:
    """The path, normalised; Permanent where it leads out of the archive."""
    clean = posixpath.normpath(path)
    if clean.startswith(("/", "../")) or clean == "..":
        raise Permanent(f"the archive names {path!r}, outside of itself", reason="BadArchive")
    return clean
