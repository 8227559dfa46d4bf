"""What jobs left in their /results folders, as values, and where it is asked for. Pure; no protos.

Implemented by `controller/runtime/outputs.py`; used by the servicer, the HTTP faces and the SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from .viewer import Viewer

WAIT_LIMIT: Final = 45.0
"""Seconds that one call waits at most for what is still on its way."""


class ArtifactKind(str, Enum):
    """What of an attempt an agent brings."""

    CHECKPOINT = "checkpoint"
    OUTPUTS = "outputs"


class OutputRole(str, Enum):
    """What a file is, by the job's manifest or by its name."""

    WEIGHTS = "weights"
    METRICS = "metrics"
    LOG = "log"
    PLOT = "plot"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Output:
    """One file. id: in its experiment (the newest job's that has it; `<job>/<id>` is always one
    job's); path: below /results; size: bytes; digest: `sha256:<hex>` of its content, good as an
    ETag; job: uid; modified_at: POSIX seconds on the worker's clock.
    """

    id: str
    path: str
    size: int
    digest: str
    role: OutputRole
    job: str
    job_name: str
    attempt: int
    experiment: str
    modified_at: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputSet:
    """Those of one attempt, in the order of paths. job: uid; attempt: 0 where no attempt left
    anything; digest: of the archive that holds them, "" where there is none; size: bytes of the
    files; message: what was not kept and why, or what is wrong with its manifest.json, "" for
    nothing; pending: they are still on their way: ask again.
    """

    job: str
    job_name: str
    attempt: int = 0
    experiment: str = ""
    digest: str = ""
    size: int = 0
    outputs: tuple[Output, ...] = ()
    message: str = ""
    pending: bool = False


class OutputsPort(Protocol):
    """Outputs of jobs that its viewer does not see are not there."""

    def seen_by(self, viewer: Viewer) -> OutputsPort:
        """The same for this viewer."""

    async def of_job(self, job: str, *, attempt: int = 0, wait: float = 0.0) -> OutputSet:
        """job: name or uid; attempt: 0 for the newest that left anything; wait: seconds, at most
        WAIT_LIMIT, to wait for what is on its way. A job that left nothing has an empty set.
        NotFoundError for the job, or for an attempt whose outputs are not kept.
        """

    async def of_experiment(self, experiment: str) -> tuple[Output, ...]:
        """Of the newest attempt of each job in it, the newest job first; an `id` that a newer job
        has too reads `<job>/<id>`. () for an experiment that nobody has heard of.
        """

    async def at(self, job: str, path: str, *, attempt: int = 0) -> Output:
        """The file with this path (or, where there is none, this id). NotFoundError."""

    async def find(self, experiment: str, output_id: str) -> Output:
        """output_id: an `id`, `<job>/<id>`, or a path of the newest job that has it.
        NotFoundError.
        """

    def read(self, output: Output, *, offset: int = 0, length: int = 0) -> AsyncIterator[bytes]:
        """Its content from an offset in pieces of at most 1 MiB. length: bytes, 0: to the end.
        NotFoundError where it is gone meanwhile, ValidationError for an offset beyond its end.
        """
