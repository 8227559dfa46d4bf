"""The folders of prepared environments: made aside, renamed when whole, oldest removed first. I/O.

Called by `prepare`, from one thread at a time. In the cache's folder, for a key:

    <key>.partial/   being made; left over ones are removed at start
    <key>/           whole, what a job sees as /env
    <key>.json       {"size", "requirements"}; written last, without it the folder is not whole
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_PARTIAL: Final = ".partial"
_SETTLING: Final = 600.0  # seconds within which a unit that was given one links to it
DEFAULT_LIMIT: Final = 20 << 30


class EnvCache:
    """folder: for nothing else. limit: bytes above which unused environments are removed.

    in_use: gives the environment folders that units refer to now.
    """

    def __init__(
        self,
        folder: Path,
        in_use: Callable[[], set[Path]] = set,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self._folder = folder
        self._in_use = in_use
        self._limit = limit

    def open(self) -> None:
        """Make the folder and remove what an interrupted run left behind. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        for entry in list(self._folder.iterdir()):
            whole = entry.is_dir() and self._meta(entry.name).is_file()
            orphan = entry.suffix == ".json" and not entry.with_suffix("").is_dir()
            if (entry.is_dir() and not whole) or orphan:
                remove(entry)

    def get(self, key: str) -> Path | None:
        """The whole environment, marked as used now; None if it has to be made."""
        path = self._folder / key
        if not (path.is_dir() and self._meta(key).is_file()):
            return None
        with suppress(FileNotFoundError):  # removed by hand just now: the next look will tell
            os.utime(self._meta(key))
        return path

    def begin(self, key: str) -> Path:
        """An empty `.partial` folder to fill."""
        partial = self._folder / f"{key}{_PARTIAL}"
        remove(partial)
        partial.mkdir(mode=0o755)
        return partial

    def commit(self, key: str, filled: Path, requirements: tuple[str, ...]) -> Path:
        """Make `filled` (within the partial folder) the environment, then drop the rest of it."""
        path = self._folder / key
        remove(path)
        filled.chmod(0o755)
        filled.rename(path)
        meta = {"size": size_of(path), "requirements": requirements}
        aside = self._folder / f"{key}.json{_PARTIAL}"
        aside.write_text(json.dumps(meta), encoding="utf-8")
        aside.rename(self._meta(key))
        self.discard(key)
        self._shrink(keep=path)
        return path

    def discard(self, key: str) -> None:
        """Remove the partial folder, if there is one."""
        remove(self._folder / f"{key}{_PARTIAL}")

    def _shrink(self, keep: Path) -> None:
        entries = []
        for meta in self._folder.glob("*.json"):
            size = int(json.loads(meta.read_bytes())["size"])
            entries.append((meta.stat().st_mtime, size, meta.with_suffix("")))
        total = sum(size for _, size, _ in entries)
        used = {*self._in_use(), keep}
        recent = self._meta(keep.name).stat().st_mtime - _SETTLING
        for used_at, size, path in sorted(entries):
            if total <= self._limit:
                return
            if path not in used and used_at < recent:
                self._meta(path.name).unlink(missing_ok=True)  # first: a half removed one is none
                remove(path)
                total -= size

    def _meta(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def units_in_use(staging_root: Path) -> set[Path]:
    """Environments that staged units link to (`<staging_root>/<unit>/env`)."""
    found = set()
    for link in staging_root.glob("*/env"):
        with suppress(OSError):  # no link, or removed meanwhile
            found.add(Path(os.path.realpath(link.readlink())))
    return found


def size_of(path: Path) -> int:
    """Bytes that the files below take on disk; links are not followed."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            total += (Path(folder) / name).lstat().st_blocks * 512
    return total


def remove(path: Path) -> None:
    """Remove a file, link or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
