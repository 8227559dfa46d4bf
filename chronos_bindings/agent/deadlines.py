"""The ends of leases, kept on disk, so that a restarted agent enforces them before anyone told it.

File I/O, small; called by `keeper`. Within one boot the monotonic clock is shared with the agent
before, so its deadline is exact; after a reboot the wall clock has to do (nothing runs then).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loguru import logger
from pydantic import Field, ValidationError

from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.meta import Model
from .lease_record import Record
from .ports import Clock

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class _Kept(Model):
    """deadline: monotonic seconds of `boot`; the other times POSIX seconds."""

    deadline: float
    expires_at: float
    held_at: float
    duration: float
    is_code: bool


class _File(Model):
    boot: str = ""
    leases: dict[str, _Kept] = Field(default_factory=dict)


class Deadlines:
    """path: the file, replaced whole at every change. boot: identity of this boot."""

    def __init__(self, path: Path, clock: Clock, *, boot: str | None = None) -> None:
        self._path = path
        self._clock = clock
        self._boot = boot if boot is not None else _boot_id()
        self._written = _File(boot=self._boot)

    def load(self) -> list[Record]:
        """What the agent before knew; [] where there is nothing, or nothing legible."""
        try:
            file = _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as e:
            # The controller tells the ends again; until then only the file could have.
            logger.error("{} cannot be read, leases wait for the controller: {}", self._path, e)
            return []
        self._written = file
        mono, wall = self._clock.monotonic(), self._clock.wall()
        return [
            Record(
                name=name,
                deadline=kept.deadline
                if file.boot == self._boot
                else mono + kept.expires_at - wall,
                expires_at=kept.expires_at,
                held_at=kept.held_at,
                duration=kept.duration,
                is_code=kept.is_code,
            )
            for name, kept in file.leases.items()
            if parse_unit(name)
        ]

    def save(self, records: list[Record]) -> None:
        """Keep the ends of those that have one. A disk that fails is logged: the agent alone knows
        the ends then, and goes on.
        """
        leases = {
            r.name: _Kept(
                deadline=r.deadline,
                expires_at=r.expires_at,
                held_at=r.held_at,
                duration=r.duration,
                is_code=r.is_code,
            )
            for r in records
            if r.deadline is not None
        }
        file = _File(boot=self._boot, leases=leases)
        if file == self._written:
            return
        aside = self._path.with_suffix(".new")
        try:
            aside.write_text(file.model_dump_json())
            aside.replace(self._path)
        except OSError as e:
            logger.error("{} cannot be written: {}", self._path, e.strerror)
            return
        self._written = file


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
