"""Brings what jobs keep in /checkpoint to the controller: while they run, and at their end. I/O.

One half of `kept.Kept`, which `lease_task` and `keeper` ask. While a job runs, only what it has
committed is taken, at its interval: a worker that dies loses that much. When nothing of it runs any
more, the newest state is taken, for which its lease waits in state Saving; its share is given back
by then, so that nobody else does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from ...api.outputs import ArtifactKind
from ...crd_like_specs.checkpoint import COPIES, NOT_KEPT, Snapshot
from ...crd_like_specs.errors import Permanent, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.units import show_bytes
from . import archive, checkpoint_folder
from .archive import Commit, Taken
from .blob_cache import BlobCache
from .checkpoint_folder import FOLDER, Notes
from .saving import Progress, Saver, or_else, stopped

_SLACK: Final = 16 << 20  # bytes beyond the copies: folders and blocks take room too
_RETRY_WHILE_RUNNING: Final = 10.0


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


class Checkpoints:
    """root: the staging folder; cache: where archives of checkpoints are, for attempts to come;
    changed: told the unit of which something new is known.
    """

    def __init__(
        self, root: Path, cache: BlobCache, saver: Saver, *, changed: Callable[[str], None]
    ) -> None:
        self._root = root
        self._cache = cache
        self._saver = saver
        self._clock = saver.clock
        self._changed = changed
        self._units: dict[str, _Unit] = {}
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
        known.task.add_done_callback(
            lambda task: or_else(task, unit, lambda why: done(f"{NOT_KEPT}: {why}"))
        )
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

    async def look(self) -> None:
        """See what is newly committed, and how large the folders are."""
        for unit in list(self._units.values()):
            if not unit.last_words:
                await self._look(unit)

    async def stop(self) -> None:
        """What is under way is broken off; the agent after this one takes it up again."""
        await stopped([unit.task for unit in self._units.values() if unit.task is not None])

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
        if commit is not None and commit.key != unit.key and self._saver.contact():
            unit.next_at = self._clock.monotonic() + unit.notes.interval
            unit.task = asyncio.create_task(self._while_running(unit, commit))
            unit.task.add_done_callback(lambda task: or_else(task, unit.name, lambda _: None))

    async def _while_running(self, unit: _Unit, commit: Commit) -> None:
        log = logger.bind(lease=unit.name)
        try:
            await self._keep(unit, commit)
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

        async def keep(progress: Progress) -> None:
            commit = archive.committed(self._root / unit.name / FOLDER)
            await self._keep(unit, commit, progress)

        message = await self._saver.insist(keep)
        if message:
            message = f"{NOT_KEPT}: {message}"
            logger.bind(lease=unit.name).warning(message)
        done(message)

    async def _keep(
        self, unit: _Unit, commit: Commit | None, progress: Progress | None = None
    ) -> None:
        """Take what is committed, or all, and see it safe. Permanent, Temporary."""
        entry = commit.entry if commit is not None else None
        taken = await self._saver.save(
            unit.name,
            ArtifactKind.CHECKPOINT,
            lambda file: archive.take(
                self._root / unit.name / FOLDER, file, limit=unit.notes.size, entry=entry
            ),
            lambda taken, file: self._note(unit, taken, file),
            known=(unit.notes.base, unit.notes.last.digest if unit.notes.last else ""),
            progress=progress,
        )
        if taken is None:
            return
        logger.bind(lease=unit.name).info(
            "checkpoint is kept: {} files, {}", taken.files, show_bytes(taken.size)
        )
        if taken.left_out:
            logger.bind(lease=unit.name).warning(
                "{} links that lead out, sockets or pipes are not in it", taken.left_out
            )
        unit.trouble = ""
        self._changed(unit.name)

    def _note(self, unit: _Unit, taken: Taken, file: Path) -> None:
        """On disk before anyone is told, so that a restarted agent does not send it again."""
        kept = Snapshot(
            digest=taken.digest,
            size=taken.size,
            files=taken.files,
            attempt=unit.notes.attempt,
            taken_at=self._clock.wall(),
        )
        notes = unit.notes.model_copy(update={"last": kept})
        checkpoint_folder.write(self._root / unit.name, notes)
        unit.notes = notes
        self._cache.adopt(kept.digest, file)  # the next attempt may well run here

    def _tell(self, unit: _Unit, trouble: str) -> None:
        unit.trouble = trouble
        self._changed(unit.name)
