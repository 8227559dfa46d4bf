"""Worker: a machine that runs jobs, as its agent and the platform report it. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .instants import Instant
from .meta import API_VERSION, Condition, Model, ObjectMeta

DISK_PRESSURE = "DiskPressure"
"""Condition of a worker whose disk is nearly full: what runs goes on, nothing new begins."""

UNITS_KNOWN = "UnitsKnown"
"""Condition: its agent knows what runs there. Where it doesn't, what it does not list may run."""

DEVICE_MEMORY_HELD = "DeviceMemoryHeld"
"""Condition: devices hold memory of units that have ended."""


class Device(Model):
    """One GPU (or OpenCL device) of a worker.

    index: by which leases name it; uuid: by which its driver does; name: as its driver says;
    type: nvidia, amd, intel or cpu; reason: for its enforcement;
    memory: bytes as reported, for display only (the fraction is the unit of account).
    enforcement: whether a lease's memory share is `enforced` or `advisory`, `reason` says why.
    """

    index: int = Field(ge=0)
    uuid: str = ""
    name: str
    type: str
    memory: int = 0
    enforcement: Literal["enforced", "advisory"] = "advisory"
    reason: str = ""


class WorkerSpec(Model):
    """What an operator wants of it. cordoned: it takes no new jobs; drain: its running jobs are
    moved away too; available_until: end of the rental, which no lease passes;
    POSIX seconds, in files also 2026-12-01T10:00:00Z;

    fenced: an operator vouches that nothing runs there, so that its jobs may go elsewhere; it
    takes no work until that is taken back.
    """

    cordoned: bool = Field(default=False, strict=True)
    drain: bool = Field(default=False, strict=True)
    available_until: Instant | None = None
    fenced: bool = Field(default=False, strict=True)


class WorkerStatus(Model):
    """Seen, as its agent and the platform tell. platform: swarm or process; devices: those it has;
    images: ids and tags of the images there; network_isolation: jobs without a network are verified
    to reach nothing; agent_version: of its agent; conditions: named aspects of its state;
    cpus: thousandths of a core; memory, disk: bytes; pids: processes, 0 where unknown;
    last_heartbeat: POSIX seconds; boot_id: changes with each start of the machine;
    dataset_cache: bytes that datasets may take there, 0 where unknown; datasets: digests of those
    that are there;

    node_id: the platform's id for pinning; staging_root: absolute folder on the worker below
    which the agent stages `<unit>/` folders; partitioner: `chronos` or `ledger`.
    """

    node_id: str = ""
    platform: str = ""
    cpus: int = 0
    memory: int = 0
    pids: int = 0
    disk: int = 0
    boot_id: str = ""
    dataset_cache: int = Field(default=0, ge=0)
    datasets: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    partitioner: str = ""
    staging_root: str = ""
    images: tuple[str, ...] = ()
    network_isolation: bool = False
    agent_version: str = ""
    last_heartbeat: float = 0.0
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, or None."""
        return next((c for c in self.conditions if c.type == kind), None)


class Worker(Model):
    """See the module docstring. `metadata.labels` are matched by a job's `nodeSelector`.

    api_version: `cumulus.dev/v1`; kind: `Worker`; metadata: what it is
    called, and bookkeeping; spec: what its
    operator wants of it; status: what it is, as it tells itself.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Worker"] = "Worker"
    metadata: ObjectMeta
    spec: WorkerSpec = WorkerSpec()
    status: WorkerStatus = WorkerStatus()
