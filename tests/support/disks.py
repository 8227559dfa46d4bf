"""Disks of machines that tests make, and whose each is: a run that is killed leaves them mounted."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

OWNER = "disk.owner"  # beside a mounted disk: whose it is


@contextlib.contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: as on a disk that is full, the last
    write takes a part, and the next one fails.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def owner(pid: int) -> str:
    """The process and when it started: a number alone is given away again."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"cumulus-tests {pid} {started}"


def mount_disk(disk: Path, place: Path) -> None:
    """A loop mount of this process; `sweep_disks` removes it once that is gone."""
    (place.parent / OWNER).write_text(owner(os.getpid()))
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)


def sweep_disks() -> None:
    """Unmount what test runs left that are gone: their folders could not be removed."""
    for line in Path("/proc/mounts").read_text().splitlines():
        place = Path(line.split()[1])
        with contextlib.suppress(OSError):
            if is_gone((place.parent / OWNER).read_text()):
                subprocess.run(["umount", "--lazy", place], check=False)


def is_gone(text: str) -> bool:
    found = re.fullmatch(r"cumulus-tests (\d+) \d+", text.strip())
    return found is not None and text.strip() != owner(int(found[1]))
