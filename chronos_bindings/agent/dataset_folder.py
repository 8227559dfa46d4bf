"""The datasets on a worker's disk: made aside, renamed when whole. File I/O, blocks.

Called by `dataset_cache`, in threads. In the cache's folder:

    <key>/             whole, read-only, what a job sees
    <key>.json         {"digest", "label", "size", "files", "bytes"}; written last, without it the
                       folder is not whole; its time is when the dataset was last used
    .making-<key>/     being laid out, .going-…/ being removed: neither outlives a start
    incoming/<hex>     the bytes as they were uploaded; <hex>.part while they come, also across a
                       restart of the agent

A key is made of the digest and of what else decides about the content (`key_of`). The folder can
be passed through but not listed: containers run as another user.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...crd_like_specs.archives.entries import Format
from ...crd_like_specs.archives.extracting import extract
from ...crd_like_specs.archives.walking import walk
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job_datasets import DatasetMount
from .dataset_lru import Cached
from .env_cache import size_of

MOST_TOLD: Final = 1000
"""Datasets of which the controller hears; each is a line of the worker's record."""

_MAKING: Final = ".making-"
_GOING: Final = ".going-"
_INCOMING: Final = "incoming"
_PART: Final = ".part"
_META: Final = ".json"


class StoppedError(Exception):
    """Nobody waits any more for what was being laid out."""


class DatasetFolder:
    """root: for nothing else. wall: POSIX seconds."""

    def __init__(self, root: Path, wall: Callable[[], float] = time.time) -> None:
        self.root = root
        self._wall = wall
        self._incoming = root / _INCOMING
        self._left: list[Path] = []

    def open(self) -> None:
        """Make the folders; what an interrupted agent left half done is no dataset from here on, and
        goes with `sweep`. OSError.
        """
        for folder, mode in ((self.root, 0o711), (self._incoming, 0o700)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        for path in list(self.root.iterdir()):
            if path == self._incoming:
                continue
            if path.is_dir() and not (self._meta(path.name).is_file() and _is_key(path.name)):
                self._left.append(self._away(path))
            elif not path.is_dir() and not (
                path.name.endswith(_META) and path.with_suffix("").is_dir() and _read(path)
            ):
                path.unlink()

    def sweep(self) -> None:
        """Delete what `open` put aside. OSError."""
        while self._left:
            _delete(self._left.pop())

    def find(self, key: str) -> Path | None:
        """The whole dataset, marked as used now; None where it has to be made."""
        path = self.root / key
        if not (path.is_dir() and self._meta(key).is_file()):
            return None
        now = self._wall()
        with suppress(FileNotFoundError):  # taken away by hand just now: the next look will tell
            os.utime(self._meta(key), (now, now))
        return path

    def is_whole(self, key: str) -> bool:
        """Whether it has the files and bytes that it had once; a machine may lose power before
        they are on its disk.
        """
        meta = _read(self._meta(key))
        return (meta.get("files"), meta.get("bytes")) == _count(self.root / key)

    def cached(self) -> list[Cached]:
        """All of it, unfinished downloads too."""
        found = []
        for path in self.root.glob(f"*{_META}"):
            with suppress(FileNotFoundError):
                size = int(_read(path).get("size", 0))
                found.append(Cached(path.stem, size, path.stat().st_mtime))
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                seen = path.stat()
                found.append(Cached(_incoming_key(path.name), seen.st_size, seen.st_mtime))
        return found

    def digests(self) -> tuple[str, ...]:
        """Of what is whole, sorted; of very many those that were used last."""
        known: dict[str, float] = {}
        for path in self.root.glob(f"*{_META}"):
            with suppress(FileNotFoundError):
                digest, used_at = _read(path).get("digest"), path.stat().st_mtime
                if digest:
                    known[str(digest)] = max(used_at, known.get(str(digest), 0.0))
        return tuple(sorted(sorted(known, key=known.__getitem__)[-MOST_TOLD:]))

    def incoming(self, digest: str) -> Path:
        """Where its bytes come to lie."""
        return self._incoming / digest.removeprefix("sha256:")

    def received(self, digest: str) -> int:
        """Bytes of it that came so far."""
        path = self.incoming(digest)
        for one in (path, path.with_name(f"{path.name}{_PART}")):
            with suppress(FileNotFoundError):
                return one.stat().st_size
        return 0

    def lay_out(self, key: str, dataset: DatasetMount, stop: threading.Event) -> Path:
        """From its bytes to its files. ValidationError where it is no archive that may be taken,
        StoppedError once `stop` is set, OSError; nothing half done stays.
        """
        making = self.root / f"{_MAKING}{key}"
        self._drop(making)
        making.mkdir(mode=0o755)
        archive = self.incoming(dataset.digest)
        try:
            self._fill(making, archive, dataset, stop)
            files, size = _count(making, close=True)
            if stop.is_set():
                raise StoppedError
            self._keep(key, making, dataset, {"files": files, "bytes": size})
        except ValidationError:
            archive.unlink(missing_ok=True)  # it would be refused again
            raise
        finally:
            self._drop(making)
        archive.unlink(missing_ok=True)
        return self.root / key

    def remove(self, keys: Collection[str]) -> None:
        """Remove these; from the first moment on they are no datasets any more. OSError."""
        for key in keys:
            if key.startswith(f"{_INCOMING}/"):
                (self.root / key).unlink(missing_ok=True)
                continue
            self._meta(key).unlink(missing_ok=True)
            self._drop(self.root / key)

    def _fill(
        self, folder: Path, archive: Path, dataset: DatasetMount, stop: threading.Event
    ) -> None:
        if dataset.format == Format.FILE.value and _placed(archive, folder, dataset):
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with io.BufferedReader(_Stoppable(archive, stop), 1 << 20) as file:
                extract(file, Format(dataset.format), descriptor, filename=_filename(dataset))
        finally:
            os.close(descriptor)

    def _keep(self, key: str, making: Path, dataset: DatasetMount, found: dict[str, int]) -> None:
        path = self.root / key
        self._meta(key).unlink(missing_ok=True)
        self._drop(path)
        size = size_of(making)
        making.rename(path)
        meta = {"digest": dataset.digest, "label": dataset.label, "size": size, **found}
        aside = self.root / f"{_MAKING}{key}.meta"
        aside.write_text(json.dumps(meta), encoding="utf-8")
        now = self._wall()
        os.utime(aside, (now, now))
        aside.replace(self._meta(key))

    def _drop(self, path: Path) -> None:
        """Away at once, then its files."""
        if path.exists():
            _delete(self._away(path))

    def _away(self, path: Path) -> Path:
        if path.name.startswith(_GOING):
            return path
        return path.rename(self.root / f"{_GOING}{uuid.uuid4().hex}")

    def _meta(self, key: str) -> Path:
        return self.root / f"{key}{_META}"


def _delete(top: Path) -> None:
    """Its folders are read-only, which only root may pass over."""
    for folder, inner, _ in os.walk(top):
        Path(folder).chmod(stat.S_IRWXU)
        for name in inner:
            if not (Path(folder) / name).is_symlink():
                (Path(folder) / name).chmod(stat.S_IRWXU)
    shutil.rmtree(top)


class _Stoppable(io.FileIO):
    """A file that cannot be read any further once nobody waits for it."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        super().__init__(path, "r")
        self._stop = stop

    def readinto(self, buffer: Any, /) -> int | None:
        if self._stop.is_set():
            raise StoppedError
        return super().readinto(buffer)


def key_of(dataset: DatasetMount) -> str:
    """Equal for datasets that look the same to a job."""
    alone = dataset.format == Format.FILE.value
    told = f"{dataset.format}\0{_filename(dataset) if alone else ''}"
    digest = dataset.digest.removeprefix("sha256:")
    return f"{digest}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _filename(dataset: DatasetMount) -> str:
    return dataset.filename or dataset.label


def _placed(file: Path, folder: Path, dataset: DatasetMount) -> bool:
    """Whether the file could be put there without a copy, as file systems mostly allow."""
    with file.open("rb") as opened:
        (entry,) = walk(opened, Format.FILE, filename=_filename(dataset))
    try:
        os.link(file, folder / entry.path)
    except OSError:
        return False
    return True


def incoming_keys(digest: str) -> tuple[str, str]:
    """Of the bytes of this dataset, as `cached` names them: whole, and on their way."""
    name = digest.removeprefix("sha256:")
    return _incoming_key(name), _incoming_key(f"{name}{_PART}")


def digest_of(key: str) -> str:
    """Of the dataset with this key, as `cached` names it."""
    return f"sha256:{key.removeprefix(f'{_INCOMING}/').partition('-')[0].removesuffix(_PART)}"


def _incoming_key(name: str) -> str:
    return f"{_INCOMING}/{name}"


def _is_key(name: str) -> bool:
    return not name.startswith(".")


def _read(path: Path) -> dict[str, Any]:
    """{} for what is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("digest") else {}


def _count(top: Path, *, close: bool = False) -> tuple[int, int]:
    """Files and their bytes, links included. close: make all of it read-only, the top last."""
    files = size = 0
    for path in _below(top, close=close):
        seen = path.lstat()
        files, size = files + 1, size + seen.st_size
        if close and stat.S_ISREG(seen.st_mode):
            path.chmod(0o555 if seen.st_mode & stat.S_IXUSR else 0o444)
    return files, size


def _below(top: Path, *, close: bool) -> Iterator[Path]:
    for folder, inner, names in os.walk(top, topdown=False):
        for name in (*names, *(n for n in inner if (Path(folder) / n).is_symlink())):
            yield Path(folder) / name
        if close:
            Path(folder).chmod(0o555)
