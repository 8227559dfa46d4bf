"""What a source's files are read through: a plain folder or a commit of a git repository.

Paths are relative to the source's folder, with forward slashes. Implemented by `folder.py` and
`git_tree.py`; used by `reading.py`, in a thread.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from ...crd_like_specs.codec import SUFFIXES

MOST_FILES: Final = 100_000
"""Entries of a folder that are looked at, specs or not."""

LEFT_OUT: Final = frozenset({".git", "__pycache__", ".venv"})
"""Names of folders that are never looked into."""

MOST_SPECS: Final = 5000
"""Files of specs in one source."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file. stamp: another one where its content is another one; size: bytes; settled: False
    while it may be being written; refused: why it is not read at all, "" where it is.
    """

    path: str
    stamp: str
    size: int = 0
    settled: bool = True
    refused: str = ""


class UnreadableError(Exception):
    """A file that is there could not be read; the message says why."""


class Tree(Protocol):
    """One look at a folder."""

    @property
    def commit(self) -> str:
        """SHA of what is read, "" where there are no commits."""

    @property
    def gone(self) -> frozenset[str]:
        """Paths that were there a moment ago: nothing is made of that yet."""

    @property
    def settling(self) -> bool:
        """Whether another look is due in a moment."""

    @property
    def files(self) -> Sequence[Found]:
        """Every file, by path, without those of folders in LEFT_OUT."""

    def read(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes of a file. UnreadableError."""

    def prefetch(self, paths: Iterable[str]) -> None:
        """These files are about to be read; no others."""

    def extract(self, paths: Iterable[str], target: Path) -> None:
        """Copy these files below the folder `target`, under their own paths. UnreadableError."""


def specs(files: Sequence[Found]) -> list[Found]:
    """Those that hold specs: YAML and JSON, without what belongs to the code of jobs, which is
    everything below a folder (but the source's own) that holds a main.py.
    """
    code = {posixpath.dirname(found.path) for found in files if _is_main(found.path)} - {""}
    return [
        found
        for found in files
        if PurePosixPath(found.path).suffix in SUFFIXES
        and not hidden(found.path)
        and not any(str(parent) in code for parent in PurePosixPath(found.path).parents)
    ]


def below(files: Sequence[Found], path: str) -> list[Found]:
    """The file of this path, or everything in the folder of this path."""
    prefix = "" if path == "." else f"{path}/"
    return [found for found in files if found.path == path or found.path.startswith(prefix)]


def inside(folder: str, path: str) -> str | None:
    """The path that `path` means in a file of this folder, None where it leads out of the source."""
    if "\\" in path or path.startswith("/"):
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined == ".." or joined.startswith("../") else joined


def shown(path: str) -> tuple[str, str]:
    """The path as it may be shown and stored, and why a file so named is refused, or ""."""
    clean = "".join(
        "\ufffd" if ord(char) < 32 or char == "\x7f" or "\ud800" <= char <= "\udfff" else char
        for char in path
    )
    return clean, "" if clean == path else "its name holds what no name should: rename it"


def hidden(path: str) -> bool:
    """Whether any part of it begins with a dot."""
    return any(part.startswith(".") for part in path.split("/"))


def _is_main(path: str) -> bool:
    return posixpath.basename(path) == "main.py"
