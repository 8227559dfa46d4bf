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
from .outputs import KeptOutputs


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

    @property
    def freed(self) -> bool:
        """Nothing runs under it any more, and its share is given back."""
        return self in (LeaseState.SAVING, LeaseState.ENDED)


# Why an agent ended a lease (`LeaseStatus.reason`), where nobody asked for it.
EXPIRED = "DurationExceeded"
DISCONNECTED = "Disconnected"  # out of contact for longer than `stop_after_disconnect`
RESTARTED = "WorkerRestarted"  # the machine was started anew: nothing of before runs

WORKER_LOST = "WorkerLost"
"""Why the controller has a lease ended (`LeaseSpec.revoked`) that the platform has given up."""


class LeaseSpec(Model):
    """Wanted, by the controller. job: uid of the job; job_name: its name; attempt: which try of it;
    worker: name of the worker; devices: their indexes there, none where no GPU is wanted;
    memory_milli: thousandths of each device's memory; cpus: thousandths of a core set aside with
    it; memory: bytes of the worker's memory set aside with it; pids: processes set aside with it;
    not_before: when it was wanted; revoked: why it is to end now, "" while it is wanted;
    grace: seconds between SIGTERM and SIGKILL when revoked; stop_after_disconnect: seconds without
    contact after which its worker ends it, 0 never; duration: seconds from the moment it is held;
    not_after: absolute POSIX seconds once known (0: not held yet);
    notice: seconds between the warning and SIGTERM when revoked, for a job that asks for it;
    checkpoint: digest of what its /checkpoint begins with, "" for nothing; checkpoint_size: bytes
    that a checkpoint of it may have, 0: it has no such folder; checkpoint_interval: seconds
    between two looks for a new one; outputs_size: bytes that may be kept of its /results, 0: it
    has no such folder. A restarted agent re-creates the lease for the time left.
    """

    job: str
    job_name: str
    attempt: int = Field(ge=1)
    worker: str
    devices: tuple[int, ...] = ()
    memory_milli: int = Field(ge=0, le=1000)
    cpus: int = Field(default=0, ge=0)
    memory: int = Field(default=0, ge=0)
    pids: int = Field(default=0, ge=0)
    duration: int = Field(ge=1)
    not_before: float = 0.0
    not_after: float = 0.0
    revoked: str = ""
    grace: float = 10.0
    stop_after_disconnect: int = Field(default=0, ge=0)
    notice: float = 0.0
    checkpoint: str = ""
    checkpoint_size: int = Field(default=0, ge=0)
    checkpoint_interval: int = Field(default=30, ge=1)
    outputs_size: int = Field(default=0, ge=0)


class LeaseMount(Model):
    """A folder of the worker that the container is given read-only. source: its absolute path
    there; target: its absolute path in the container.
    """

    source: str
    target: str


class LeaseStatus(Model):
    """Seen, by the worker's agent. Times are POSIX seconds on the worker's clock.

    state: where it is; partition_ids: one per device, in the order of `spec.devices`; held_at:
    when its share was taken; expires_at: its end; env: what the container must be given;
    mounts: folders of the worker that it must be given; image: id on the worker of the image that
    the service is to use, "" where it is not said; reason: why it ended or failed, in a word;
    message: what people read of it; ended_at: when nothing of it ran any more, by the same timer
    as its end; backend: `chronos` or `ledger`. exit_code, finished_at: of its process as the
    worker's engine says, None and 0.0 while that is unknown;
    checkpoint: the newest of this attempt that the controller has, None where there is none;
    outputs: what it left in /results and the controller has, None where there is nothing.
    """

    state: LeaseState = LeaseState.PENDING
    partition_ids: tuple[str, ...] = ()
    backend: str = ""
    held_at: float = 0.0
    expires_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int | None = None
    finished_at: float = 0.0
    env: dict[str, str] = Field(default_factory=dict)
    mounts: tuple[LeaseMount, ...] = ()
    image: str = ""
    reason: str = ""
    message: str = ""
    checkpoint: Snapshot | None = None
    outputs: KeptOutputs | None = None


class Lease(Model):
    """See the module docstring. api_version: `cumulus.dev/v1`; kind: `Lease`; metadata: what it is
    called, and bookkeeping; spec: what the controller wants of a worker; status: what the
    worker's agent says of it.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Lease"] = "Lease"
    metadata: ObjectMeta
    spec: LeaseSpec
    status: LeaseStatus = LeaseStatus()

    @property
    def vacated(self) -> bool:
        """Its room is free, although it is on record: it is not wanted, and nothing runs under it."""
        return self.metadata.deletion_timestamp is not None and self.status.state.freed
