"""What attempts leave, such as their checkpoints: files on the controller's disk, by job and digest.
`output_archives` is it for outputs.

    <folder>/<uid of the job>/<hex digest>        whole and checked
    <folder>/<uid of the job>/<hex digest>.part   on its way, also over a break

One job's never meet another's: no worker is given what a job left that it does not run. They go
with the job, and before that as soon as the job's status names them no more. File I/O in pieces of
at most 1 MiB; hashing and deleting in threads. Used by `artifact_gate` and `upkeep`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import ConflictError, NotFoundError, StoreError, ValidationError
from ...crd_like_specs.identity import DIGEST_PATTERN, UID_PATTERN
from .durable import flush, sync_folders

PIECE: Final = 1 << 20
PART: Final = ".part"
INDEX: Final = ".json"
"""Of what is in an artifact, beside it, where there is one."""
UNTOLD: Final = 2
"""Newest artifacts of a job that stay although its status does not name them (yet)."""
SPARE: Final = 1 << 30
"""Bytes of the disk that uploads leave free: the store and the logs are on it too."""


class Artifacts:
    """folder: where they lie, made if missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[tuple[str, str], int] = {}
        self._open: set[Path] = set()
        self._deleting: set[asyncio.Future[None]] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def size(self, uid: str, digest: str) -> int | None:
        """Bytes, or None where it is not here, whole."""
        key = (uid, digest)
        if key not in self._sizes:
            try:
                self._sizes[key] = self._path(uid, digest).stat().st_size
            except FileNotFoundError:
                return None
        return self._sizes[key]

    def received(self, uid: str, digest: str) -> int:
        """Bytes that are here of one that is on its way."""
        try:
            return self._part(uid, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def receive(self, uid: str, digest: str, size: int, offset: int) -> ArtifactUpload:
        """Go on with an upload at `offset`, of `size` bytes in all.

        ConflictError where somebody else is at it, or has come to another offset; StoreError where
        there is no room.
        """
        part = self._part(uid, digest)
        if any(path.parent == part.parent for path in self._open):
            raise ConflictError(f"something of job {uid} is being received already", job_id=uid)
        have = self.received(uid, digest)
        if have != offset:
            raise ConflictError(f"{have} bytes of {digest} are here, not {offset}", job_id=uid)
        if shutil.disk_usage(self._folder).free < size - have + SPARE:
            raise StoreError(
                f"the controller has no room on its disk for {size} bytes that job {uid} left",
                job_id=uid,
            )
        part.parent.mkdir(exist_ok=True, mode=0o700)
        for left in part.parent.glob(f"*{PART}"):
            if left != part:  # of a content that has changed since
                left.unlink()
        return ArtifactUpload(self, uid, digest, size, part)

    async def read(self, uid: str, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """The content from an offset on."""
        with self._path(uid, digest).open("rb") as file:
            file.seek(offset)
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

    def keep_only(self, uid: str, digests: Collection[str]) -> None:
        """Delete what the job has beyond these and the newest few, soon. What came last may not
        have been told of yet; what is on its way stays.
        """
        kept = {digest.removeprefix("sha256:") for digest in digests}
        others: list[tuple[float, str]] = []
        for path in self._of(uid).glob("*"):
            if not path.suffix and path.name not in kept:
                with contextlib.suppress(FileNotFoundError):  # it is being deleted
                    others.append((path.stat().st_mtime, path.name))
        others.sort(reverse=True)
        self.drop(uid, [f"sha256:{name}" for _, name in others[UNTOLD:]])

    def drop(self, uid: str, digests: Collection[str]) -> None:
        """Delete these of the job, soon; those that are not there are fine."""
        going = [self._path(uid, digest) for digest in digests]
        for digest in digests:
            self._sizes.pop((uid, digest), None)
        if going:
            self._later(lambda: _unlink(going))

    def delete(self, uid: str) -> None:
        """Delete all that the job has, soon."""
        folder = self._of(uid)
        self._sizes = {key: size for key, size in self._sizes.items() if key[0] != uid}
        self._open = {part for part in self._open if part.parent != folder}
        if folder.exists():
            self._later(lambda: shutil.rmtree(folder))

    def uids(self) -> list[str]:
        """Jobs that have anything here."""
        return [p.name for p in self._folder.iterdir() if re.fullmatch(UID_PATTERN, p.name)]

    def check(self, part: Path) -> None:
        """Called in a thread with an upload that came whole, before it is kept. ValidationError where
        it must not be; here anything may.
        """

    def kept(self, uid: str, digest: str, size: int) -> None:
        """An upload is complete."""
        self._sizes[uid, digest] = size

    def awaited(self, part: Path) -> bool:
        """Whether this is still being received: its job was not deleted meanwhile."""
        return part in self._open

    def opened(self, part: Path, *, now: bool) -> None:
        """Somebody is, or is no longer, writing this file."""
        (self._open.add if now else self._open.discard)(part)

    def _later(self, work: Callable[[], object]) -> None:
        """In a thread: deleting gigabytes takes a while."""

        def delete() -> None:
            try:
                work()
            except OSError as error:  # the next sweep tries again
                logger.warning("what jobs left cannot be deleted: {}", error)

        task = asyncio.get_running_loop().run_in_executor(None, delete)
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)

    def _of(self, uid: str) -> Path:
        if not re.fullmatch(UID_PATTERN, uid):
            raise ValidationError(f"{uid!r:.80} is no uid of a job: expected 32 hex digits")
        return self._folder / uid

    def _path(self, uid: str, digest: str) -> Path:
        if not re.fullmatch(DIGEST_PATTERN, digest):
            raise ValidationError(f"{digest!r:.80} is no digest: expected sha256:<64 hex digits>")
        return self._of(uid) / digest.removeprefix("sha256:")

    def _part(self, uid: str, digest: str) -> Path:
        path = self._path(uid, digest)
        return path.with_name(f"{path.name}{PART}")


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        path.with_suffix(INDEX).unlink(missing_ok=True)


class ArtifactUpload:
    """One artifact on its way in. Implements `api.ports.BlobWriter`; what was written before an
    `abort` stays, to go on from there.
    """

    def __init__(self, artifacts: Artifacts, uid: str, digest: str, size: int, part: Path) -> None:
        self._artifacts = artifacts
        self._uid = uid
        self._digest = digest
        self._size = size
        self._part = part
        self._file = part.open("ab")
        artifacts.opened(part, now=True)

    async def write(self, data: bytes) -> None:
        """Append a piece. ValidationError beyond the announced size."""
        if self._file.tell() + len(data) > self._size:
            raise ValidationError(f"more than the announced {self._size} bytes came")
        await asyncio.to_thread(self._file.write, data)

    async def commit(self) -> int:
        """Check size and digest, and keep it for good; returns the size in bytes. NotFoundError
        where its job was deleted meanwhile.
        """
        try:
            await asyncio.to_thread(self._keep)
        except FileNotFoundError as e:
            if self._artifacts.awaited(self._part):
                raise
            text = f"job {self._uid} is over: nothing of it is taken any more"
            raise NotFoundError(text, job_id=self._uid) from e
        except ValidationError:
            self._part.unlink(missing_ok=True)
            raise
        finally:
            await self.abort()
        self._artifacts.kept(self._uid, self._digest, self._size)
        return self._size

    async def abort(self) -> None:
        """Leave it for later."""
        self._artifacts.opened(self._part, now=False)
        with contextlib.suppress(OSError):  # what a full disk did not take is sent again
            self._file.close()

    def _keep(self) -> None:
        flush(self._file)
        with self._part.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if self._file.tell() != self._size or found != self._digest:
            raise ValidationError(
                f"{self._file.tell()} bytes of digest {found} came, "
                f"{self._size} of {self._digest} were announced"
            )
        self._artifacts.check(self._part)
        self._part.replace(self._part.with_suffix(""))
        sync_folders(self._part.parent, self._part.parent.parent)
