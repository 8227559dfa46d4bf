"""From the parts of an image back to the archive that an engine loads. Pure but for reading files.

Called by `images`. An engine skips a layer that it has below the same layers, without looking at
its content, so that such layers need not be in the archive, nor come over the network.
"""

from __future__ import annotations

import json
import posixpath
import re
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

from ...api.frames import ImageArchive, ImagePart
from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.identity import DIGEST_PATTERN

PIECE: Final = 64 << 10
MANIFEST: Final = "manifest.json"
SMALL: Final = 1 << 20
"""A part of at most so many bytes may be the manifest or the configuration."""


def check(archive: ImageArchive) -> ImageArchive:
    """The archive, if its parts can be what they say. Permanent("BadImage")."""
    for part in archive.parts:
        inside = posixpath.normpath(part.path) == part.path and not part.path.startswith(
            ("/", "..")
        )
        if not inside or not re.match(DIGEST_PATTERN, part.digest) or part.size < 0:
            raise Permanent(f"a part of the image makes no sense: {part}", reason="BadImage")
    if all(part.path != MANIFEST for part in archive.parts):
        raise Permanent(f"the image comes without {MANIFEST}", reason="BadImage")
    return archive


def sizes(archive: ImageArchive) -> dict[str, int]:
    """Digest → bytes; a part that is in the archive twice counts once."""
    return {part.digest: part.size for part in archive.parts}


def first(archive: ImageArchive) -> list[str]:
    """Digests in the order in which to fetch them: what is small, and so what tells the layers
    apart, before what is large.
    """
    return sorted(sizes(archive), key=lambda digest: sizes(archive)[digest] > SMALL)


def known_layers(
    archive: ImageArchive, file: Callable[[str], Path], chains: Collection[tuple[str, ...]]
) -> set[str]:
    """Paths in the archive of the layers that the engine has below the same layers.

    file: digest → where its content lies, of every small part; chains: see `ImageStore`.
    """
    by_path = {part.path: part for part in archive.parts}
    try:
        (manifest,) = _parse(by_path[MANIFEST], file)
        config = _parse(by_path[manifest["Config"]], file)
        layers = tuple(str(layer) for layer in config["rootfs"]["diff_ids"])
        paths = [str(path) for path in manifest["Layers"]]
    except (KeyError, TypeError, ValueError) as e:
        raise Permanent(f"the image's manifest is damaged: {e}", reason="BadImage") from e
    shared = max((_common(layers, chain) for chain in chains), default=0)
    return set(paths[:shared]) - set(paths[shared:])


def compose(
    archive: ImageArchive, file: Callable[[str], Path], left_out: Collection[str] = ()
) -> Iterator[bytes]:
    """The archive as a stream of pieces. file: digest → where its content lies. left_out: paths."""
    for part in archive.parts:
        if part.path in left_out:
            continue
        info = tarfile.TarInfo(part.path)
        info.size, info.mode = part.size, 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        with file(part.digest).open("rb") as content:
            while piece := content.read(PIECE):
                yield piece
        yield b"\0" * (-part.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _parse(part: ImagePart, file: Callable[[str], Path]) -> Any:
    if part.size > SMALL:
        raise ValueError(f"{part.path} has {part.size} bytes")
    return json.loads(file(part.digest).read_bytes())


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many layers the two have in common, from the lowest one up."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
