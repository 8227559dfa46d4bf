"""Lease: a fraction of one or more devices of one worker for a bounded time. Pure.

`spec` is what the controller wants, `status` what the worker's agent last said it sees.
A lease is named like the attempt it belongs to (`identity.unit_name`). All devices of an
attempt are one lease, so that they are held, extended and given back together or not at all.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from pydantic import Field

from .checkpoint import Snapshot
from .meta import API_VERSION, Model, ObjectMeta


class LeaseState(str, Enum):
    """What the agent sees, in the order it rises; a lease never goes back."""

    PENDING = "Pending"  # wanted, the agent has not spoken yet
    PREPARING = "Preparing"  # code is staged, requirements are installed, no share taken yet
    HELD = "Held"  # the share is taken and everything is staged: a service may start
    ENDING = "Ending"  # expired or revoked: the container is being stopped
    SAVING = "Saving"  # the container is verified gone, the share is given back; what it left is
    # being brought to safety
    ENDED = "Ended"  # nothing of it is left to do
    FAILED = "Failed"  # could not be held; `reason` and `message` say why


# Why an agent ended a lease (`LeaseStatus.reason`), where nobody asked for it.
EXPIRED = "DurationExceeded"
DISCONNECTED = "Disconnected"  # out of contact for longer than `stop_after_disconnect`
RESTARTED = "WorkerRestarted"  # the machine was started anew: nothing of before runs

WORKER_LOST = "WorkerLost"
"""Why the controller has a lease ended (`LeaseSpec.revoked`) that the platform has given up."""


class LeaseSpec(Model):
    """Wanted. duration: seconds from the moment it is held; not_after: absolute POSIX seconds
    once known (0: not held yet);
    notice: seconds between the warning and SIGTERM when revoked, for a job that asks for it;
    checkpoint: digest of what its /checkpoint begins with, "" for nothing; checkpoint_size: bytes
    that a checkpoint of it may have, 0: it has no such folder; checkpoint_interval: seconds
    between two looks for a new one. A restarted agent re-creates the lease for the time left.
    """

    job: str  # uid of the job
    job_name: str
    attempt: int = Field(ge=1)
    worker: str  # name of the Worker
    devices: tuple[int, ...] = ()  # indexes on that worker; empty: no GPU wanted
    memory_milli: int = Field(ge=0, le=1000)  # thousandths of each device's memory
    cpus: int = Field(default=0, ge=0)  # thousandths of a core set aside with it
    memory: int = Field(default=0, ge=0)  # bytes of the worker's memory set aside with it
    pids: int = Field(default=0, ge=0)  # processes set aside with it
    duration: int = Field(ge=1)
    not_before: float = 0.0
    not_after: float = 0.0
    revoked: str = ""  # reason to end it now ("Cancelled", "Deleted", …), "" while wanted
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL when revoked
    stop_after_disconnect: int = Field(default=0, ge=0)  # seconds without contact, 0: never
    notice: float = 0.0
    checkpoint: str = ""
    checkpoint_size: int = Field(default=0, ge=0)
    checkpoint_interval: int = Field(default=30, ge=1)


class LeaseMount(Model):
    """A folder of the worker that the container is given read-only; both are absolute paths."""

    source: str
    target: str


class LeaseStatus(Model):
    """Seen. Times are POSIX seconds on the worker's clock; ended_at: when nothing of it ran any
    more, by the same timer as its end. backend: `chronos` or `ledger`. exit_code, finished_at: of
    its process as the worker's engine says, None and 0.0 while that is unknown;
    checkpoint: the newest of this attempt that the controller has, None where there is none.
    """

    state: LeaseState = LeaseState.PENDING
    partition_ids: tuple[str, ...] = ()  # one per device, in the order of `spec.devices`
    backend: str = ""
    held_at: float = 0.0
    expires_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int | None = None
    finished_at: float = 0.0
    env: dict[str, str] = Field(default_factory=dict)  # what the container must be given (gpu_env)
    mounts: tuple[LeaseMount, ...] = ()
    image: str = ""  # id on the worker of the image that the service is to use; "": not said
    reason: str = ""
    message: str = ""
    checkpoint: Snapshot | None = None


class Lease(Model):
    """See the module docstring."""

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Lease"] = "Lease"
    metadata: ObjectMeta
    spec: LeaseSpec
    status: LeaseStatus = LeaseStatus()
