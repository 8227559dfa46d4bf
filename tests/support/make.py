"""Short ways to write down situations: jobs, leases, services, workers, what was seen."""

from __future__ import annotations

from typing import Any

from cumulus.controller.reconcile.observed import (
    Free,
    LogsSeen,
    ResultSeen,
    Seen,
    ServiceSeen,
    ServiceState,
    Unready,
    WorkerSeen,
)
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.lease import Lease, LeaseSpec, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Device, Worker, WorkerSpec, WorkerStatus

UID = "0" * 31 + "1"
DIGEST = "sha256:" + "a" * 64
T = 1000.0
OK = LogsSeen(complete=True, result=ResultSeen(10, ok=True))
BAD = LogsSeen(complete=True, result=ResultSeen(10, ok=False, error_type="ValueError", error="x"))
EMPTY = LogsSeen(complete=True)


def spec(**fields: Any) -> JobSpec:
    base: dict[str, Any] = {"code": {"digest": DIGEST}, "gpu": {"memory": 0.5}, "duration": 60}
    if "image" in fields:
        del base["code"]
    return JobSpec.model_validate({**base, **fields})


def job(
    phase: Phase = Phase.PENDING,
    *,
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    name: str = "train",
    uid: str = UID,
    **fields: Any,
) -> Job:
    wanted = spec(**fields)
    seen = {
        "phase": phase,
        "attempt": 1,
        "first_attempt": 1,
        "observed_generation": 1,
        "run_hash": wanted.run_hash(),
        "submitted_at": T,
        **(status or {}),
    }
    return Job(
        metadata=ObjectMeta(name=name, uid=uid, creation_timestamp=T, **(meta or {})),
        spec=wanted,
        status=JobStatus(**seen),
    )


def lease(
    state: LeaseState = LeaseState.HELD,
    *,
    attempt: int = 1,
    held_at: float = T,
    released: bool = False,
    worker: str = "n1",
    uid: str = UID,
    status: dict[str, Any] | None = None,
    **fields: Any,
) -> Lease:
    base = {"devices": (0,), "memory_milli": 500, "duration": 60, "cpus": 1000, "memory": 1 << 30}
    wanted = LeaseSpec(
        job=uid, job_name="train", attempt=attempt, worker=worker, **{**base, **fields}
    )
    held = state in (LeaseState.HELD, LeaseState.ENDING, LeaseState.ENDED)
    seen = {
        "held_at": held_at if held else 0.0,
        "expires_at": held_at + wanted.duration if held else 0.0,
        "partition_ids": ("p1",) if held else (),
        **(status or {}),
    }
    return Lease(
        metadata=ObjectMeta(
            name=unit_name(uid, attempt), uid=uid, deletion_timestamp=T if released else None
        ),
        spec=wanted,
        status=LeaseStatus(state=state, **seen),
    )


def service(
    state: ServiceState = ServiceState.RUNNING, *, attempt: int = 1, uid: str = UID, **fields: Any
) -> ServiceSeen:
    return ServiceSeen(unit_name(uid, attempt), uid, attempt, state, **fields)


def worker(
    name: str = "n1",
    *,
    devices: int = 1,
    cpus: int = 8000,
    memory: int = 32 << 30,
    labels: dict[str, str] | None = None,
    kind: str = "nvidia",
    status: dict[str, Any] | None = None,
    **wanted: Any,
) -> Worker:
    return Worker(
        metadata=ObjectMeta(name=name, uid=name, labels=labels or {}),
        spec=WorkerSpec(**wanted),
        status=WorkerStatus(
            **{
                "node_id": f"node-{name}",
                "platform": "swarm",
                "cpus": cpus,
                "memory": memory,
                "network_isolation": True,
                "staging_root": "/var/lib/cumulus/staged",
                "devices": tuple(Device(index=i, name="H200", type=kind) for i in range(devices)),
                **(status or {}),
            }
        ),
    )


def worker_seen(
    of: Worker | None = None,
    *,
    ready: bool = True,
    known: bool = True,
    silent: float = 0.0,
    milli: dict[int, int] | None = None,
    cpus: int | None = None,
    memory: int | None = None,
    contact: bool | None = None,
    contact_since: float = 0.0,
    node_up: bool = True,
    unready: Unready | None = None,
) -> WorkerSeen:
    of = of or worker()
    free = Free(
        {d.index: 1000 for d in of.status.devices} | (milli or {}),
        of.status.cpus if cpus is None else cpus,
        of.status.memory if memory is None else memory,
    )
    return WorkerSeen(
        of,
        free,
        ready=ready,
        known=known,
        heard_at=T - silent,
        contact=ready if contact is None else contact,
        contact_since=contact_since,
        node_up=node_up,
        unready=unready,
    )


def seen(*things: Any, workers: tuple[WorkerSeen, ...] | None = None, **fields: Any) -> Seen:
    return Seen(
        services=tuple(x for x in things if isinstance(x, ServiceSeen)),
        leases=tuple(x for x in things if isinstance(x, Lease)),
        workers=(worker_seen(),) if workers is None else workers,
        logs=next((x for x in things if isinstance(x, LogsSeen)), LogsSeen()),
        default_image="sha256:image",
        **fields,
    )
