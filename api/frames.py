"""What streams carry, as plain frozen values. Pure; no protos.

Shared by both ends of both streams: the controller's services (through `ports.py`), the
servicers, the SDK and a worker's agent. `convert.py` and `convert_agent.py` turn them into
protos and back. Times are POSIX seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..crd_like_specs.dataset import Dataset
from ..crd_like_specs.job import Job, WorkerReason
from ..crd_like_specs.job_datasets import DatasetMount
from ..crd_like_specs.lease import Lease, LeaseSpec, LeaseStatus
from ..crd_like_specs.source import Source
from ..crd_like_specs.template import Template
from ..crd_like_specs.worker import Worker, WorkerStatus

Resource = Job | Lease | Worker | Source | Template | Dataset


class LogStream(str, Enum):
    """Where a record came from. RESULT: a piece of the runner's envelope, on agents' streams only."""

    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"  # said by Cumulus, such as a truncation notice
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One piece of a job's output. sequence: from 0 within an attempt, without gaps;
    data: as written, with its newline.
    """

    sequence: int
    stream: LogStream
    time: float
    data: bytes
    attempt: int


# What Submit and Follow send, in this order: State first, ResultChunk before Finished.


@dataclass(frozen=True, slots=True)
class State:
    """The job after a change of its status; the first event too."""

    job: Job


@dataclass(frozen=True, slots=True)
class Log:
    """One record of the current attempt."""

    record: LogRecord


@dataclass(frozen=True, slots=True)
class ResultChunk:
    """A piece of the result envelope (JSON), in order."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The job in its terminal phase; nothing follows."""

    job: Job


JobEvent = State | Log | ResultChunk | Finished


class Outcome(str, Enum):
    """What an apply did."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied:
    """The resource as it is stored now; reruns: the change defines a new run."""

    outcome: Outcome
    resource: Resource
    reruns: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list. resource_version: watch from here; continue_token: "" at the end."""

    items: tuple[Resource, ...]
    resource_version: int
    continue_token: str = ""


class WatchType(str, Enum):
    """What happened to the resource of a `WatchItem`."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"  # with the last state
    BOOKMARK = "bookmark"  # nothing but the resource_version reached


@dataclass(frozen=True, slots=True)
class WatchItem:
    """One change. resource: None with a bookmark only."""

    type: WatchType
    resource: Resource | None
    resource_version: int


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job waits. summary: one sentence; workers: the reason of each."""

    job: Job
    summary: str
    workers: tuple[WorkerReason, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What this controller is. notices: what every user of it must know; python: version that
    jobs with code run on, such as `3.11`, "" where it is not known.
    """

    version: str
    platform: str
    image: str
    workers: int
    active_jobs: int
    notices: tuple[str, ...] = ()
    python: str = ""


# From an agent to the controller.


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """One lease as its worker sees it."""

    name: str
    status: LeaseStatus


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The whole observed state of a worker: a lease that is not listed is not held there."""

    worker: str
    status: WorkerStatus
    labels: Mapping[str, str] = field(default_factory=dict)
    leases: tuple[LeaseReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent both ways every second. time: of the sender's clock; echo: from the controller, the
    time of the newest heartbeat it heard on this stream (0.0: none yet).
    """

    time: float
    echo: float = 0.0


@dataclass(frozen=True, slots=True)
class LookNow:
    """A container of ours changed on the worker: ask the platform about this unit."""

    unit: str


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """One record of a unit's output, RESULT pieces included."""

    sequence: int
    stream: LogStream
    time: float
    data: bytes


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Records of one unit in sequence. total: set with the last batch, the number of records."""

    unit: str
    records: tuple[UnitRecord, ...] = ()
    total: int | None = None


@dataclass(frozen=True, slots=True)
class UnitUsage:
    """What one unit uses. cpu_seconds: since it started; the others: bytes, 0 where unknown."""

    unit: str
    cpu_seconds: float = 0.0
    memory: int = 0
    memory_peak: int = 0
    gpu_memory: int = 0


@dataclass(frozen=True, slots=True)
class DeviceUsage:
    """memory_used: bytes, of all processes; utilization_milli: thousandths, -1 where unknown."""

    index: int
    memory_used: int = 0
    utilization_milli: int = -1


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """What the worker uses now; kept in memory only. disk_free: bytes where the agent stages."""

    time: float
    disk_free: int = 0
    units: tuple[UnitUsage, ...] = ()
    devices: tuple[DeviceUsage, ...] = ()


@dataclass(frozen=True, slots=True)
class JobUse:
    """What one running attempt uses. cpus: cores between the last two looks, -1 before the second;
    cpu_seconds: since it started; the others: bytes, 0 where unknown.
    """

    unit: str
    job: str
    attempt: int
    cpus: float = -1.0
    cpu_seconds: float = 0.0
    memory: int = 0
    memory_peak: int = 0
    gpu_memory: int = 0


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """What one worker uses, for people. seen_at: on the controller's clock; disk_free: bytes."""

    worker: str
    seen_at: float
    disk_free: int = 0
    jobs: tuple[JobUse, ...] = ()
    devices: tuple[DeviceUsage, ...] = ()


AgentFrame = NodeReport | Heartbeat | LogBatch | LookNow | NodeUsage


# From the controller to an agent.


@dataclass(frozen=True, slots=True)
class LeaseWanted:
    """One lease and what to stage for it. code_digest: "" for image jobs; image: that the
    service will use; next_log: sequence number of the first record not kept yet; registry_auth:
    JSON to pull the image with, or ""; datasets: that it reads, with their digests.
    """

    name: str
    spec: LeaseSpec
    code_digest: str = ""
    requirements: tuple[str, ...] = ()
    args_json: str = "[]"
    image: str = ""
    next_log: int = 0
    registry_auth: str = field(default="", repr=False)
    datasets: tuple[DatasetMount, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageWanted:
    """id: `sha256:<hex>`, as the engine names it; names: tags that it is to bear."""

    id: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Every lease wanted on the worker: one that is not listed is to be ended. images: those that
    the worker should have before it is asked to run them. dropped: digests of the datasets there
    that exist no more, whose copies are to go.
    """

    leases: tuple[LeaseWanted, ...] = ()
    images: tuple[ImageWanted, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImagePart:
    """One file of an image's archive. path: in the archive; digest: `sha256:<hex>`; size: bytes."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """An image as `docker save` writes it, file by file in the order of the archive."""

    parts: tuple[ImagePart, ...]


@dataclass(frozen=True, slots=True)
class LogAck:
    """Every record of the unit below `next` is kept for good."""

    unit: str
    next: int


@dataclass(frozen=True, slots=True)
class Received:
    """How much of an artifact the controller has. size: bytes; complete: checked and kept."""

    size: int
    complete: bool


ControllerFrame = Wanted | LogAck | Heartbeat
