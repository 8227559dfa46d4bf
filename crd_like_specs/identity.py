"""Deterministic names and labels shared by controller, agent and image. Pure.

Whoever looks for a service, lease or container computes its name; nobody remembers ids.
"""

from __future__ import annotations

import re
from typing import Final

LABEL_OWNED: Final = "dev.cumulus.owned"  # "1" on everything Cumulus made; nothing else is touched
LABEL_UID: Final = "dev.cumulus.uid"
LABEL_ATTEMPT: Final = "dev.cumulus.attempt"
LABEL_JOB: Final = "dev.cumulus.job"
LABEL_FOLDER: Final = "dev.cumulus.folder"  # of the unit, below its agent's staging root
LABEL_PYTHON: Final = "dev.cumulus.python"  # on job images: the version of their Python

NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TEMPLATE_PATTERN: Final = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
UID_PATTERN: Final = r"^[0-9a-f]{32}$"
DIGEST_PATTERN: Final = r"^sha256:[0-9a-f]{64}$"

NODE_THIS_MACHINE: Final = "this-machine"  # id of the process platform's only node

NETWORK_ISOLATED: Final = "cumulus-isolated"  # the network of jobs with `network: None`
NETWORK_ISOLATED_CONFIG: Final = "cumulus-isolated-config"  # its node-local configuration
BRIDGE_ISOLATED: Final = "cml-iso0"  # its bridge, at most 15 characters
NETWORK_EGRESS: Final = "cumulus-egress"  # of jobs with `network: Egress`: out, but not to others
NETWORK_EGRESS_CONFIG: Final = "cumulus-egress-config"
BRIDGE_EGRESS: Final = "cml-egr0"
NETWORK_PREPARE: Final = "cumulus-prepare"  # a node's own, in which requirements are installed
BRIDGE_PREPARE: Final = "cml-prp0"

ENV_RLIMIT_DATA: Final = "CUMULUS_RLIMIT_DATA"
"""Environment variable with the bytes of data that each process of a job may have: the runner sets
it as its limit, and the platform does for images that bring no runner."""

ENV_GPU_MIB: Final = "CUMULUS_GPU_MEMORY_MIB"
"""Environment variable with the MiB of each device's memory that a job may use, in the order in
which it sees them, with commas."""

MPS_PIPE_DIRS: Final = (
    "/tmp/nvidia-mps",  # noqa: S108 (NVIDIA's own default)
    "/run/nvidia-mps",
    "/run/nvidia/mps",
    "/run/mps",
)
"""Folders in which a worker's MPS daemon may have its pipes. The agent looks nowhere else, and the
controller gives no other folder of a worker to a container, whatever an agent reports."""

MPS_PIPE_TARGET: Final = "/run/nvidia-mps"
"""Where a container finds them."""

JOB_UID: Final = 1000
"""The user, and the group, that containers of jobs run as."""

_UNIT = re.compile(r"^cumulus-([0-9a-f]{32})-([1-9][0-9]*)$")


def unit_name(uid: str, attempt: int) -> str:
    """Name of one attempt everywhere: Swarm service, lease, staging folder, log spool.

    uid: 32 hex digits; attempt: 1, 2, … The result is at most 63 characters and DNS-valid.
    """
    return f"cumulus-{uid}-{attempt}"


def parse_unit(name: str) -> tuple[str, int] | None:
    """(uid, attempt) of a name made by `unit_name`, or None for any other name."""
    match = _UNIT.match(name)
    return (match[1], int(match[2])) if match else None


def owned_labels(uid: str, attempt: int, job: str) -> dict[str, str]:
    """Labels that mark a platform object as the one of this attempt."""
    return {LABEL_OWNED: "1", LABEL_UID: uid, LABEL_ATTEMPT: str(attempt), LABEL_JOB: job}
