"""What the agent keeps beside a unit's /results folder: its limit, and what was kept. File I/O.

<staging>/<unit>/outputs/        what the job finds at /results
<staging>/<unit>/outputs.json    written here, so that a restarted agent goes on with it
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...crd_like_specs.lease import LeaseSpec
from ...crd_like_specs.meta import Model
from ...crd_like_specs.outputs import KeptOutputs
from . import notes_file

FOLDER: Final = "outputs"
_NOTES: Final = "outputs.json"


class Notes(Model):
    """size: as in `LeaseSpec.outputs_size`; attempt: number of it; last: what was kept of it, None
    for nothing yet.
    """

    size: int
    attempt: int
    last: KeptOutputs | None = None


def make(unit: Path, spec: LeaseSpec, owner: int | None) -> None:
    """Make the folder in the unit's, which nobody else sees yet. owner: user that jobs run as
    where they do not say another, None: the agent's own. OSError.
    """
    folder = unit / FOLDER
    folder.mkdir(mode=0o700)
    if owner is not None:
        folder.chmod(0o777)  # whoever an image runs as; the folder's path can't be guessed
    write(unit, Notes(size=spec.outputs_size, attempt=spec.attempt))


def read(unit: Path) -> Notes | None:
    """None for a unit that has no such folder, or whose notes cannot be read."""
    return notes_file.read(unit / _NOTES, Notes)


def write(unit: Path, notes: Notes) -> None:
    """Whole at once. OSError."""
    notes_file.write(unit / _NOTES, notes)
