"""Brings what jobs keep in /checkpoint to the controller: while they run, and at their end. I/O.

Made by `agent`; asked by `lease_task`, and by `keeper` for what the controller is told. While a job
runs, only what it has committed is taken, at its interval: a worker that dies loses that much. When
nothing of it runs any more, the newest state is taken, for which its lease waits in state Saving;
its share is given back by then, so that nobody else does.

Archives are made one at a time and sent a few at a time: a large one delays another, never a lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loguru import logger

from ...crd_like_specs.checkpoint import COPIES, NOT_KEPT, Snapshot
from ...crd_like_specs.errors import Permanent, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.units import show_bytes
from . import archive, checkpoint_folder
from .archive import Commit
from .blob_cache import BlobCache
from .checkpoint_folder import FOLDER, Notes
from .ports import ArtifactSink, Clock

LOOK_SECONDS: Final = 1.0
"""Between looks at what is committed, and at how large the folders are."""

PATIENCE: Final = 120.0
"""Seconds in contact without any progress after which a last checkpoint is given up."""

_SLACK: Final = 16 << 20  # bytes beyond the copies: folders and blocks take room too
_FIRST_RETRY: Final = 0.5
_RETRY_CEILING: Final = 5.0
_RETRY_WHILE_RUNNING: Final = 10.0
_SENDING: Final = 2


@dataclass(eq=False)
class _Unit:
    """One unit's folder. key: of the commit that was taken last; next_at: no sooner is the next
    taken (monotonic seconds); task: what is being done for it now; last_words: it is the last.
    """

    name: str
    notes: Notes
    key: tuple[int, int] | None = None
    next_at: float = 0.0
    excess: str = ""
    trouble: str = ""
    task: asyncio.Task[None] | None = None
    last_words: bool = False


@dataclass(eq=False)
class _Progress:
    """Since when nothing has gone on, monotonic seconds. sent: bytes, the most that ever were."""

    clock: Clock
    at: float = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.at = self.clock.monotonic()

    @property
    def idle(self) -> float:
        """Seconds without progress."""
        return self.clock.monotonic() - self.at

    def arrived(self, sent: int) -> None:
        """More bytes than ever before are progress; the same ones again are not."""
        if sent > self.sent:
            self.sent, self.at = sent, self.clock.monotonic()

    @contextlib.contextmanager
    def not_counting(self) -> Iterator[None]:
        """What this takes is nobody's fault: the archive is being made, or others are before it."""
        began = self.clock.monotonic()
        try:
            yield
        finally:
            self.at += self.clock.monotonic() - began


class Checkpoints:
    """`checkpoint_port.Keeping`. root: the staging folder; outbox: a folder of its own on the same
    disk as the cache, emptied here; sink: to the controller; contact: whether it can be reached.
    changed: told the unit of which something new is known.
    """

    def __init__(
        self,
        root: Path,
        outbox: Path,
        cache: BlobCache,
        sink: ArtifactSink,
        clock: Clock,
        *,
        contact: Callable[[], bool],
        changed: Callable[[str], None],
    ) -> None:
        self._root = root
        self._outbox = outbox
        self._cache = cache
        self._sink = sink
        self._clock = clock
        self._contact = contact
        self._changed = changed
        self._units: dict[str, _Unit] = {}
        self._taking = asyncio.Semaphore(1)
        self._sending = asyncio.Semaphore(_SENDING)
        outbox.mkdir(parents=True, exist_ok=True)
        outbox.chmod(0o700)
        for left in outbox.iterdir():
            left.unlink()
        for folder in root.iterdir():  # of an agent before this one
            self.follow(folder.name)

    # For the leases; see `Keeping`

    def follow(self, unit: str) -> None:
        """See `Keeping`."""
        if unit in self._units or parse_unit(unit) is None:
            return
        notes = checkpoint_folder.read(self._root / unit)
        if notes is not None:
            self._units[unit] = _Unit(unit, notes)

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:
        """See `Keeping`."""
        known = self._units.get(unit)
        if known is None or archive.is_empty(self._root / unit / FOLDER):
            return False
        known.last_words = True
        before, known.task = known.task, None
        known.task = asyncio.create_task(self._finish(known, before, done))
        known.task.add_done_callback(lambda task: _or_else(task, unit, done))
        return True

    def forget(self, unit: str) -> None:
        """See `Keeping`."""
        known = self._units.pop(unit, None)
        if known is not None and known.task is not None:
            known.task.cancel()

    def last(self, unit: str) -> Snapshot | None:
        """See `Keeping`."""
        known = self._units.get(unit)
        return known.notes.last if known is not None else None

    def excess(self, unit: str) -> str:
        """See `Keeping`."""
        known = self._units.get(unit)
        return known.excess if known is not None else ""

    def trouble(self, unit: str) -> str:
        """See `Keeping`."""
        known = self._units.get(unit)
        return known.trouble if known is not None else ""

    # By itself

    async def run(self) -> None:
        """Look at the folders for ever."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + LOOK_SECONDS)
            for unit in list(self._units.values()):
                if not unit.last_words:
                    await self._look(unit)

    async def stop(self) -> None:
        """What is under way is broken off; the agent after this one takes it up again."""
        tasks = [unit.task for unit in self._units.values() if unit.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, unit: _Unit) -> None:
        folder = self._root / unit.name / FOLDER
        most = unit.notes.size * COPIES + _SLACK
        if not unit.excess and await asyncio.to_thread(archive.used, folder, most) > most:
            unit.excess = (
                f"its /checkpoint holds more than {COPIES} times {show_bytes(unit.notes.size)}, "
                "which checkpoint.size allows: it was ended"
            )
            self._changed(unit.name)
        busy = unit.task is not None and not unit.task.done()
        if busy or unit.last_words or self._clock.monotonic() < unit.next_at:
            return
        commit = archive.committed(folder)
        if commit is not None and commit.key != unit.key and self._contact():
            unit.next_at = self._clock.monotonic() + unit.notes.interval
            unit.task = asyncio.create_task(self._while_running(unit, commit))
            unit.task.add_done_callback(lambda task: _or_else(task, unit.name, lambda _: None))

    async def _while_running(self, unit: _Unit, commit: Commit) -> None:
        log = logger.bind(lease=unit.name)
        try:
            await self._keep(unit, commit, _Progress(self._clock))
            unit.key = commit.key
        except Permanent as e:
            unit.key = commit.key  # the next one may do
            log.warning("a checkpoint is not kept: {}", e.message)
            self._tell(unit, f"its checkpoint is not kept: {e.message}")
        except Temporary as e:
            soon = min(unit.notes.interval, _RETRY_WHILE_RUNNING)
            unit.next_at = self._clock.monotonic() + soon
            log.info("a checkpoint is not kept yet: {}", e.message)

    async def _finish(
        self, unit: _Unit, before: asyncio.Task[None] | None, done: Callable[[str], None]
    ) -> None:
        if before is not None:
            before.cancel()  # what is sent of the same content goes on where it was
            with contextlib.suppress(asyncio.CancelledError):
                await before
        progress, pause = _Progress(self._clock), _FIRST_RETRY
        message = ""
        while True:
            try:
                commit = archive.committed(self._root / unit.name / FOLDER)
                await self._keep(unit, commit, progress)
            except Permanent as e:
                message = e.message
            except Temporary as e:
                if progress.idle < PATIENCE:
                    away = (
                        progress.not_counting() if not self._contact() else contextlib.nullcontext()
                    )
                    with away:
                        await self._clock.sleep_until(self._clock.monotonic() + pause)
                    pause = min(2 * pause, _RETRY_CEILING)
                    continue
                message = f"{e.message} (given up after {PATIENCE:.0f} s)"
            break
        if message:
            message = f"{NOT_KEPT}: {message}"
            logger.bind(lease=unit.name).warning(message)
        done(message)

    async def _keep(self, unit: _Unit, commit: Commit | None, progress: _Progress) -> None:
        """Take what is committed, or all, and see it safe. Permanent, Temporary."""
        folder, entry = self._root / unit.name, commit.entry if commit is not None else None
        file = self._outbox / unit.name
        try:
            with progress.not_counting():
                async with self._taking:
                    taken = await asyncio.to_thread(
                        archive.take, folder / FOLDER, file, limit=unit.notes.size, entry=entry
                    )
            known = (unit.notes.base, unit.notes.last.digest if unit.notes.last else "")
            if taken is None or taken.digest in known:
                return
            with progress.not_counting():
                await self._sending.acquire()
            try:
                await self._sink.send(unit.name, taken.digest, file, progress.arrived)
            finally:
                self._sending.release()
            kept = Snapshot(
                digest=taken.digest,
                size=taken.size,
                files=taken.files,
                attempt=unit.notes.attempt,
                taken_at=self._clock.wall(),
            )
            await asyncio.to_thread(self._note, unit, kept, file)
        except OSError as e:
            raise Temporary(
                f"it cannot be kept here: {e.strerror}: {e.filename}", reason="StagingFailed"
            ) from e
        finally:
            file.unlink(missing_ok=True)
        logger.bind(lease=unit.name).info(
            "checkpoint is kept: {} files, {}", kept.files, show_bytes(kept.size)
        )
        if taken.left_out:
            logger.bind(lease=unit.name).warning(
                "{} links that lead out, sockets or pipes are not in it", taken.left_out
            )
        unit.trouble = ""
        self._changed(unit.name)

    def _note(self, unit: _Unit, kept: Snapshot, file: Path) -> None:
        """On disk before anyone is told, so that a restarted agent does not send it again."""
        notes = unit.notes.model_copy(update={"last": kept})
        checkpoint_folder.write(self._root / unit.name, notes)
        unit.notes = notes
        self._cache.adopt(kept.digest, file)  # the next attempt may well run here

    def _tell(self, unit: _Unit, trouble: str) -> None:
        unit.trouble = trouble
        self._changed(unit.name)


def _or_else(task: asyncio.Task[None], unit: str, done: Callable[[str], None]) -> None:
    """A bug of ours must not hold a lease for ever."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.bind(lease=unit).opt(exception=error).error("keeping a checkpoint broke")
        done(f"{NOT_KEPT}: {type(error).__name__}: {error}")
