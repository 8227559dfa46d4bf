"""What the kernel knows of a container: its processes, and what it uses. I/O (/sys/fs/cgroup).

Called by `runtime_docker` before it says that a container is gone, and by `unit_usage`. Knows both
layouts of the engine (cgroupfs and systemd driver) under v1 and v2.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Use:
    """cpu_seconds: since it started. memory: bytes now, without the page cache that can be dropped,
    as the engine tells it; memory_peak: bytes, the cache included, 0 where the kernel keeps none.
    """

    cpu_seconds: float
    memory: int
    memory_peak: int


def processes(container: str, root: Path = _ROOT) -> list[int]:
    """Pids in the control groups of this container (its full id); empty once it is gone."""
    found: set[int] = set()
    # v2 has one tree; v1 has one a controller, and any one of them tells: pids is always there.
    for tree in (root, root / "pids", root / "systemd"):
        for folder in _folders(container, tree):
            try:
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
            except OSError:
                continue  # no such group: it has ended, or this layout is not the one in use
    return sorted(found)


def use(container: str, root: Path = _ROOT) -> Use | None:
    """What it uses; None once it is gone, and where its groups are not in sight."""
    for folder in _folders(container, root):
        cpu, memory = _fields(folder / "cpu.stat"), _number(folder / "memory.current")
        if memory is not None and "usage_usec" in cpu:
            cache = _fields(folder / "memory.stat").get("inactive_file", 0)
            peak = _number(folder / "memory.peak") or 0
            return Use(cpu["usage_usec"] / 1e6, max(0, memory - cache), peak)
    for cpu_folder, folder in zip(
        _folders(container, root / "cpuacct"), _folders(container, root / "memory"), strict=True
    ):
        nanoseconds = _number(cpu_folder / "cpuacct.usage")
        memory = _number(folder / "memory.usage_in_bytes")
        if memory is not None and nanoseconds is not None:
            cache = _fields(folder / "memory.stat").get("total_inactive_file", 0)
            peak = _number(folder / "memory.max_usage_in_bytes") or 0
            return Use(nanoseconds / 1e9, max(0, memory - cache), peak)
    return None


def kill_all(containers: Iterable[str], root: Path = _ROOT) -> int:
    """SIGKILL to every process in the control groups of these containers; how many got it."""
    killed = 0
    for pid in {pid for container in containers for pid in processes(container, root)}:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
        killed += 1
    return killed


def _folders(container: str, tree: Path) -> Iterator[Path]:
    yield tree / "docker" / container
    yield tree / "system.slice" / f"docker-{container}.scope"


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _fields(file: Path) -> dict[str, int]:
    """Lines of `name number`; empty where there is no such file."""
    try:
        pairs = (line.split() for line in file.read_text().splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
    except OSError:
        return {}
