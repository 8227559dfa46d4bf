"""What a plan may ask for: plain frozen values that `runtime/executor.py` carries out. Pure.

Every action can be carried out twice; each is named by the object it concerns, never by an id
somebody would have to remember.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crd_like_specs.job import JobStatus
from ...crd_like_specs.lease import Lease


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount. source: absolute path on the worker; writable: for the job."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret that the container finds below /run/secrets, without its value. name: as its owner
    calls it; file: its name there.
    """

    name: str
    file: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """All a platform needs to run one attempt. cpus: thousandths of a core; memory, shm: bytes;
    data: bytes of data that each process may have, 0 for no limit.

    image: id (`sha256:…`) or reference; command: argument list, empty for the image's own
    entry point; args: appended to either; user: UID[:GID] or a name of the image's, "" for that of all jobs; isolated: no network at all; stop_grace: seconds from SIGTERM to SIGKILL.
    unit_dir: the attempt's staging folder on the worker (`<staging_root>/<name>`).
    """

    name: str
    uid: str
    attempt: int
    job: str
    node_id: str
    worker: str
    image: str
    unit_dir: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    cpus: int = 1000
    memory: int = 1 << 30
    pids: int = 256
    shm: int = 64 << 20
    data: int = 0
    user: str = ""
    isolated: bool = True
    stop_grace: float = 10.0


@dataclass(frozen=True, slots=True)
class PutLease:
    """Create the lease, or replace its spec."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Stop wanting it (its record stays until the agent is seen without it)."""

    name: str


@dataclass(frozen=True, slots=True)
class ForgetLease:
    """Delete the record of a lease that is seen ended."""

    name: str


@dataclass(frozen=True, slots=True)
class CreateService:
    """Start the attempt on its worker."""

    service: ServiceSpec


@dataclass(frozen=True, slots=True)
class RemoveService:
    """Remove the service, killing what still runs in it."""

    name: str


@dataclass(frozen=True, slots=True)
class CollectLogs:
    """Read an ended service's logs through the platform, since no agent delivers them.

    last: less than its agent had delivered is taken too, since no more will come.
    """

    name: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class CollectJob:
    """Delete the job's record, logs and result: its time is over or it was deleted."""

    uid: str
    name: str


Action = (
    PutLease | ReleaseLease | ForgetLease | CreateService | RemoveService | CollectLogs | CollectJob
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision: what to do, what to write down, when to look again.

    status: None where nothing changes. wake_at: POSIX seconds, None where only news matters.
    rule: name of the rule that decided, for events and logs.
    """

    rule: str
    actions: tuple[Action, ...] = ()
    status: JobStatus | None = None
    wake_at: float | None = None
