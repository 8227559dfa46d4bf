"""Job: what should run, with how much, for how long; and what became of it. Pure.

`spec` is written by users only, `status` by the controller only. Units in files are human
(`8Gi`, `500m`, `90m`); in memory they are whole bytes, thousandths of a core, and seconds.
"""

from __future__ import annotations

import hashlib
import json
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .checkpoint import Checkpoint, Snapshot
from .constraints import Constraint
from .container_user import check_user
from .identity import DIGEST_PATTERN, NAME_PATTERN
from .job_datasets import DatasetMount, check_mounts
from .job_secrets import SecretMount, check_secrets
from .json_values import check_json
from .meta import API_VERSION, Condition, Model, ObjectMeta
from .outputs import KeptOutputs, OutputsSpec
from .units import Bytes, Cpus, Fraction, Seconds

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL when a job is cancelled; a lease's own end allows 1 s."""

LONGEST = 30 * 86400
"""Seconds that a lease may last at most."""

LEAST_DISCONNECT = 5
"""Seconds of `stopAfterDisconnect` at least: agent and controller hear each other once a second, so
that less would end jobs that have contact."""


class Phase(str, Enum):
    """Where an attempt is; it only rises (see `rank`)."""

    PENDING = "Pending"
    LEASING = "Leasing"
    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TIMED_OUT = "TimedOut"

    @property
    def terminal(self) -> bool:
        """True where nothing can follow within this attempt."""
        return self.rank == 4

    @property
    def rank(self) -> int:
        """0 (Pending) to 4 (any end); a status with a lower (attempt, rank) is never written."""
        return _RANK.get(self, 4)


_RANK = {Phase.PENDING: 0, Phase.LEASING: 1, Phase.STARTING: 2, Phase.RUNNING: 3}


class Cause(str, Enum):
    """Why an attempt ended badly, as `retry.on` names it."""

    ERROR = "Error"  # the job's own: exception, non-zero exit, crash
    OUT_OF_MEMORY = "OutOfMemory"
    TIMED_OUT = "TimedOut"
    WORKER_LOST = "WorkerLost"  # node down, lease lost, container vanished
    REJECTED = "Rejected"  # the platform would not start it
    PREPARATION = "Preparation"  # staging or requirements failed


class Code(Model):
    """Python code with a `main()` in `main.py`; exactly one of the three is given.

    path: a folder or zip beside the file that names it (packed by the client).
    files: the files themselves, name → text.
    digest: `sha256:<hex>` of an uploaded zip; the only form a controller stores.
    """

    path: str | None = None
    files: dict[str, str] | None = None
    digest: Annotated[str, Field(pattern=DIGEST_PATTERN)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Code:
        given = [n for n in ("path", "files", "digest") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of path, files, digest is expected, got {given or 'none'}"
            )
        if self.files is not None and "main.py" not in self.files:
            raise ValueError("files must hold a main.py")
        return self


class Gpu(Model):
    """A share of GPU. memory: fraction of each device's memory, 0 < memory <= 1 (thousandths
    inside); count: devices, all on one worker; type: nvidia, amd, intel, cpu, or a part of the
    device's name; "" takes any.
    """

    memory: Fraction = 1000
    count: int = Field(default=1, ge=1, le=64, strict=True)
    type: str = Field(default="", max_length=64)


class Resources(Model):
    """Hard limits of the container. cpus: cores, kept as thousandths; memory: bytes, swap included;
    pids: processes and threads; shm: bytes of /dev/shm, which count as memory too.
    """

    cpus: Cpus = 1000
    memory: Bytes = Field(default=1 << 30, ge=16 << 20)
    pids: int = Field(default=256, ge=8, le=65536, strict=True)
    shm: Bytes = 64 << 20


class Retry(Model):
    """What is tried again. limit: further attempts after the first; backoff: seconds before the
    second attempt, doubled for each one after it up to an hour; on: causes that are tried again.
    """

    limit: int = Field(default=0, ge=0, le=100, strict=True)
    backoff: Seconds = 10
    on: tuple[Cause, ...] = (Cause.ERROR, Cause.OUT_OF_MEMORY, Cause.WORKER_LOST, Cause.REJECTED)


class JobSpec(Model):
    """Either `code` (+ `requirements`) or `image` + `command`.

    code: a main.py with main(), and what it imports, run in the controller's job image;
    image: any image that is on the worker, or that the controller's registries have;
    command: program and arguments of an image, its own entry point where there is none;
    requirements: packages for `code` as pip takes them, installed once a list, with network;
    env: environment variables; names that begin with CUMULUS_ or CHRONOS_ are taken;
    gpu: the share of GPU that its lease holds; without it the job has no device;
    resources: what the container may use besides; retry: how often, and after what, it is tried
    again; network: `None` reaches nothing, `Egress` reaches out but no other job;
    ttl_after_finished: seconds for which a finished job is kept with its logs and result, a day at
    least; suspend: it does not run until this is false again, a running one is ended;
    priority: higher ones are ahead in the queue; of equals the older one;
    args: given to main() (a list positionally, a mapping by name), or appended to `command`.
    duration: the lease's length and the hard limit, seconds from the moment the lease is held.
    when_unschedulable: `Fail` ends a job at once that no existing worker could ever take;
    `Wait` lets it wait for one. Both wait for capacity that is merely in use.
    node_selector: label → what it must be, see `constraints.py`.
    stop_after_disconnect: seconds after which a worker without contact to its controller ends the
    job, so that it can be tried elsewhere; 0: never, it runs to its end;
    checkpoint: what is kept of /checkpoint from one attempt to the next, see `checkpoint.py`;
    outputs: what is kept of /results when an attempt ends, see `outputs.py`;
    datasets: what it finds to read, and where, see `job_datasets.py`;
    runtime: the job image that `code` runs in, one of those the controller has (`runtimes` in its
    configuration), its own where it is not given; user: that an image runs as, `UID[:GID]` or a name
    it knows, 1000:1000 where it is not given; root, and every name, is for tokens that may;
    secrets: what it finds below /run/secrets, see `job_secrets.py`.
    """

    code: Code | None = None
    image: str | None = Field(default=None, min_length=1, max_length=512)
    command: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    args: list[Any] | dict[str, Any] = Field(default_factory=list)
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    gpu: Gpu | None = None
    resources: Resources = Resources()
    duration: Seconds = Field(default=3600, ge=1, le=LONGEST)
    retry: Retry = Retry()
    when_unschedulable: Literal["Fail", "Wait"] = "Fail"
    network: Literal["None", "Egress"] = "None"
    node_selector: dict[str, Constraint] = Field(default_factory=dict)
    ttl_after_finished: Seconds = Field(default=86400, ge=86400)
    suspend: bool = Field(default=False, strict=True)
    priority: int = Field(default=0, ge=-1000, le=1000, strict=True)
    stop_after_disconnect: Seconds = 0
    checkpoint: Checkpoint = Checkpoint()
    outputs: OutputsSpec = OutputsSpec()
    datasets: tuple[DatasetMount, ...] = ()
    runtime: Annotated[str, Field(pattern=NAME_PATTERN)] | Literal[""] = ""
    user: str = Field(default="", max_length=80)
    secrets: tuple[SecretMount, ...] = ()

    @field_validator("user")
    @classmethod
    def _is_user(cls, user: str) -> str:
        check_user(user)
        return user

    @field_validator("args")
    @classmethod
    def _plain(cls, args: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
        check_json(args)
        return args

    @field_validator("datasets")
    @classmethod
    def _apart(cls, datasets: tuple[DatasetMount, ...]) -> tuple[DatasetMount, ...]:
        check_mounts(datasets)
        return datasets

    @field_validator("stop_after_disconnect")
    @classmethod
    def _longer_than_beats(cls, seconds: int) -> int:
        if 0 < seconds < LEAST_DISCONNECT:
            raise ValueError(
                f"{seconds} s is given, expected 0s (never) or {LEAST_DISCONNECT}s at least"
            )
        return seconds

    @model_validator(mode="after")
    def _one_kind(self) -> JobSpec:
        if (self.code is None) == (self.image is None):
            raise ValueError("either code or image is expected, not both and not neither")
        if self.code is not None and self.command:
            raise ValueError("command goes with image; code runs its main()")
        if self.image is not None and self.requirements:
            raise ValueError("requirements go with code; an image brings its own")
        if self.image is not None and not isinstance(self.args, list):
            raise ValueError("args of an image job are a list of strings appended to command")
        if self.image is not None and not all(isinstance(a, str) for a in self.args):
            raise ValueError("args of an image job are strings")
        if self.image is not None and self.runtime:
            raise ValueError("runtime goes with code; an image is its own")
        if self.code is not None and self.user:
            raise ValueError("user goes with image; code runs as the job image's own")
        if self.image is not None and any(one.env for one in self.secrets):
            raise ValueError("secrets.env goes with code; an image finds its secrets as files only")
        check_secrets(self.secrets, list(self.env))
        return self

    def run_hash(self) -> str:
        """Hex SHA-256 of everything that defines a run: applying an equal spec runs nothing.

        Left out: what steers a job without changing what runs (suspend, priority, ttl, what is
        kept). A dataset counts by its content, whatever it is called.
        """
        body = self.model_dump(
            mode="json",
            by_alias=True,
            exclude={
                "suspend",
                "priority",
                "ttl_after_finished",
                "checkpoint",
                "outputs",
                "datasets",
            },
            exclude_defaults=True,  # a field that a newer version adds must run nothing again
        )
        if self.datasets:
            ordered = sorted(self.datasets, key=lambda mount: mount.path)
            body["datasets"] = [mount.content() for mount in ordered]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Attempt(Model):
    """One try, as remembered after it. Times are POSIX seconds, 0 where it never came so far.

    number: from 1 over all generations; phase: how it ended; cause: why it ended badly, as
    `retry.on` names it; reason: a word; message: what people read of it; exit_code: of its
    process; worker: where it ran; devices: their indexes there; started_at: when it was seen
    running; finished_at: its end; expires_at: the end of its lease.
    """

    number: int
    phase: Phase
    cause: Cause | None = None
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    worker: str = ""
    devices: tuple[int, ...] = ()
    started_at: float = 0.0
    finished_at: float = 0.0
    expires_at: float = 0.0


class WorkerReason(Model):
    """Why one worker cannot take a pending job now. worker: its name; reason: what people read of
    it; `ever`: it could when empty; fix: the smallest change with which it would fit there now,
    "" where none is small.
    """

    worker: str
    reason: str
    ever: bool = False
    fix: str = ""


class JobStatus(Model):
    """Seen, by the controller. Times are POSIX seconds, 0 where it never came so far.

    phase: where the attempt is; reason: why it is there, in a word; message: what people read of
    it; attempt: from 1 over all generations (0: none yet); observed_generation: of the spec that
    was acted upon; run_hash: of the spec that the current attempt runs; first_attempt: of this
    generation, from which retries count; worker: where it runs or ran; devices: their indexes
    there; exit_code: of its process; submitted_at: when this run was asked for; finished_at: its
    end; attempts: those that ended, oldest first; waiting_for: why workers cannot take it now;
    conditions: named aspects of its state; checkpoints: those that are kept, oldest first;
    started_at: when the service was seen running; expires_at: when the lease ends;
    retry_at: no new attempt before it; stopping: why the attempt is being stopped, ""
    while it is not; stop_by: the controller stops it itself if the agent has not by then;
    result_size: bytes of the result envelope (0: none);
    outputs: what its attempts left in /results, as far as it is kept, oldest first;
    `cleaned`: service and lease of the last attempt are gone.
    """

    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    attempt: int = 0
    observed_generation: int = 0
    run_hash: str = ""
    first_attempt: int = 0
    worker: str = ""
    devices: tuple[int, ...] = ()
    exit_code: int | None = None
    submitted_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    expires_at: float = 0.0
    retry_at: float = 0.0
    stopping: str = ""
    stop_by: float = 0.0
    result_size: int = 0
    cleaned: bool = False
    attempts: tuple[Attempt, ...] = ()
    waiting_for: tuple[WorkerReason, ...] = ()
    conditions: tuple[Condition, ...] = ()
    checkpoints: tuple[Snapshot, ...] = ()
    outputs: tuple[KeptOutputs, ...] = ()


class Job(Model):
    """See the module docstring. api_version: `cumulus.dev/v1`; kind: `Job`; metadata: what it is
    called, and bookkeeping; spec: what should run, which users alone write; status: what became
    of it, which the controller alone writes.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Job"] = "Job"
    metadata: ObjectMeta
    spec: JobSpec
    status: JobStatus = JobStatus()

    @property
    def lasting(self) -> JobSpec:
        """The spec with its duration as it was extended."""
        longer = self.metadata.extension
        if not longer:
            return self.spec
        return self.spec.model_copy(update={"duration": self.spec.duration + longer})
