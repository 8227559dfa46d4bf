"""A plain folder as a tree. Reads files; nothing outside the folder, whatever links there are.

A file counts as written once it has been the same (size, times, inode) for SETTLE_SECONDS, seen at
two looks at least; one that is put there by an atomic rename likewise. A file that went away counts
as gone only then too, since programs that save a file may move it away first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Temporary
from .tree import LEFT_OUT, MOST_FILES, Found, UnreadableError, shown

SETTLE_SECONDS: Final = 1.0
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Folder:
    """What a folder looked like, from look to look. root: absolute."""

    root: Path
    _since: dict[str, tuple[str, float]] = field(default_factory=dict)
    _gone: dict[str, float] = field(default_factory=dict)

    def look(self, now: float) -> FolderTree:
        """now: seconds of any clock that does not step. Temporary where the folder can't be read."""
        if not self.root.is_dir():
            raise Temporary(f"{self.root} is no folder: nothing is changed", reason="NoFolder")
        try:
            seen = dict(_scan(self.root))
        except OSError as error:
            text = f"{error.filename or self.root} cannot be listed: {error.strerror}"
            raise Temporary(text, reason="Unreadable") from error
        since: dict[str, tuple[str, float]] = {}
        files = []
        for path, (stamp, size, refused) in sorted(seen.items()):
            known = self._since.get(path)
            since[path] = known if known is not None and known[0] == stamp else (stamp, now)
            settled = now - since[path][1] >= SETTLE_SECONDS
            files.append(Found(path, stamp, size, settled or bool(refused), refused))
        gone = {path: now for path in self._since if path not in seen} | {
            path: at for path, at in self._gone.items() if path not in seen
        }
        self._gone = {path: at for path, at in gone.items() if now - at < SETTLE_SECONDS}
        self._since = since
        return FolderTree(self.root, tuple(files), frozenset(self._gone))


@dataclass(frozen=True, slots=True)
class FolderTree:
    """One look. gone: paths that were there less than SETTLE_SECONDS ago."""

    root: Path
    files: Sequence[Found]
    gone: frozenset[str]
    commit: str = ""

    @property
    def settling(self) -> bool:
        """Whether another look is due in a moment."""
        return bool(self.gone) or not all(one.settled for one in self.files)

    def read(self, path: str, limit: int) -> bytes:
        """See `Tree`."""
        try:
            with os.fdopen(_open(self.root, _real(self.root, path)), "rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise UnreadableError("is no file")
                data = file.read(limit)
                if _stamp(os.fstat(file.fileno())) != _stamp(before):
                    raise UnreadableError("is being written")
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error
        return data

    def prefetch(self, paths: Iterable[str]) -> None:
        """See `Tree`: there is nothing to be gained here."""

    def extract(self, paths: Iterable[str], target: Path) -> None:
        """See `Tree`."""
        for path in paths:
            copy = target / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self.read(path, _MOST_BYTES))


_MOST_BYTES: Final = 1 << 30
"""Of one file of code; packing has its own, smaller limit."""


_Seen = tuple[str, int, str]
"""Stamp, size in bytes, and why it is refused."""


def _scan(root: Path) -> Iterator[tuple[str, _Seen]]:
    """Every file with what is seen of it."""
    inside = os.path.realpath(root)
    pending = [""]
    count = 0
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                count += 1
                if count > MOST_FILES:
                    text = f"{root} holds more than {MOST_FILES} files: name a smaller folder"
                    raise Temporary(text, reason="TooLarge")
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in LEFT_OUT:
                        pending.append(path)
                    continue
                name, wrong = shown(path)
                seen = ("", 0, wrong) if wrong else _seen(entry, inside)
                if seen is not None:
                    yield name, seen


def _seen(entry: os.DirEntry[str], root: str) -> _Seen | None:
    """None where it went away meanwhile."""
    try:
        if not entry.is_symlink():
            status = entry.stat(follow_symlinks=False)
            regular = stat.S_ISREG(status.st_mode)
            return (
                _stamp(status),
                status.st_size,
                "" if regular else "is no file: expected a plain file",
            )
        real = os.path.realpath(entry.path)
        if os.path.commonpath([root, real]) != root:
            return "link", 0, "is a link that leads out of the folder: expected a file in it"
        status = Path(real).stat()
    except FileNotFoundError:
        return ("link", 0, "is a link that leads nowhere") if entry.is_symlink() else None
    except OSError as error:
        return "unreadable", 0, f"cannot be looked at: {error.strerror}"
    refused = "" if stat.S_ISREG(status.st_mode) else "is a link to no file: expected a file"
    return f"{real} {_stamp(status)}", status.st_size, refused


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _real(root: Path, path: str) -> list[str]:
    """The parts of the path from the root on, links resolved."""
    real, inside = os.path.realpath(root / path), os.path.realpath(root)
    if os.path.commonpath([inside, real]) != inside:
        raise UnreadableError("leads out of the folder")
    return list(Path(real).relative_to(inside).parts)


def _open(root: Path, parts: Sequence[str]) -> int:
    """A descriptor, reached step by step without following any link: a folder that is exchanged
    for one meanwhile leads nowhere.
    """
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        flags = _FLAGS if number == len(parts) else _FLAGS | os.O_DIRECTORY
        try:
            deeper = os.open(part, flags, dir_fd=at)
        finally:
            os.close(at)
        at = deeper
    return at
