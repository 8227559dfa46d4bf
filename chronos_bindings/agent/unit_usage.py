"""What each running unit uses, on either platform. I/O: files of the kernel, else the engine.

Called by `usage` every few seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from ...crd_like_specs.errors import DriverError
from . import cgroups
from .engine import Engine
from .unit_files import Leader


@dataclass(frozen=True, slots=True)
class UnitUse:
    """As `frames.UnitUsage`, without what it holds of devices. pids: its processes."""

    unit: str
    cpu_seconds: float
    memory: int
    memory_peak: int = 0
    pids: tuple[int, ...] = ()


class UnitUses(Protocol):
    """Where units run."""

    async def read(self) -> list[UnitUse]:
        """Of every unit that runs; one that ends meanwhile is left out."""


class DockerUses:
    """containers: unit → ids of containers that have not ended, as last seen. root: of cgroups."""

    def __init__(
        self,
        engine: Engine,
        containers: Callable[[], Mapping[str, Collection[str]]],
        root: Path = Path("/sys/fs/cgroup"),
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._root = root

    async def read(self) -> list[UnitUse]:
        """See `UnitUses`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[UnitUse]:
        found = []
        for unit, ids in self._containers().items():
            uses = [(self._use(id_), cgroups.processes(id_, self._root)) for id_ in ids]
            told = [(use, pids) for use, pids in uses if use is not None]
            if told:
                found.append(
                    UnitUse(
                        unit,
                        sum(use.cpu_seconds for use, _ in told),
                        sum(use.memory for use, _ in told),
                        sum(use.memory_peak for use, _ in told),
                        tuple(pid for _, pids in told for pid in pids),
                    )
                )
        return found

    def _use(self, container: str) -> cgroups.Use | None:
        return cgroups.use(container, self._root) or self._ask(container)

    def _ask(self, container: str) -> cgroups.Use | None:
        """The engine's word, where its groups are not in sight: an engine of another machine, or an
        agent that is in a container itself.
        """
        try:
            return of_engine(
                self._engine.call_here(
                    lambda client: client.api.stats(container, stream=False, one_shot=True)
                )
            )
        except DriverError:
            return None  # it has ended, or the engine is busy: the next look tells


def of_engine(stats: Mapping[str, Any]) -> cgroups.Use | None:
    """The engine's figures for one container; None for one that does not run."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return cgroups.Use(
        stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        max(0, int(memory["usage"]) - int(cache)),
        int(memory.get("max_usage", 0)),
    )


class ProcessUses:
    """leaders: unit → leader of its process group, of every unit that may run."""

    def __init__(self, leaders: Callable[[], Mapping[str, Leader]]) -> None:
        self._leaders = leaders

    async def read(self) -> list[UnitUse]:
        """See `UnitUses`. Time of processes that ended counts with the ones that waited for them."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[UnitUse]:
        leaders = {leader.pid: unit for unit, leader in self._leaders().items()}
        if not leaders:
            return []
        sums: dict[str, UnitUse] = {}
        for process in psutil.process_iter():
            unit = leaders.get(_group(process.pid))
            if unit is None:
                continue
            try:
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info().rss
            except psutil.Error:
                continue  # it has ended
            seconds = times.user + times.system + times.children_user + times.children_system
            sums[unit] = _plus(sums.get(unit), unit, seconds, memory, process.pid)
        return list(sums.values())


def _plus(before: UnitUse | None, unit: str, seconds: float, memory: int, pid: int) -> UnitUse:
    if before is None:
        return UnitUse(unit, seconds, memory, 0, (pid,))
    return UnitUse(
        unit, before.cpu_seconds + seconds, before.memory + memory, 0, (*before.pids, pid)
    )


def _group(pid: int) -> int:
    """Number of its process group, 0 once it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
