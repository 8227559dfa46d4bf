"""Datasets on their way in: files that grow, and what each is to become.

    uploads/<id>.json   what it is to become
    uploads/<id>.part   the bytes so far, also over a break and over a restart

The digest is reckoned while the bytes come; where that began in another life of the controller, the
file is read once more at the end. File I/O in threads. Used by `datasets.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import uuid
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeVar

from ...api.datasets import DatasetWanted
from ...crd_like_specs.archives.entries import Format
from ...crd_like_specs.errors import ConflictError, NotFoundError
from ...crd_like_specs.identity import UID_PATTERN
from .durable import flush, on_disk, write_text
from .heavy import heavy

T = TypeVar("T")

PIECE: Final = 1 << 20


@dataclass(slots=True)
class Pending:
    """One upload. id: 32 hex digits; size: bytes so far; hash: of the first `hashed` of them; busy:
    somebody is at it.
    """

    id: str
    owner: str
    wanted: DatasetWanted
    part: Path
    size: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    hashed: int = 0
    busy: bool = False

    def append(self, data: bytes, file: FileIO) -> None:
        """All of it or nothing: `size` is what a restart will find. StoreError. Blocks."""
        left = memoryview(data)
        with on_disk("more of a dataset"):
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:  # a disk that is full takes a part
                file.truncate(self.size)
                raise
        if self.hashed == self.size:
            self.hash.update(data)
            self.hashed += len(data)
        self.size += len(data)

    def finish(self) -> str:
        """The digest, once all of it is on the disk. Blocks."""
        with self.part.open("rb") as file:
            file.seek(self.hashed)
            while piece := file.read(PIECE):
                self.hash.update(piece)
                self.hashed += len(piece)
        return f"sha256:{self.hash.hexdigest()}"


class Uploads:
    """folder: where they lie; what an earlier life left is gone on with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: dict[str, Pending] = {}
        self._describing = asyncio.Lock()
        for path in folder.glob("*.json"):
            self._restore(path)
        for path in (*folder.glob("*.part"), *folder.glob("*.new")):
            if path.stem not in self._pending:
                path.unlink()

    @property
    def total(self) -> int:
        """How many are on their way."""
        return len(self._pending)

    def of(self, owner: str) -> int:
        """Bytes of the owner that are on their way, and here."""
        return sum(one.size for one in self._pending.values() if one.owner == owner)

    def count(self, owner: str) -> int:
        """How many uploads of the owner are on their way."""
        return sum(one.owner == owner for one in self._pending.values())

    def received(self, owner: str, wanted: DatasetWanted) -> int:
        """Bytes that are here of the one that `begin` would find."""
        known = self._pending.get(_id(owner, wanted))
        return known.size if known is not None else 0

    async def begin(self, owner: str, wanted: DatasetWanted) -> Pending:
        """A new one, or the one that began with the same name and digest."""
        id_ = _id(owner, wanted)
        known = self._pending.get(id_)
        if known is not None and known.wanted == wanted:
            return known
        pending = known or Pending(id_, owner, wanted, self._folder / f"{id_}.part")
        pending.wanted = wanted
        self._pending[id_] = pending
        async with self._describing:  # by two clients, of which one asks to replace
            text = json.dumps({"owner": owner, "wanted": asdict(pending.wanted)})
            path = pending.part.with_suffix(".json")
            await asyncio.to_thread(write_text, path, text)
            if self._pending.get(id_) is not pending:  # another client ended it meanwhile
                path.unlink(missing_ok=True)
        return pending

    def find(self, id_: str, owner: str) -> Pending:
        """The owner's. NotFoundError."""
        found = self._pending.get(id_) if re.fullmatch(UID_PATTERN, id_) else None
        if found is None or found.owner != owner:
            raise NotFoundError(f"upload {id_!r:.80} not found: it ended, or was a day old")
        return found

    def drop(self, pending: Pending) -> None:
        """Forget it, and what came of it. ConflictError while somebody is at it."""
        if pending.busy:
            raise ConflictError(f"upload {pending.id} is being received")
        self._forget(pending)

    def done(self, pending: Pending) -> None:
        """It has become a dataset, or never will."""
        self._forget(pending)

    def drop_before(self, before: float) -> int:
        """Forget those that nobody has gone on with since then (POSIX seconds); how many."""
        old = [
            one for one in self._pending.values() if not one.busy and _touched(one.part) < before
        ]
        for one in old:
            self._forget(one)
        return len(old)

    def _forget(self, pending: Pending) -> None:
        self._pending.pop(pending.id, None)
        # The description last: a part without one is dropped at the next start.
        pending.part.with_suffix(".json").unlink(missing_ok=True)
        pending.part.unlink(missing_ok=True)

    def _restore(self, path: Path) -> None:
        known = json.loads(path.read_text())
        given = known["wanted"]
        form = None if given["format"] is None else Format(given["format"])
        part = path.with_suffix(".part")
        pending = Pending(
            path.stem, known["owner"], DatasetWanted(**{**given, "format": form}), part
        )
        if part.exists():
            pending.size = part.stat().st_size
        self._pending[path.stem] = pending


def _touched(part: Path) -> float:
    path = part if part.exists() else part.with_suffix(".json")
    return path.stat().st_mtime if path.exists() else 0.0


def _id(owner: str, wanted: DatasetWanted) -> str:
    """Found again by who knows what is sent; of content that is not known yet, only by the id."""
    if not wanted.digest:
        return uuid.uuid4().hex
    said = json.dumps([owner, wanted.name, wanted.digest])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


class PartFile:
    """The open file of an upload. ConflictError where another one has it."""

    def __init__(self, pending: Pending) -> None:
        if pending.busy:
            raise ConflictError(f"upload {pending.id} is being received already")
        self.pending = pending
        with on_disk("a dataset"):
            self._file = pending.part.open("ab", buffering=0)
        self._work: asyncio.Future[Any] | None = None
        pending.busy = True

    async def append(self, data: bytes) -> None:
        """At its end."""
        loop = asyncio.get_running_loop()
        await self._until(loop.run_in_executor(None, self.pending.append, data, self._file))

    async def finish(self) -> str:
        """All came: it is on the disk for good; its digest."""

        def finished() -> str:
            flush(self._file)
            return self.pending.finish()

        return await self._until(heavy(finished))

    async def close(self) -> None:
        """Let go of it, once a thread that still writes has ended."""
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
        if not self._file.closed:
            self.pending.busy = False
            self._file.close()

    async def _until(self, work: asyncio.Future[T]) -> T:
        """A caller that is cancelled leaves the thread at it: `close` waits for it."""
        self._work = work
        return await asyncio.shield(work)
