"""The units of this machine where the process platform runs them. I/O. Called by the agent's core.

It reads the unit folders that the platform writes (see `unit_files`) and signals the jobs' leaders
or process groups.
Folders are looked at again every few milliseconds while something runs: the files are small and
in the page cache, and no service has to be installed for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import NotFoundError, Temporary
from ...crd_like_specs.identity import parse_unit
from .ports import RawFrame, UnitSeen
from .unit_files import (
    LOG,
    Exit,
    Leader,
    boot_time,
    group,
    is_owned,
    parse_log,
    process_stat,
    read_exit,
    read_leader,
    read_supervisor,
)

_BUSY: Final = 0.02  # seconds between looks while something runs
_IDLE: Final = 0.1
_DRAIN: Final = 5.0  # seconds after the processes are gone, where nobody writes the end down
_CHUNK: Final = 1 << 20  # bytes of log read at once
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Unit:
    seen: UnitSeen
    leader: Leader | None
    exit: Exit | None

    @property
    def orphaned(self) -> bool:
        """Its processes are gone and their end was not written down (yet): what ran them is
        still draining the output, or died.
        """
        return self.exit is None and self.leader is not None and not self.seen.running


class ProcessRuntime:
    """LocalRuntime over the unit folders below `units_root`; see `ports`.

    pause(seconds): waits between two looks.
    """

    def __init__(
        self, units_root: Path, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._root = units_root
        self._pause = pause
        self._boot = boot_time()
        self._known: set[str] = set()

    async def list_units(self) -> list[UnitSeen]:
        """See `LocalRuntime`."""
        return [unit.seen for unit in self._units().values()]

    async def signal(self, unit: str, signum: int) -> None:
        """See `LocalRuntime`. Only the leader gets it, as in a container: it is the runner, which
        passes it on, and the job's own handler would run twice. Where it is gone, what is left of
        its group gets it.
        """
        leader = self._leader(unit)
        if leader is not None and _leads(leader):
            _send(os.kill, leader, signum)
        else:
            self._send_group(leader, signum)

    async def kill(self, unit: str) -> None:
        """See `LocalRuntime`."""
        self._send_group(self._leader(unit), signal.SIGKILL)

    async def ensure_gone(self, unit: str) -> bool:
        """See `LocalRuntime`. A process that left the group by setsid is not seen: the process
        platform does not isolate.
        """
        leader = self._leader(unit)
        return leader is None or not group(leader)

    async def tidy(self, kept: Collection[str]) -> None:
        """See `LocalRuntime`: a unit's folder is all there is, and the platform removes it."""

    async def logs(self, unit: str) -> AsyncIterator[RawFrame]:
        """See `LocalRuntime`."""
        position = 0
        patience = int(_DRAIN / _BUSY)
        while True:
            found = self._unit(unit)  # before reading: what is written before the end is read
            if found is None:
                if unit in self._known and not (self._root / unit).exists():
                    raise NotFoundError(f"the folder of {unit} was removed")
                raise Temporary(f"{unit} cannot be read here (yet)", reason="NotStarted")
            frames, size = self._read(unit, position)
            position += size
            for frame in frames:
                yield frame
            if size:
                continue
            patience -= found.orphaned and not self._supervised(unit)
            if found.exit is not None or patience == 0:
                return
            await self._pause(_BUSY)

    async def changes(self) -> AsyncIterator[str]:
        """See `LocalRuntime`."""
        before: dict[str, _Unit] = {}
        while True:
            now = self._units(before)
            for name in before.keys() | now.keys():
                if before.get(name) != now.get(name):
                    yield name
            before = now
            busy = any(unit.exit is None and not unit.orphaned for unit in now.values())
            await self._pause(_BUSY if busy else _IDLE)

    def leaders(self) -> dict[str, Leader]:
        """Unit → leader of its process group, of every unit that runs."""
        units = self._units().items()
        return {name: u.leader for name, u in units if u.seen.running and u.leader is not None}

    async def close(self) -> None:
        """See `LocalRuntime`; nothing is kept open."""

    def _units(self, before: dict[str, _Unit] | None = None) -> dict[str, _Unit]:
        """Every unit by name. before: what was seen last, so that ended ones cost nothing."""
        try:
            names = sorted(folder.name for folder in self._root.iterdir())
        except FileNotFoundError:
            return {}  # the platform has not started anything here yet
        seen = ((name, self._unit(name, (before or {}).get(name))) for name in names)
        return {name: unit for name, unit in seen if unit is not None}

    def _unit(self, name: str, before: _Unit | None = None) -> _Unit | None:
        if before is not None and before.exit is not None:
            return before
        folder = self._root / name
        if parse_unit(name) is None or not is_owned(folder):
            return None
        self._known.add(name)
        ended = read_exit(folder)
        leader = read_leader(folder)
        dead = ended is not None or leader is None or (before is not None and before.orphaned)
        seen = UnitSeen(
            name=name,
            running=not dead and leader is not None and _alive(leader),
            exit_code=None if ended is None else ended.code,
            started_at=0.0 if leader is None else self._boot + leader.start / _TICKS,
            finished_at=0.0 if ended is None else ended.finished_at,
            is_code=True,  # the process platform refuses image jobs
        )
        return _Unit(seen, leader, ended)

    def _leader(self, name: str) -> Leader | None:
        if parse_unit(name) is None or not is_owned(self._root / name):
            return None
        return read_leader(self._root / name)

    def _send_group(self, leader: Leader | None, signum: int) -> None:
        if leader is not None and group(leader):
            _send(os.killpg, leader, signum)

    def _supervised(self, name: str) -> bool:
        """Whether what ran it is there to write its end down, however slow the machine is."""
        supervisor = read_supervisor(self._root / name)
        return supervisor is not None and _leads(supervisor)

    def _read(self, unit: str, position: int) -> tuple[list[RawFrame], int]:
        try:
            with (self._root / unit / LOG).open("rb") as file:
                file.seek(position)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return [], 0  # nothing was written yet
        return parse_log(data)


def _alive(leader: Leader) -> bool:
    return _leads(leader) or bool(group(leader))  # its children may still be there without it


def _leads(leader: Leader) -> bool:
    stat = process_stat(leader.pid)
    return stat is not None and stat.start == leader.start and stat.state not in "ZX"


def _send(send: Callable[[int, int], None], leader: Leader, signum: int) -> None:
    try:
        send(leader.pid, signum)
    except ProcessLookupError:
        return  # it ended since it was looked at
