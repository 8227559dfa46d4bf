"""Source: a folder of specs, or a git working copy, that the controller keeps jobs in step with.

Made by the controller from its configuration, one for each entry of `sources`; read only. Pure.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from pydantic import Field

from .meta import API_VERSION, Condition, Model, ObjectMeta
from .units import Seconds

LABEL_SOURCE = "cumulus.dev/source"
"""Label with the source's name on every job that it made."""


class FileState(str, Enum):
    """How what a file says stands to what is."""

    SYNCED = "Synced"  # every job of it is as it says, or has been and is finished
    OUT_OF_SYNC = "OutOfSync"  # something differs; the message says why it is not put right
    INVALID = "Invalid"  # nothing of it is applied; the message says what is wrong on which line
    PRUNED = "Pruned"  # it is gone, and its jobs with it


class SourceFile(Model):
    """One file. path: from the source's folder on; state: how it stands to what is; jobs: their names; message: for people, with
    `line:column` where something is wrong; since: when it came to be so, POSIX seconds.
    """

    path: str
    state: FileState
    jobs: tuple[str, ...] = ()
    message: str = ""
    since: float = 0.0


class SourceSpec(Model):
    """As configured. path: on the controller's machine; type: a plain folder, or a git working
    copy; ref: the commit that is read; interval:
    seconds between looks; pull: seconds between pulls, 0 for none; prune: jobs whose file is gone
    are deleted; allow_empty: even if all of them are; suspend: differences are shown, not put
    right; substitute: names that files may use as `${NAME}`.
    """

    path: str
    type: Literal["folder", "git"] = "folder"
    ref: str = ""
    interval: Seconds = 10
    pull: Seconds = 0
    prune: bool = Field(default=False, strict=True)
    allow_empty: bool = Field(default=False, strict=True)
    suspend: bool = Field(default=False, strict=True)
    substitute: tuple[str, ...] = ()


class SourceStatus(Model):
    """Seen. message: what keeps all of it from being carried through; files: each with its state;
    conditions: named aspects of its state; commit: SHA of what was read last, "" for plain folders; last_sync: when a look was
    last carried through; synced, out_of_sync, invalid, pruned: files in that state; jobs: how many
    the folder keeps. Times are POSIX seconds.
    """

    commit: str = ""
    last_sync: float = 0.0
    jobs: int = 0
    synced: int = 0
    out_of_sync: int = 0
    invalid: int = 0
    pruned: int = 0
    message: str = ""
    files: tuple[SourceFile, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, or None."""
        return next((c for c in self.conditions if c.type == kind), None)


class Source(Model):
    """See the module docstring. `metadata.owner` is whom the jobs it makes belong to.

    api_version: `cumulus.dev/v1`; kind: `Source`; metadata: what it is called, and bookkeeping;
    spec: as it is configured; status: how far it is carried through.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Source"] = "Source"
    metadata: ObjectMeta
    spec: SourceSpec
    status: SourceStatus = SourceStatus()
