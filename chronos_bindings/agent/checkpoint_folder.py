"""What the agent keeps beside a unit's /checkpoint folder: its rules, and what was last kept. File I/O.

<staging>/<unit>/checkpoint/        what the job finds at /checkpoint
<staging>/<unit>/checkpoint.json    written here, so that a restarted agent goes on with it
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from ...crd_like_specs.checkpoint import PAUSABLE, Snapshot
from ...crd_like_specs.lease import LeaseSpec
from ...crd_like_specs.meta import Model
from . import notes_file
from .archive_layout import lay_out

FOLDER: Final = "checkpoint"
_NOTES: Final = "checkpoint.json"


class Notes(Model):
    """size, interval: as in `LeaseSpec`; attempt: number of it; base: digest of what the folder
    began with; last: what was kept of it, None for nothing yet.
    """

    size: int
    interval: int
    attempt: int
    base: str = ""
    last: Snapshot | None = None


def make(unit: Path, spec: LeaseSpec, archive: Path | None, owner: int | None) -> None:
    """Make the folder in the unit's, which nobody else sees yet, with what the archive holds.

    owner: user that the job runs as, None: the agent's own. Permanent("CheckpointUnsafe"), OSError.
    """
    folder = unit / FOLDER
    folder.mkdir(mode=0o700)
    if archive is not None:
        gives = owner if os.geteuid() == 0 else None
        lay_out(archive, folder, limit=spec.checkpoint_size, owner=gives)
    give(folder, owner)
    write(
        unit,
        Notes(
            size=spec.checkpoint_size,
            interval=spec.checkpoint_interval,
            attempt=spec.attempt,
            base=spec.checkpoint,
        ),
    )


def give(folder: Path, owner: int | None) -> None:
    """Let the job write into the folder. owner: user that it runs as, None: the agent's own."""
    if owner is not None and os.geteuid() == 0:
        os.chown(folder, owner, owner)
    elif owner not in (None, os.geteuid()):
        folder.chmod(0o777)  # an agent that is not root; the folder's path can't be guessed


def read(unit: Path) -> Notes | None:
    """None for a unit that has no such folder, or whose notes cannot be read."""
    return notes_file.read(unit / _NOTES, Notes)


def write(unit: Path, notes: Notes) -> None:
    """Whole at once. OSError."""
    notes_file.write(unit / _NOTES, notes)


def is_pausable(unit: Path) -> bool:
    """Whether its job said that it asks whether to pause."""
    return os.path.lexists(unit / FOLDER / PAUSABLE)


def remove(folder: Path) -> None:
    """Delete a unit's folder, whatever modes its job gave to what is in it. OSError."""
    try:
        shutil.rmtree(folder)
    except PermissionError:  # not root: the job's own user may have closed its folders to itself
        for path, inner, _ in os.walk(folder):
            for name in inner:
                if not (Path(path) / name).is_symlink():
                    (Path(path) / name).chmod(0o700)
        shutil.rmtree(folder)
