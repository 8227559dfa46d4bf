"""Datasets on this worker: fetched once, laid out, kept while there is room. I/O, in threads.

Called by `staging`. What a unit is given stays until the unit's lease is over, also across a
restart of the agent; of the rest those go that exist no more, and where room is needed the least
recently used. One that is asked for by several units at once comes once.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar
from weakref import WeakValueDictionary

from loguru import logger

from ...crd_like_specs.archives.entries import Format
from ...crd_like_specs.errors import DriverError, Permanent, Temporary, ValidationError
from ...crd_like_specs.job_datasets import DatasetMount
from ...crd_like_specs.units import show_bytes
from .blob_cache import matches
from .dataset_folder import DatasetFolder, digest_of, incoming_keys, key_of
from .dataset_lru import evicted

UNSAFE: Final = "DatasetUnsafe"
FULL: Final = "DiskFull"
STEP: Final = 5
"""Per cent between two words of progress: each is a write to the controller's store."""

SPARE: Final = 1 << 30
"""Bytes of the disk that datasets leave free: ends of leases are written there too."""

Told = Callable[[str], None]
T = TypeVar("T")


class DatasetSource(Protocol):
    """Where datasets come from."""

    async def fetch(
        self, unit: str, digest: str, dest: Path, arrived: Callable[[int], None]
    ) -> None:
        """As `BlobSource.fetch`; unit: the attempt that it is wanted for. arrived: told the bytes
        that are here, after each piece.

        `Permanent("DatasetMissing")`, `Temporary`.
        """


class DatasetCache:
    """limit: bytes that the datasets may take on the disk, as long as those that are in use allow
    it. in_use: keys of those that staged units refer to. changed: told when `digests` is another.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        source: DatasetSource,
        *,
        limit: int,
        in_use: Callable[[], set[str]] = set,
        changed: Callable[[], None] = lambda: None,
        spare: int = SPARE,
    ) -> None:
        self.limit = limit
        self.digests: tuple[str, ...] = ()
        """Of those that are here, whole."""
        self._folder = folder
        self._source = source
        self._staged = in_use
        self._changed = changed
        self._spare = spare
        self._wanted: dict[str, set[str]] = {}  # unit → keys
        self._dropped: frozenset[str] = frozenset()
        self._busy: Counter[str] = Counter()  # digests that are asked for now
        self._listeners: dict[str, list[Told]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._checked: set[str] = set()
        self._files = asyncio.Lock()  # one at a time makes room
        self._due = asyncio.Event()
        self._due.set()
        folder.open()
        self.digests = folder.digests()

    async def get(self, unit: str, dataset: DatasetMount, told: Told = lambda _: None) -> Path:
        """The dataset's folder, which stays until `release(unit)`. told: how far it is, in words.

        `Permanent("DatasetMissing" | "DatasetUnsafe" | "BadLease")`, `Temporary`; all of them name
        the dataset. Cancelled, it goes on where it was when it is asked for again.
        """
        if not dataset.resolved:
            text = f"dataset {dataset.label}: neither digest nor format is given"
            raise Permanent(text, reason="BadLease")
        self._wanted.setdefault(unit, set()).add(key_of(dataset))
        lock = self._locks.setdefault(dataset.digest, asyncio.Lock())
        try:
            with self._listening(dataset.digest, told):
                async with lock:
                    return await self._get(unit, dataset)
        except DriverError as e:
            text = f"dataset {dataset.label}: {e.message}"
            raise type(e)(text, reason=e.reason) from e
        except ValidationError as e:
            raise Permanent(f"dataset {dataset.label}: {e.message}", reason=UNSAFE) from e
        except OSError as e:
            text = f"dataset {dataset.label} cannot be kept: {e.strerror}: {e.filename}"
            raise Temporary(text, reason="StagingFailed") from e

    def release(self, unit: str) -> None:
        """The unit's lease is over: what it had may go."""
        if self._wanted.pop(unit, None) or self._dropped:  # the first: not of a former agent
            self._due.set()

    def drop(self, digests: Collection[str]) -> None:
        """These, and no others, exist no more: they go as soon as they are in nobody's use."""
        self._dropped = frozenset(digests)
        if self._dropped:
            self._due.set()

    async def run(self) -> None:
        """Remove what exists no more, and what is above the limit, as soon as it is in nobody's use.
        Endless.
        """
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._make_room(0)
            except OSError as e:  # the next one who needs the room is told
                logger.warning(
                    "the cache of datasets cannot be tidied: {}: {}", e.strerror, e.filename
                )

    async def _get(self, unit: str, dataset: DatasetMount) -> Path:
        key = key_of(dataset)
        path = await asyncio.to_thread(self._whole, key)
        if path is not None:
            return path
        await self._fetch(unit, dataset)
        self._tell(dataset, "is being unpacked")
        path = await _stoppable(lambda stop: self._folder.lay_out(key, dataset, stop))
        self._checked.add(key)
        logger.info("dataset {} is here: {}", dataset.label, dataset.digest)
        await self._make_room(0)  # it may take more on the disk than was announced
        return path

    def _whole(self, key: str) -> Path | None:
        path = self._folder.find(key)
        if path is not None and key not in self._checked and not self._folder.is_whole(key):
            logger.warning("{} is damaged, and is fetched again", path)
            self._folder.remove([key])
            return None
        self._checked.add(key)
        return path

    async def _fetch(self, unit: str, dataset: DatasetMount) -> None:
        """Its bytes, checked against the digest, in the folder of what comes in."""
        whole = self._folder.incoming(dataset.digest)
        if await asyncio.to_thread(matches, whole, dataset.digest):
            return  # an agent was killed before it could lay it out
        here = await asyncio.to_thread(self._folder.received, dataset.digest)
        need = max(0, dataset.size - here)
        need += 0 if dataset.format == Format.FILE.value else dataset.extracted
        await self._make_room(need)
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder.root)).free
        if free < need + self._spare:
            raise Temporary(
                f"{show_bytes(need)} are needed on the worker's disk, {show_bytes(free)} are free "
                f"and {show_bytes(self._spare)} stay so",
                reason=FULL,
            )
        percent = -1

        def arrived(here: int) -> None:
            nonlocal percent
            now = here * 100 // max(1, dataset.size) // STEP * STEP
            if now != percent:
                percent = now
                self._tell(dataset, _progress(here, dataset.size))

        arrived(here)
        while True:
            try:
                await self._source.fetch(unit, dataset.digest, whole, arrived)
            except Temporary:
                before, here = here, await asyncio.to_thread(self._folder.received, dataset.digest)
                if here <= before:
                    raise
            else:  # a bad line takes longer, and that is all
                return

    async def _make_room(self, need: int) -> None:
        async with self._files:
            before = self.digests
            self.digests = await asyncio.to_thread(self._evict, need, self._in_use)
        if before != self.digests:
            self._changed()

    def _evict(self, need: int, in_use: Callable[[], set[str]]) -> tuple[str, ...]:
        self._folder.sweep()
        cached = self._folder.cached()
        dropped = {one.key for one in cached if digest_of(one.key) in self._dropped}
        going = evicted(cached, in_use(), need=need, limit=self.limit, dropped=dropped)
        if going:
            logger.info("{} entries leave the cache of datasets", len(going))
            self._folder.remove(going)
        return self._folder.digests()

    def _in_use(self) -> set[str]:
        wanted = {key for keys in list(self._wanted.values()) for key in list(keys)}
        coming = {key for digest in list(self._busy) for key in incoming_keys(digest)}
        return wanted | coming | self._staged()

    @contextmanager
    def _listening(self, digest: str, told: Told) -> Iterator[None]:
        listeners = self._listeners.setdefault(digest, [])
        listeners.append(told)
        self._busy[digest] += 1
        try:
            yield
        finally:
            listeners.remove(told)
            self._busy[digest] -= 1
            if not self._busy[digest]:
                del self._busy[digest], self._listeners[digest]

    def _tell(self, dataset: DatasetMount, words: str) -> None:
        for told in list(self._listeners.get(dataset.digest, ())):
            told(f"dataset {dataset.label}: {words}")


def _progress(here: int, total: int) -> str:
    """`1.2 of 9.8Gi`."""
    done, whole = show_bytes(min(here, total)), show_bytes(total)
    return (
        f"{done.removesuffix(whole[-2:])} of {whole}" if whole[-1] == "i" else f"{done} of {whole}"
    )


async def _stoppable(work: Callable[[threading.Event], T]) -> T:
    """In a thread, which is told and waited for when this is cancelled."""
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # it is nobody's any more
        raise
