"""Checkpoints: what of a job's /checkpoint folder is kept, and the words both sides agree on. Pure.

A job writes into /checkpoint and commits by naming one entry of it in the file `COMMITTED`, which
it replaces atomically. What is committed is what is kept while the job runs; at its end, the same,
or the whole folder where nothing was ever committed.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from .identity import DIGEST_PATTERN
from .meta import Model
from .units import Bytes, Seconds

CHECKPOINT_DIR: Final = "/checkpoint"
"""Where a container finds it."""

ENV_CHECKPOINT_DIR: Final = "CUMULUS_CHECKPOINT_DIR"
ENV_CHECKPOINT_SIZE: Final = "CUMULUS_CHECKPOINT_SIZE"

MARKER: Final = "COMMITTED"
"""File in the folder with the name of the entry that is complete."""

PAUSABLE: Final = ".pausable"
"""File in the folder that says: this job asks whether it is to pause, give it time for that."""

MOST_FILES: Final = 10_000
"""Files, folders and links of one checkpoint."""

COPIES: Final = 3
"""The folder may hold so many times the size: the last two states and the one being written."""

HISTORY: Final = 2
"""Newest checkpoints that are kept of a job."""

TOO_LARGE: Final = "CheckpointTooLarge"
"""Why an attempt was ended whose folder held more than it may."""


NOT_KEPT: Final = "its last checkpoint could not be kept"
"""Begins the message of a lease whose attempt left what could not be brought to safety."""

CHECKPOINT_LOST: Final = "CheckpointLost"
"""Condition of a job whose next attempt begins with an older checkpoint, or with none."""


class Checkpoint(Model):
    """What is kept of /checkpoint. size: bytes that one checkpoint may have, 0: there is no
    /checkpoint; interval: seconds between two looks for a newly committed one while the job runs;
    grace: seconds that a job which asks whether to pause is given for it, before SIGTERM.
    """

    size: Bytes = Field(default=1 << 30, le=1 << 40)
    interval: Seconds = Field(default=30, ge=1, le=86400)
    grace: Seconds = Field(default=30, le=3600)


class Snapshot(Model):
    """One checkpoint that is kept. digest: `sha256:<hex>` of its archive; size: bytes of its files;
    files: how many; attempt: whose it is; taken_at: POSIX seconds on the worker's clock.
    """

    digest: Annotated[str, Field(pattern=DIGEST_PATTERN)]
    size: int = Field(default=0, ge=0)
    files: int = Field(default=0, ge=0)
    attempt: int = Field(default=1, ge=1)
    taken_at: float = 0.0


def archive_limit(size: int) -> int:
    """Bytes that the archive of a checkpoint of this size may have: names and padding included."""
    return size + MOST_FILES * 4096 + (1 << 20)
