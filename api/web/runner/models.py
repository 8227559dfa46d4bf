"""What that system sends and is sent, and how it follows from our jobs and workers. Pure.

Its field names; times are ISO 8601 in UTC without an offset, as it writes them; statuses PENDING,
RUNNING, SUCCEEDED, FAILED.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ....crd_like_specs.errors import NotFoundError
from ....crd_like_specs.job import Gpu, Job, JobSpec, Phase, Resources
from ....crd_like_specs.meta import ObjectMeta
from ....crd_like_specs.worker import Worker
from ...overview import Board

LABEL: Final = "cumulus.dev/face"
VALUE: Final = "runner"
"""What marks the jobs that came this way; this face shows no others."""

GIB: Final = 1 << 30
MOST_CORES: Final = 4096
MOST_GB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """stale_after: seconds after which a job is ended as stale; network: of its jobs."""

    stale_after: int = 3600
    network: Literal["None", "Egress"] = "None"


Number = int | float
"""Whole ones stay whole in JSON."""


class Status(str, Enum):
    """Where a job is."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class JobWanted(BaseModel):
    """A job. command: program and arguments, or a program with its arguments in one line; gpu_type:
    null for none, `any`, or a type or a part of a device's name.
    """

    model_config = ConfigDict(extra="ignore")

    docker_image: str = Field(min_length=1, max_length=512)
    command: list[str] | str = Field(default_factory=list)
    cpu_cores: float = Field(gt=0, le=MOST_CORES)
    memory_gb: float = Field(ge=1 / 64, le=MOST_GB)
    gpu_type: str | None = Field(default=None, max_length=64)

    @field_validator("command")
    @classmethod
    def _as_words(cls, command: list[str] | str) -> list[str]:
        """A command in one line is split at blanks as a shell would, and no shell sees it."""
        words = shlex.split(command) if isinstance(command, str) else command
        if any("\0" in word for word in words):
            raise ValueError("a command holds no NUL")
        return words


class JobBody(BaseModel):
    """A job as it is. executor_ip: the worker it is on, by its name; message: why it is so."""

    job_id: str
    docker_image: str
    command: list[str]
    cpu_cores: Number
    memory_gb: Number
    gpu_type: str | None
    status: Status
    status_date: str
    executor_ip: str | None
    created_at: str
    updated_at: str
    exit_code: int | None
    message: str


class JobDetail(JobBody):
    """With the last lines of its log."""

    logs: list[str]


class Executor(BaseModel):
    """A worker, and what is set aside of it. ip: its name."""

    ip: str
    total_cpu_cores: Number
    available_cpu_cores: Number
    total_memory_gb: Number
    available_memory_gb: Number
    gpu_types: list[str]
    last_heartbeat: str | None
    cpu_utilization: Number
    memory_utilization: Number
    running_jobs: int


class ClusterStats(BaseModel):
    """All workers that take jobs."""

    total_executors: int
    total_cpu_cores: Number
    available_cpu_cores: Number
    total_memory_gb: Number
    available_memory_gb: Number
    cluster_cpu_utilization: Number
    cluster_memory_utilization: Number


class Executors(BaseModel):
    """The workers that take jobs."""

    executors: list[Executor]
    cluster_stats: ClusterStats


class Sizes(BaseModel):
    """small: up to 2 cores and 4 GB; medium: up to 8 and 16; large: the rest."""

    small: int
    medium: int
    large: int


class Queue(BaseModel):
    """Jobs that wait and that run. oldest_pending_job: when it came."""

    pending_jobs: int
    running_jobs: int
    pending_by_size: Sizes
    oldest_pending_job: str | None


class Stats(BaseModel):
    """The queue and the workers."""

    queue: Queue
    cluster: ClusterStats
    timestamp: str


class Assignment(BaseModel):
    """A job that was given to a worker and is about to start there."""

    job_id: str
    executor_ip: str


class Scheduled(BaseModel):
    """What is being started."""

    scheduled_jobs: int
    assignments: list[Assignment]


class Cleaned(BaseModel):
    """How many were ended, and how long they had to have run."""

    cleaned_jobs: int
    timeout_minutes: int


class Health(BaseModel):
    """Whether it answers."""

    status: str
    service: str


_STATUS: Final = {
    Phase.RUNNING: Status.RUNNING,
    Phase.SUCCEEDED: Status.SUCCEEDED,
    Phase.FAILED: Status.FAILED,
    Phase.CANCELLED: Status.FAILED,
    Phase.TIMED_OUT: Status.FAILED,
}


def status_of(job: Job) -> Status:
    """Of the four. A job that is being aborted counts as failed at once, as it did there."""
    stopped = job.metadata.cancellation_timestamp is not None
    if stopped and not job.status.phase.terminal:
        return Status.FAILED
    return _STATUS.get(job.status.phase, Status.PENDING)


def job_of(wanted: JobWanted, name: str, options: RunnerOptions) -> Job:
    """Ours."""
    spec = JobSpec(
        image=wanted.docker_image,
        command=tuple(wanted.command),
        gpu=_gpu(wanted.gpu_type),
        resources=Resources(
            cpus=f"{round(wanted.cpu_cores * 1000)}m",
            memory=round(wanted.memory_gb * GIB),
        ),
        duration=options.stale_after,
        when_unschedulable="Wait",
        network=options.network,
    )
    return Job(metadata=ObjectMeta(name=name, labels={LABEL: VALUE}), spec=spec)


def _gpu(kind: str | None) -> Gpu | None:
    if not kind:
        return None
    return Gpu(type="" if kind.lower() == "any" else kind)


def uid_of(job_id: str) -> str:
    """Our uid. NotFoundError for what is no id of theirs."""
    try:
        return uuid.UUID(job_id).hex
    except ValueError:
        raise NotFoundError(f"job {job_id:.64} not found", job_id=job_id[:64]) from None


def id_of(job: Job) -> str:
    """As that system writes them."""
    return str(uuid.UUID(job.metadata.uid))


def when(seconds: float) -> str:
    """POSIX seconds as that system writes them."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def job_body(job: Job) -> JobBody:
    """A job."""
    meta, spec, status = job.metadata, job.spec, job.status
    moved = max(
        meta.creation_timestamp,
        status.started_at,
        status.finished_at,
        meta.cancellation_timestamp or 0.0,
    )
    return JobBody(
        job_id=id_of(job),
        docker_image=spec.image or "",
        command=[*spec.command, *(str(arg) for arg in spec.args)],
        cpu_cores=_whole(spec.resources.cpus / 1000),
        memory_gb=_whole(spec.resources.memory / GIB),
        gpu_type=(spec.gpu.type or "any") if spec.gpu else None,
        status=status_of(job),
        status_date=when(moved),
        executor_ip=status.worker or None,
        created_at=when(meta.creation_timestamp),
        updated_at=when(moved),
        exit_code=status.exit_code,
        message=status.message,
    )


def executors(board: Board) -> Executors:
    """Those that take jobs."""
    found = [_executor(one.worker, board) for one in board.workers if _takes_jobs(one.worker)]
    return Executors(executors=found, cluster_stats=_cluster(found))


def _takes_jobs(worker: Worker) -> bool:
    ready = any(c.type == "Ready" and c.status for c in worker.status.conditions)
    return ready and not worker.spec.cordoned


def _executor(worker: Worker, board: Board) -> Executor:
    name, status = worker.metadata.name, worker.status
    held = [lease.spec for lease in board.leases if lease.spec.worker == name]
    cpus = sum(spec.cpus for spec in held)
    memory = sum(spec.memory for spec in held)
    kinds = {kind for device in status.devices for kind in (device.type, device.name) if kind}
    return Executor(
        ip=name,
        total_cpu_cores=_whole(status.cpus / 1000),
        available_cpu_cores=_whole(max(0, status.cpus - cpus) / 1000),
        total_memory_gb=_whole(status.memory / GIB),
        available_memory_gb=_whole(max(0, status.memory - memory) / GIB),
        gpu_types=sorted(kinds),
        last_heartbeat=when(status.last_heartbeat) if status.last_heartbeat else None,
        cpu_utilization=_percent(cpus, status.cpus),
        memory_utilization=_percent(memory, status.memory),
        running_jobs=len(held),
    )


def _cluster(found: Sequence[Executor]) -> ClusterStats:
    cpus = sum(one.total_cpu_cores for one in found)
    free_cpus = sum(one.available_cpu_cores for one in found)
    memory = sum(one.total_memory_gb for one in found)
    free_memory = sum(one.available_memory_gb for one in found)
    return ClusterStats(
        total_executors=len(found),
        total_cpu_cores=_whole(cpus),
        available_cpu_cores=_whole(free_cpus),
        total_memory_gb=_whole(memory),
        available_memory_gb=_whole(free_memory),
        cluster_cpu_utilization=_percent(cpus - free_cpus, cpus),
        cluster_memory_utilization=_percent(memory - free_memory, memory),
    )


class Waiting:
    """Jobs that have not started, counted one by one, however many there are."""

    def __init__(self) -> None:
        self._sizes = {"small": 0, "medium": 0, "large": 0}
        self._oldest: float | None = None

    def add(self, job: Job) -> None:
        """One more."""
        cores, memory = job.spec.resources.cpus / 1000, job.spec.resources.memory / GIB
        small, medium = cores <= 2 and memory <= 4, cores <= 8 and memory <= 16
        self._sizes["small" if small else "medium" if medium else "large"] += 1
        came = job.metadata.creation_timestamp
        self._oldest = came if self._oldest is None else min(self._oldest, came)

    def queue(self, running: int) -> Queue:
        """With so many that run."""
        return Queue(
            pending_jobs=sum(self._sizes.values()),
            running_jobs=running,
            pending_by_size=Sizes(**self._sizes),
            oldest_pending_job=None if self._oldest is None else when(self._oldest),
        )


def _percent(part: float, whole: float) -> float:
    return round(part / whole * 100, 2) if whole else 0.0


def _whole(number: float) -> Number:
    """Whole numbers without a point in JSON, as that system counts."""
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded
