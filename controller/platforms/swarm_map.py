"""Between our words and Docker Swarm's: what to post, and what its answers mean. Pure.

Called by `swarm.py` only. Every choice here comes from measurements on Docker 20.10:

- `replicated` with restart condition `none`, since job mode kills nothing on `service rm`.
- The image by id, since a tag makes each task ask a registry first.
- `/work` is a named volume over tmpfs: Swarm's own tmpfs mounts are always noexec, which breaks
  compiled Python modules and OpenCL kernels. Its record outlives the service and is pruned.
- Without any network Swarm gives the default bridge, with internet and with every other job that
  has none: so every job gets a network (see `swarm_networks.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ...crd_like_specs.container_user import ids
from ...crd_like_specs.identity import (
    JOB_UID,
    LABEL_FOLDER,
    LABEL_OWNED,
    owned_labels,
    parse_unit,
)
from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen, ServiceState
from .base import NodeSeen
from .swarm_networks import network_of

Json = Mapping[str, Any]

OWNER: Final = "1"
"""Value of the owner's label, unless a platform is told another (see `SwarmPlatform`)."""

WORK_DIR: Final = "/work"
LOG_MAX_SIZE: Final = "256m"
NANO: Final = 1_000_000_000

_STATES: Final = {
    "new": ServiceState.PENDING,
    "pending": ServiceState.PENDING,
    "allocated": ServiceState.PENDING,
    "assigned": ServiceState.PENDING,
    "accepted": ServiceState.PENDING,
    "preparing": ServiceState.PENDING,
    "ready": ServiceState.PENDING,
    "starting": ServiceState.PENDING,
    "running": ServiceState.RUNNING,
    "complete": ServiceState.COMPLETE,
    "failed": ServiceState.FAILED,
    "shutdown": ServiceState.FAILED,  # stopped from outside: drained, or its node restarted
    "rejected": ServiceState.REJECTED,
    "orphaned": ServiceState.LOST,  # its node was removed from the swarm, it may run on
}
_PLAIN_EXIT: Final = re.compile(r"^task: non-zero exit \(\d+\)$")
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def create_body(service: ServiceSpec, image_id: str, owner: str = OWNER) -> dict[str, Any]:
    """The body of `POST /services/create` for one attempt. image_id: `sha256:…`."""
    labels = {**owned_labels(service.uid, service.attempt, service.job), LABEL_OWNED: owner}
    container: dict[str, Any] = {
        "Image": image_id,
        "Labels": {**labels, LABEL_FOLDER: service.unit_dir},
        "Env": [f"{key}={value}" for key, value in sorted(_env(service).items())],
        "User": _user(service.user),
        "ReadOnly": True,
        "CapabilityDrop": ["ALL"],
        "Privileges": {"NoNewPrivileges": True},  # engines before API 1.44 ignore it
        "Init": True,
        "StopGracePeriod": int(service.stop_grace * NANO),
        "Mounts": _mounts(service, labels),
        "Ulimits": _ulimits(service),
    }
    if service.command:
        container["Command"] = list(service.command)
    if service.args:
        container["Args"] = list(service.args)
    if service.isolated:  # else each look-up of a foreign name stalls 10 s
        container["DNSConfig"] = {
            "Nameservers": ["127.0.0.1"],
            "Options": ["timeout:1", "attempts:1"],
        }
    return {
        "Name": service.name,
        "Labels": labels,
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},  # a virtual address would need IPVS in the kernel
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={service.node_id}"]},
            "Resources": {
                "Limits": {
                    "NanoCPUs": service.cpus * (NANO // 1000),
                    "MemoryBytes": service.memory,
                    "Pids": service.pids,
                }
            },
            "LogDriver": {"Name": "json-file", "Options": {"max-size": LOG_MAX_SIZE}},
            "Networks": [{"Target": network_of(isolated=service.isolated).name}],
        },
    }


def is_owned(labels: Mapping[str, str] | None, owner: str = OWNER) -> bool:
    """True for what bears our label."""
    return (labels or {}).get(LABEL_OWNED) == owner


def current_task(tasks: Sequence[Json]) -> Json | None:
    """The task that tells of a service: one that may run before any ended one, then the newest."""
    if not tasks:
        return None
    return max(tasks, key=lambda t: (not _state_of(t).ended, str(t.get("CreatedAt", ""))))


def may_be_lost(task: Json) -> bool:
    """True where only its node's state tells whether it still runs: Swarm wants it stopped, yet
    does not report it stopped (the node is down, or is just stopping it).
    """
    return not _state_of(task).ended and task.get("DesiredState") not in ("running", "ready")


def service_seen(
    service: Json, tasks: Sequence[Json], *, down: Collection[str] = (), started_at: float = 0.0
) -> ServiceSeen | None:
    """What one service with our label shows; None where its name is not one of ours.

    tasks: this service's; down: ids of nodes known to be down or gone; started_at: when it was
    earlier seen running, as ended tasks no longer tell.
    """
    name = str(service["Spec"]["Name"])
    parsed = parse_unit(name)
    if parsed is None:
        return None
    task = current_task(tasks)
    if task is None:  # just created
        return ServiceSeen(name, *parsed, ServiceState.PENDING)
    status: Json = task.get("Status") or {}
    state, node_id, at = _state_of(task), str(task.get("NodeID", "")), posix_time(status)
    message = str(status.get("Err") or "")
    if node_id in down and not state.ended:
        state, message = ServiceState.LOST, f"node {node_id} is down"
    exit_code = _exit_code(state, status)
    return ServiceSeen(
        name,
        *parsed,
        state,
        exit_code=exit_code,
        message="" if _PLAIN_EXIT.match(message) else message,
        node_id=node_id,
        started_at=at if state is ServiceState.RUNNING else started_at,
        finished_at=at if state.ended else 0.0,
        # Swarm does not tell: SIGKILL that nobody asked for is the memory limit's, most often.
        out_of_memory=state is ServiceState.FAILED and exit_code == 137,
    )


def node_seen(node: Json) -> NodeSeen:
    """One node of `GET /nodes`."""
    status: Json = node.get("Status") or {}
    up = status.get("State") == "ready" and node["Spec"].get("Availability") == "active"
    name = str((node.get("Description") or {}).get("Hostname") or node["ID"])
    return NodeSeen(str(node["ID"]), name, up, str(status.get("Addr", "")))


def is_down(node: Json) -> bool:
    """True where nothing is known any more of what runs there (a drained node is not down)."""
    return (node.get("Status") or {}).get("State") in ("down", "disconnected")


def posix_time(status: Json) -> float:
    """`Timestamp` of a task's status as POSIX seconds, 0 where there is none."""
    return parse_time(str(status.get("Timestamp", "")))


def parse_time(text: str) -> float:
    """RFC 3339 with up to nanoseconds → POSIX seconds; 0 for anything else."""
    match = _TIME.match(text)
    if match is None:
        return 0.0
    zone = "+00:00" if match[3] == "Z" else match[3]
    whole = datetime.fromisoformat(match[1] + zone).astimezone(UTC)
    return whole.timestamp() + float(match[2] or 0)


def _state_of(task: Json) -> ServiceState:
    """A state this code does not know may mean anything, also that it runs."""
    state = str((task.get("Status") or {}).get("State", "new"))
    return _STATES.get(state, ServiceState.LOST)


def _exit_code(state: ServiceState, status: Json) -> int | None:
    container: Json = status.get("ContainerStatus") or {}
    if state is ServiceState.COMPLETE:
        return 0
    if state is not ServiceState.FAILED or "ExitCode" not in container:
        return None
    code = int(container["ExitCode"])
    return code or None  # a failed task's 0 means that its process never told


def _user(user: str) -> str:
    """Always with a group where it is a number: engines take group 0 for one that is not given."""
    found = ids(user, JOB_UID)
    return f"{found[0]}:{found[1]}" if found else user


def _env(service: ServiceSpec) -> dict[str, str]:
    """The root is read-only, so what programs want to write by default goes to /work."""
    return {"HOME": WORK_DIR, **service.env}


def _ulimits(service: ServiceSpec) -> list[dict[str, Any]]:
    """Only lowered ones: raising one above dockerd's own keeps the container from starting."""
    limits = {"core": 0}
    if service.data:
        limits["data"] = service.data
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in limits.items()]


def _mounts(service: ServiceSpec, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    binds = [
        {
            "Type": "bind",
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": not mount.writable,
        }
        for mount in service.mounts
    ]
    # What is written there counts as the job's memory: half of it, so that a full disk is an
    # error the job can handle, and not an out-of-memory kill.
    half = service.memory // 2
    work = {
        "Type": "volume",
        "Source": service.name,
        "Target": WORK_DIR,
        "VolumeOptions": {
            "NoCopy": True,  # else an image's own /work would set owner and mode
            "Labels": dict(labels),
            "DriverConfig": {
                "Name": "local",
                "Options": {
                    "type": "tmpfs",
                    "device": "tmpfs",
                    "o": f"size={half},mode=1777,nosuid,nodev",
                },
            },
        },
    }
    return [*binds, work, _tmpfs("/tmp", half), _tmpfs("/dev/shm", service.shm)]  # noqa: S108 (paths inside the container)


def _tmpfs(target: str, size: int) -> dict[str, Any]:
    return {
        "Type": "tmpfs",
        "Target": target,
        "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777},
    }
