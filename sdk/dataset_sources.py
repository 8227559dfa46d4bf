"""A file or folder as it is uploaded: its bytes from any offset, its digest, its name. File I/O.

A folder is packed as a tar whose bytes depend on its content alone; nothing of it is written to
disk. What `.cumulusignore` or `.gitignore` name stays out, as with code. Called by `datasets.py`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ..crd_like_specs.archives.entries import PIECE, Format
from ..crd_like_specs.archives.making import Packed, packed_size, stream
from ..crd_like_specs.archives.names import clean, stays_inside
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.ignoring import Ignored

_LONGEST: Final = 63
_SUFFIXES: Final = "|".join(re.escape(one.value) for one in Format if "." in one.value)


@dataclass(frozen=True, slots=True)
class Source:
    """filename: in the dataset; size: bytes; format: None where the controller is to tell; pieces:
    the bytes from an offset on, which blocks and raises OSError; left_out: files and folders that
    ignore files name.
    """

    filename: str
    size: int
    format: Format | None
    pieces: Callable[[int], Iterator[bytes]]
    left_out: int = 0

    def digest(self, tell: Callable[[int], None]) -> str:
        """Reads all of it; tell: how many bytes it has read. ValidationError where they changed
        meanwhile.
        """
        hashed, size = hashlib.sha256(), 0
        for piece in self.pieces(0):
            hashed.update(piece)
            size += len(piece)
            tell(size)
        if size != self.size:
            raise ValidationError(f"{self.filename} changed while it was read: try again")
        return f"sha256:{hashed.hexdigest()}"


def open_source(path: Path) -> Source:
    """ValidationError names what of it cannot be uploaded."""
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            size = path.stat().st_size
            return Source(path.name, size, None, lambda offset: _read(path, offset))
    except OSError as error:
        raise ValidationError(
            [Problem(error.strerror or "cannot be read", file=str(path))]
        ) from error
    why = "is neither a file nor a folder" if path.exists() else "does not exist"
    raise ValidationError([Problem(f"{why}: expected a file or a folder", file=str(path))])


def name_for(path: Path) -> str:
    """The name that a dataset gets where none is given: `My Photos.tar.gz` → `my-photos`."""
    stem = path.resolve().name.lower()
    if not path.is_dir():
        stem = re.sub(rf"\.({_SUFFIXES}|[a-z0-9]+)$", "", stem)
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:_LONGEST].strip("-")
    if not name:
        raise ValidationError(f"no name can be made of {path.name!r}: give one")
    return name


def _read(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(PIECE):
            yield piece


def _folder(top: Path) -> Source:
    found: list[Packed] = []
    problems: list[Problem] = []
    left_out = 0
    root = top.resolve()
    pending = [(root, Ignored.at(top))]
    while pending:
        inside, ignored = pending.pop()
        for path in inside.iterdir():
            name = path.relative_to(root).as_posix()
            is_folder = path.is_dir() and not path.is_symlink()
            if ignored.ignores(path, folder=is_folder):
                left_out += 1
                continue
            if is_folder and any(path.iterdir()):
                pending.append((path, ignored.inside(path)))
                continue
            try:
                found.append(_packed(path, name))
            except ValidationError as error:
                problems += [Problem(p.message, name, str(top)) for p in error.problems]
    if problems:
        raise ValidationError(sorted(problems, key=lambda one: one.path))
    if all(one.folder for one in found):
        why = f": ignore files name {left_out} of what is there" if left_out else ""
        raise ValidationError([Problem(f"has no files to upload{why}", file=str(top))])
    found.sort(key=lambda one: one.path)

    def opened(one: Packed) -> BinaryIO:
        return (root / one.path).open("rb")

    return Source(
        f"{root.name or 'data'}.tar",
        packed_size(found),
        Format.TAR,
        lambda offset: stream(found, opened, offset),
        left_out,
    )


def _packed(path: Path, name: str) -> Packed:
    clean(name)
    if path.is_symlink():
        target = os.readlink(path)  # noqa: PTH115 (as it stands, not as a path)
        if not stays_inside(target, name):
            raise ValidationError(f"is a link that leads out, to {target!r:.100}")
        return Packed(name, target=target)
    if path.is_dir():
        return Packed(name, folder=True)
    if not path.is_file():
        raise ValidationError("is neither a file, a folder nor a link")
    seen = path.stat()
    return Packed(name, seen.st_size, bool(seen.st_mode & 0o100))
