"""Brings what jobs left in /results to the controller, once nothing of them runs any more. I/O.

The other half of `kept.Kept`. While a job runs its folder is only looked at, since a disk may be
filled by it; what is in it may be half written. However the attempt ended, what can be kept is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from ...api.outputs import ArtifactKind
from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.outputs import COPIES, MOST_FILES, NOT_KEPT, KeptOutputs
from ...crd_like_specs.units import show_bytes
from . import archive, outputs_folder
from .archive_outputs import Outputs as Taken
from .archive_outputs import take_outputs
from .outputs_folder import FOLDER, Notes
from .saving import Progress, Saver, or_else, stopped

_SLACK: Final = 16 << 20  # bytes beyond the copies: folders and blocks take room too


@dataclass(eq=False)
class _Unit:
    """One unit's folder. excess: why it is too large; task: keeps what is in it, once it is over."""

    name: str
    notes: Notes
    excess: str = ""
    task: asyncio.Task[None] | None = None


class Outputs:
    """root: the staging folder; changed: told the unit of which something new is known."""

    def __init__(self, root: Path, saver: Saver, *, changed: Callable[[str], None]) -> None:
        self._root = root
        self._saver = saver
        self._changed = changed
        self._units: dict[str, _Unit] = {}
        for folder in root.iterdir():  # of an agent before this one
            self.follow(folder.name)

    # For the leases; see `Keeping`

    def follow(self, unit: str) -> None:
        """See `Keeping`."""
        if unit in self._units or parse_unit(unit) is None:
            return
        notes = outputs_folder.read(self._root / unit)
        if notes is not None:
            self._units[unit] = _Unit(unit, notes)

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:
        """See `Keeping`. What was not kept is told by `last`."""
        known = self._units.get(unit)
        if known is None or archive.is_empty(self._root / unit / FOLDER, keep_all=True):
            return False
        known.task = asyncio.create_task(self._finish(known, done))
        known.task.add_done_callback(
            lambda task: or_else(task, unit, lambda why: done(f"{NOT_KEPT}: {why}"))
        )
        return True

    def forget(self, unit: str) -> None:
        """See `Keeping`."""
        known = self._units.pop(unit, None)
        if known is not None and known.task is not None:
            known.task.cancel()

    def last(self, unit: str) -> KeptOutputs | None:
        """What was kept of it."""
        known = self._units.get(unit)
        return known.notes.last if known is not None else None

    def excess(self, unit: str) -> str:
        """See `Keeping`."""
        known = self._units.get(unit)
        return known.excess if known is not None else ""

    # By itself

    async def look(self) -> None:
        """See how large the folders of those that run are."""
        for unit in list(self._units.values()):
            if unit.task is None and not unit.excess:
                await self._look(unit)

    async def stop(self) -> None:
        """What is under way is broken off; the agent after this one takes it up again."""
        await stopped([unit.task for unit in self._units.values() if unit.task is not None])

    async def _look(self, unit: _Unit) -> None:
        most = unit.notes.size * COPIES + _SLACK
        entries = MOST_FILES * COPIES
        folder = self._root / unit.name / FOLDER
        if await asyncio.to_thread(archive.used, folder, most, entries) > most:
            unit.excess = (
                f"its /results holds more than {COPIES} times the {show_bytes(unit.notes.size)} "
                f"that outputs.size allows, or than {entries} entries: it was ended"
            )
            self._changed(unit.name)

    async def _finish(self, unit: _Unit, done: Callable[[str], None]) -> None:
        async def keep(progress: Progress) -> None:
            await self._keep(unit, progress)

        message = await self._saver.insist(keep)
        if message:
            self._note(unit, None, f"{NOT_KEPT}: {message}")
            logger.bind(lease=unit.name).warning("{}: {}", NOT_KEPT, message)
        done("")

    async def _keep(self, unit: _Unit, progress: Progress) -> None:
        """Take all that can be kept, and see it safe. Permanent, Temporary."""
        last = unit.notes.last
        taken = await self._saver.save(
            unit.name,
            ArtifactKind.OUTPUTS,
            lambda file: self._take(unit, file),
            lambda taken, _: self._note(unit, taken, taken.message),
            known=(last.digest,) if last is not None and last.digest else (),
            progress=progress,
        )
        if taken is None:
            return
        logger.bind(lease=unit.name).info(
            "outputs are kept: {} files, {}", taken.files, show_bytes(taken.size)
        )
        if taken.message:
            logger.bind(lease=unit.name).warning("{}", taken.message)
        self._changed(unit.name)

    def _take(self, unit: _Unit, file: Path) -> Taken | None:
        taken = take_outputs(self._root / unit.name / FOLDER, file, limit=unit.notes.size)
        if taken is not None and not taken.files:
            raise Permanent(taken.message.removeprefix(f"{NOT_KEPT}: "), reason="OutputsNotKept")
        return taken

    def _note(self, unit: _Unit, taken: Taken | None, message: str) -> None:
        """On disk before anyone is told, so that a restarted agent does not send it again."""
        kept = KeptOutputs(
            digest=taken.digest if taken is not None else "",
            size=taken.size if taken is not None else 0,
            files=taken.files if taken is not None else 0,
            attempt=unit.notes.attempt,
            taken_at=self._saver.clock.wall(),
            message=message,
        )
        notes = unit.notes.model_copy(update={"last": kept})
        outputs_folder.write(self._root / unit.name, notes)
        unit.notes = notes
