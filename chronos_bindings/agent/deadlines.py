"""The ends of leases, kept on disk, so that a restarted agent enforces them before anyone told it.

File I/O, small; called by `keeper`. Within one boot the monotonic clock is shared with the agent
before, so its deadline is exact. After a reboot nothing of what is written here runs any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from loguru import logger
from pydantic import Field, ValidationError

from ...crd_like_specs.errors import Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.meta import Model
from . import lease_after as after
from .lease_record import Record
from .ports import Clock

DEADLINES: Final = "deadlines.json"
"""Name of the file in an agent's folder."""

_COARSE: Final = 1.0
"""Seconds of contact that are not worth a write of their own."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class _Kept(Model):
    """deadline: monotonic seconds of `boot`; durations in seconds, other times POSIX seconds."""

    deadline: float
    expires_at: float
    held_at: float
    duration: float
    is_code: bool
    stop_after: float = 0.0
    ended_at: float = 0.0


class _File(Model):
    """contact: monotonic seconds of `boot`, when the controller last heard of this agent."""

    boot: str = ""
    contact: float = 0.0
    leases: dict[str, _Kept] = Field(default_factory=dict)


class Deadlines:
    """path: the file, replaced whole at every change. boot: identity of this boot."""

    def __init__(self, path: Path, clock: Clock, *, boot: str | None = None) -> None:
        self._path = path
        self._clock = clock
        self._boot = boot if boot is not None else _boot_id()
        self._written = _File(boot=self._boot)

    @property
    def boot(self) -> str:
        """Identity of this boot, "" where it is not known."""
        return self._boot

    @property
    def contact(self) -> float | None:
        """When the controller heard of this machine's agent, as the file says; None: of this boot
        it says nothing. Call `load` before.
        """
        return self._written.contact or None if self._written.boot == self._boot else None

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
        former = bool(file.boot and self._boot) and file.boot != self._boot
        records = []
        for name, kept in file.leases.items():
            if parse_unit(name) is None:
                continue
            exact = file.boot == self._boot
            record = Record(
                name=name,
                deadline=kept.deadline if exact else mono + kept.expires_at - wall,
                expires_at=kept.expires_at,
                held_at=kept.held_at,
                duration=kept.duration,
                is_code=kept.is_code,
                stop_after=kept.stop_after,
                ended_at=kept.ended_at,
            )
            records.append(after.former(record, mono) if former else record)
        return records

    def save(self, records: Iterable[Record], contact: float) -> None:
        """Keep the ends of those that have one, and the last contact (monotonic seconds).

        `Temporary` where the disk fails: the agent alone knows the newest ends then.
        """
        leases = {
            r.name: _Kept(
                deadline=r.deadline,
                expires_at=r.expires_at,
                held_at=r.held_at,
                duration=r.duration,
                is_code=r.is_code,
                stop_after=r.stop_after,
                ended_at=r.ended_at,
            )
            for r in records
            if r.deadline is not None
        }
        known = self._written
        if (known.boot, known.leases) == (self._boot, leases) and contact - known.contact < _COARSE:
            return
        file = _File(boot=self._boot, contact=contact, leases=leases)
        aside = self._path.with_suffix(".new")
        try:
            aside.write_text(file.model_dump_json())
            aside.replace(self._path)
        except OSError as e:
            raise Temporary(
                f"{self._path} cannot be written: {e.strerror}", reason="DiskFailed"
            ) from e
        self._written = file


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
