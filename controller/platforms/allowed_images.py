"""Which images jobs may name: patterns of the configuration against references. Pure.

    alpine                     any tag and any digest of it
    python:3.11-slim           this tag alone
    registry.example.org/team/*    one more part of a name
    registry.example.org/**        any number of them
    alpine@sha256:<hex>        this content alone; sha256:<hex> an image by its id

References are compared as engines list them, so that `alpine` and `docker.io/library/alpine:latest`
are the same. A tag beside a digest says nothing: the digest alone decides what runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ...crd_like_specs.images import familiar, is_id, is_reference

_PIECES: Final = re.compile(r"\*\*|\*|[^*]+")


class AllowedImages:
    """patterns: None for every image."""

    def __init__(self, patterns: Iterable[str] | None = None) -> None:
        self._patterns = None if patterns is None else tuple(patterns)

    def takes(self, reference: str) -> bool:
        """Whether jobs may run it."""
        if self._patterns is None:
            return True
        if not is_reference(reference):
            return False
        name = familiar(reference)
        return any(_expression(one).fullmatch(name) for one in self._patterns)

    def __str__(self) -> str:
        return ", ".join(self._patterns or ()) or "none"


def check_pattern(pattern: str) -> None:
    """ValueError for what can match no reference."""
    filled = pattern.replace("**", "a").replace("*", "a")
    if not is_reference(filled) or "//" in pattern:
        raise ValueError(
            f"{pattern!r} is no pattern of images: expected NAME, NAME:TAG, NAME@DIGEST or an id, "
            "in which * stands for part of a name and ** for any number of them"
        )


def _expression(pattern: str) -> re.Pattern[str]:
    if is_id(pattern):
        return re.compile(re.escape(pattern))
    name, at, digest = pattern.partition("@")
    tagged = ":" in name.rpartition("/")[2]
    # Only whole names are made familiar: a pattern's stars may stand for a registry.
    plain = name if "*" in name else familiar(name)
    if not tagged and "*" not in name:
        plain = plain.rpartition(":")[0]
    if at:
        repository = plain.rpartition(":")[0] if tagged else plain
        return re.compile(f"{_glob(repository)}@{_glob(digest)}")
    return re.compile(_glob(plain) if tagged else rf"{_glob(plain)}[:@][^/]*")


def _glob(text: str) -> str:
    stars = {"*": "[^/:@]*", "**": "[^:@]*"}
    return "".join(stars.get(piece) or re.escape(piece) for piece in _PIECES.findall(text))
