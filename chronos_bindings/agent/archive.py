"""A job's checkpoint taken from its folder as an archive, and what `archive_outputs` shares with
that. File I/O, blocks; see `archive_layout`.

The folder belongs to the job, which may run, and may be hostile: nothing in it is reached by a
path that it could exchange for a link.

Equal contents give equal archives, so that what did not change has the digest that it had.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ...crd_like_specs.checkpoint import COPIES, MARKER, MOST_FILES, TOO_LARGE
from ...crd_like_specs.errors import Permanent, Temporary
from ...crd_like_specs.units import show_bytes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

MOST_DEPTH: Final = 64
PIECE: Final = 1 << 20
_NAME_BYTES: Final = 255
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not block


UTF8: Final = "utf-8"
ESCAPED: Final = "surrogateescape"  # names are bytes to the kernel


@dataclass(frozen=True, slots=True)
class Taken:
    """An archive that was made. digest: of it; size: bytes of the files in it; files: how many;
    left_out: sockets, pipes, and links that lead out, which are not in it.
    """

    digest: str
    size: int
    files: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What the marker says. entry: name of the complete one; key: changes with each commit."""

    entry: str
    key: tuple[int, int]


def committed(folder: Path) -> Commit | None:
    """What the job last committed; None where it has not, or names nothing that could be kept."""
    try:
        fd = os.open(folder / MARKER, _FILE)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            return None
        entry = os.fsdecode(file.read(_NAME_BYTES + 2).strip())
    if not entry or "/" in entry or "\0" in entry or entry.startswith(".") or entry == MARKER:
        return None
    return Commit(entry, (seen.st_ino, seen.st_mtime_ns))


def is_empty(folder: Path, *, keep_all: bool = False) -> bool:
    """True where there is nothing to keep; names that begin with a dot are the job's own affair,
    unless all is kept.
    """
    try:
        with os.scandir(folder) as entries:
            return all(entry.name.startswith(".") and not keep_all for entry in entries)
    except FileNotFoundError:
        return True


def used(folder: Path, most: int, most_entries: int = MOST_FILES * (COPIES + 1)) -> int:
    """Bytes of disk that the folder takes; counting ends beyond `most`, or at too many entries."""
    total = entries = 0
    try:
        for _, fd, entry in _entries(os.open(folder, _FOLDER), keep_all=True):
            entries += 1
            total += os.stat(entry.name, dir_fd=fd, follow_symlinks=False).st_blocks * 512
            if total > most or entries > most_entries:
                return max(total, most + 1)
    except OSError:
        return total  # the job is just changing it: the next look counts anew
    return total


def take(folder: Path, archive: Path, *, limit: int, entry: str | None = None) -> Taken | None:
    """Write the archive of all that is in the folder, or of the entry that is committed; None where
    there is nothing.

    limit: bytes. Permanent("CheckpointTooLarge") beyond it; Temporary("CheckpointChanged") where
    it changed meanwhile, "CheckpointUnreadable" where the disk fails.
    """
    maker = Maker(limit)
    only = None if entry is None else (entry, MARKER)
    digest = write(folder, archive, maker, only=only)
    if not maker.names:
        return None
    if entry is not None and entry not in maker.names:
        raise Temporary(f"{entry!r} is committed and not there", reason="CheckpointChanged")
    return Taken(digest, maker.size, maker.files, maker.left_out)


def write(
    folder: Path,
    archive: Path,
    maker: Maker,
    *,
    only: Collection[str] | None = None,
    keep_all: bool = False,
) -> str:
    """Write the archive of what the maker adds, and give its digest. only: names in the folder,
    None for all; keep_all: those too that begin with a dot. Temporary where it changed meanwhile,
    or the disk fails, and whatever the maker raises.
    """
    try:
        # The file has the large buffer: one of tarfile's own is copied with every 16 KiB.
        with archive.open("wb", buffering=PIECE) as raw:
            hashing = _Hashing(raw)
            with tarfile.open(
                fileobj=hashing,
                mode="w|",
                format=tarfile.GNU_FORMAT,
                encoding=UTF8,
                errors=ESCAPED,
            ) as tar:
                found = _entries(
                    os.open(folder, _FOLDER), only=only, keep_all=keep_all, closed=maker.closed
                )
                for name, fd, entry in found:
                    maker.add(tar, name, fd, entry)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise Temporary(f"it changed while it was read: {e}", reason="CheckpointChanged") from e
    except OSError as e:
        raise Temporary(
            f"it cannot be read: {e.strerror or e}: {e.filename}", reason="CheckpointUnreadable"
        ) from e
    return hashing.digest


class Maker:
    """Adds what is found to an archive, and counts. closed: folders that it does not want to see
    the inside of.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.names: set[str] = set()
        self.closed: set[str] = set()
        self.size = self.files = self.left_out = 0

    def add(self, tar: tarfile.TarFile, name: str, folder: int, found: os.DirEntry[str]) -> None:
        """One entry. folder: descriptor of the one that it is in."""
        info = tarfile.TarInfo(name)
        seen = os.stat(found.name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        elif stat.S_ISLNK(seen.st_mode):
            info.type, info.mode = tarfile.SYMTYPE, 0o777
            info.linkname = os.readlink(found.name, dir_fd=folder)
            if not stays_inside(info.linkname, name.rpartition("/")[0]):
                self.left_out += 1
                return
            tar.addfile(info)
        elif stat.S_ISREG(seen.st_mode):
            self.add_file(tar, info, found.name, folder)
        else:
            self.left_out += 1
            return
        self.names.add(name)
        if len(self.names) > MOST_FILES:
            raise Permanent(
                f"it has more than {MOST_FILES} entries, the most that is kept",
                reason=TOO_LARGE,
            )

    def add_file(self, tar: tarfile.TarFile, info: tarfile.TarInfo, name: str, folder: int) -> None:
        """One that is, or was just now, a file."""
        fd = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(fd, "rb", buffering=0) as file:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise FileNotFoundError(name)
            self.size += before.st_size
            self.files += 1
            if self.size > self._limit:
                raise Permanent(
                    f"it is larger than {show_bytes(self._limit)}, which checkpoint.size allows",
                    reason=TOO_LARGE,
                )
            info.size, info.mtime = before.st_size, int(before.st_mtime)
            info.mode = 0o755 if before.st_mode & 0o111 else 0o644
            tar.addfile(info, file)
            after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise FileNotFoundError(info.name)


def _entries(
    top: int,
    prefix: str = "",
    depth: int = 0,
    *,
    only: Collection[str] | None = None,
    keep_all: bool = False,
    closed: Collection[str] = (),
) -> Iterator[tuple[str, int, os.DirEntry[str]]]:
    """(name, descriptor of its folder, entry) of all below, in the order of names; closes `top`."""
    with _closing(top):
        for entry in sorted(os.scandir(top), key=lambda e: e.name):
            if not prefix and not keep_all and entry.name.startswith("."):
                continue
            if not prefix and only is not None and entry.name not in only:
                continue
            name = f"{prefix}{entry.name}"
            yield name, top, entry
            if entry.is_dir(follow_symlinks=False) and name not in closed:
                if depth == MOST_DEPTH:
                    raise Permanent(
                        f"it has more than {MOST_DEPTH} folders in one another", reason=TOO_LARGE
                    )
                inner = os.open(entry.name, _FOLDER, dir_fd=top)
                yield from _entries(inner, f"{name}/", depth + 1, keep_all=keep_all, closed=closed)


@contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


class _Hashing(io.BufferedIOBase):
    """A file that is hashed as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self._hash.update(data)
        return self._file.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def stays_inside(target: str, parent: str) -> bool:
    """Whether a link in the folder `parent` can lead nowhere but inside. Where `..` stands only at
    the start, it climbs real folders; what follows are names of real folders or of links like it.
    """
    parts = target.split("/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    depth = parent.count("/") + 1 if parent else 0
    return (
        bool(target)
        and "\0" not in target
        and climbs <= depth
        and not ({"..", ""} & set(parts[climbs:]))
    )
