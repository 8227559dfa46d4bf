"""Which processes the kernel still has in a container. I/O (reads /sys/fs/cgroup).

Called by `runtime_docker` before it says that a container is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")


def processes(container: str, root: Path = _ROOT) -> list[int]:
    """Pids in the control groups of this container (its full id); empty once it is gone.

    Knows both layouts of the engine (cgroupfs and systemd driver) under v1 and v2.
    """
    found: set[int] = set()
    for folder in _folders(container, root):
        try:
            found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue  # no such group: it has ended, or this layout is not the one in use
    return sorted(found)


def _folders(container: str, root: Path) -> Iterator[Path]:
    # v2 has one tree; v1 has one a controller, and any one of them tells: pids is always there.
    for tree in (root, root / "pids", root / "systemd"):
        yield tree / "docker" / container
        yield tree / "system.slice" / f"docker-{container}.scope"
