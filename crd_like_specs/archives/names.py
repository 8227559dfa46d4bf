"""Which names an archive may use, each once. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from ..wording import HALVES
from .entries import refused

MOST_BYTES: Final = 1024
MOST_DEPTH: Final = 64
_PART_BYTES: Final = 255
_FOLDER, _OTHER = 1, 2
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""What bytes become that are no UTF-8."""


def clean(name: str) -> str:
    """The name as a relative path without `.` and empty parts; "" for the top folder itself.

    ValidationError for one that leads out, or that no file system of ours should be given.
    """
    if HALVES.search(name):
        raise refused(name, "is not UTF-8: expected names in UTF-8")
    if _CONTROL.search(name):
        raise refused(name, "holds a control character")
    if name.startswith("/"):
        raise refused(name, "is an absolute path: expected one relative to the archive's top")
    if "\\" in name or (name[1:2] == ":" and name[0].isalpha()):
        raise refused(name, "is a path of Windows: expected forward slashes and no drive")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(name, "leads out of its folder: expected no '..'")
    path = "/".join(parts)
    if len(parts) > MOST_DEPTH:
        raise refused(name, f"lies more than {MOST_DEPTH} folders deep")
    encoded = path.encode()
    if len(encoded) > MOST_BYTES or max(map(len, encoded.split(b"/"))) > _PART_BYTES:
        raise refused(name, f"is longer than {_PART_BYTES} bytes a part, {MOST_BYTES} in all")
    return path


def stays_inside(target: str, path: str) -> bool:
    """Whether a link at `path` can lead nowhere but inside. Where `..` stands only at the start, it
    climbs real folders; what follows are names of real folders, or of links like it.
    """
    parts = target.split("/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    return (
        0 < len(target.encode("utf-8", "surrogateescape")) <= MOST_BYTES
        and "\\" not in target
        and not (HALVES.search(target) or _CONTROL.search(target))
        and climbs <= path.count("/")
        and not ({"..", ""} & set(parts[climbs:]))
    )


class Names:
    """The names that came so far, as 16 bytes each: files and links may come once, folders again,
    and nothing may lie in what is no folder. So no entry is ever written through a link.
    """

    def __init__(self) -> None:
        self._kinds: dict[bytes, int] = {b"": _FOLDER}
        self._last = ""

    def __len__(self) -> int:
        return len(self._kinds) - 1

    def add(self, path: str, *, folder: bool) -> None:
        """ValidationError where the name is taken, or lies in a file or link."""
        above = path.rpartition("/")[0]
        if above != self._last:
            for parent in _with_parents(above):
                if self._kinds.setdefault(_key(parent), _FOLDER) == _OTHER:
                    raise refused(path, f"lies in {parent!r}, which is no folder in the archive")
            self._last = above
        key = _key(path)
        if self._kinds.get(key, _FOLDER if folder else 0) != (_FOLDER if folder else 0):
            raise refused(path, "comes twice")
        self._kinds[key] = _FOLDER if folder else _OTHER


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _key(path: str) -> bytes:
    return hashlib.blake2b(path.encode(), digest_size=16).digest() if path else b""
