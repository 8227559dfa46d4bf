"""What the plan is told: plain frozen values, gathered by `runtime/world.py`. Pure.

Nothing here decides; nothing here can reach outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Worker
from .image_seen import ImageSeen
from .quota import QuotaSeen


class ServiceState(str, Enum):
    """What the platform says of one attempt's service, the same for every platform."""

    PENDING = "Pending"  # accepted, not yet started
    RUNNING = "Running"
    COMPLETE = "Complete"  # exit code 0
    FAILED = "Failed"  # any other end of the process
    REJECTED = "Rejected"  # the platform would not start it
    LOST = "Lost"  # its node is down: whether it runs is unknown

    @property
    def ended(self) -> bool:
        """True where the process is known not to run."""
        return self in (ServiceState.COMPLETE, ServiceState.FAILED, ServiceState.REJECTED)


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """One service that bears our label. Times are POSIX seconds, 0 where unknown.

    exit_code: None while it runs or where it never ran; 128+n where signal n ended it.
    """

    name: str
    uid: str
    attempt: int
    state: ServiceState
    exit_code: int | None = None
    message: str = ""
    node_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class ResultSeen:
    """Head of the runner's envelope. size: bytes of the whole; `ok`: its status is success."""

    size: int
    ok: bool
    error_type: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogsSeen:
    """How far the log spool of the current attempt has come."""

    complete: bool = False
    result: ResultSeen | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """What is left of a worker after every lease on it.

    milli: device index → thousandths left. cpus: thousandths of a core; memory: bytes;
    pids: processes, None where the worker doesn't say how many it can have.
    """

    milli: Mapping[int, int]
    cpus: int
    memory: int
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """What one job takes of a worker, and when: a lease there is, or room that is kept.

    start, end: POSIX seconds, a lease's start is 0.0. Units as in `Free`; milli: thousandths of
    each of the devices.
    """

    job: str
    worker: str
    start: float
    end: float
    devices: tuple[int, ...]
    milli: int
    cpus: int
    memory: int
    pids: int = 0


Claims = Mapping[str, Sequence[Booking]]
"""Worker → what is kept there for jobs that are ahead in the queue."""


class Unready(str, Enum):
    """Why a worker takes no jobs now; the first that holds."""

    FENCED = "Fenced"  # an operator vouched that nothing runs there
    OUT_OF_CONTACT = "OutOfContact"  # its agent is silent
    NODE_DOWN = "NodeDown"  # its agent speaks, but the platform can't reach its node
    NOT_CLEAN = "NotClean"  # it came (back) with things that nobody wants any more


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker as placement sees it. `ready`: it takes jobs; `unready`: else why not;
    `known`: it may be back soon (just restarted, short break), so it counts as existing.
    heard_at: POSIX seconds at which the agent was last heard, where it is not ready. held: the
    leases on it. awaits: why jobs in the job image have to wait there, "" where they don't.
    `contact`: its agent can be told things, `contact_since` POSIX seconds; `node_up`: the platform
    reaches it.
    """

    worker: Worker
    free: Free
    ready: bool
    known: bool = True
    heard_at: float = 0.0
    held: tuple[Booking, ...] = ()
    awaits: str = ""
    contact: bool = True
    contact_since: float = 0.0
    node_up: bool = True
    unready: Unready | None = None

    def silent_for(self, now: float) -> float:
        """Seconds since the agent was last heard."""
        return max(0.0, now - self.heard_at)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """What the controller knows of a lease by its own clock, whatever a worker's clock says.

    ends: POSIX seconds by which the lease's time is over on its worker (0: it was never held);
    released: since when it is not wanted (0: it is).
    """

    ends: float = 0.0
    released: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything the plan may know about one job and the fleet.

    services and leases: only this job's, of any attempt. workers: by name. claims: room that is
    kept for jobs ahead of this one. best_fit: fill the fullest worker first, not the first one.
    default_image: id of the job image. image: that of this job. observed: False while the
    platform could not be listed; then absence proves nothing.
    quota: of the job's project, None where it has no limits. times: of leases, by name. since:
    service → POSIX seconds of the controller since when it was seen in its present state.
    """

    services: tuple[ServiceSeen, ...] = ()
    leases: tuple[Lease, ...] = ()
    workers: Sequence[WorkerSeen] = ()
    claims: Claims = field(default_factory=dict)
    best_fit: bool = False
    logs: LogsSeen = field(default_factory=LogsSeen)
    platform: str = "swarm"
    default_image: str = ""
    image: ImageSeen = field(default_factory=ImageSeen)
    observed: bool = True
    blob_present: bool = True
    times: Mapping[str, LeaseTimes] = field(default_factory=dict)
    since: Mapping[str, float] = field(default_factory=dict)
    quota: QuotaSeen | None = None
