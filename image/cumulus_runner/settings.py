"""What the runner is told by its environment. Reads `os.environ` once, at the start."""

from __future__ import annotations

import os

EXIT_GRACE = 5.0
"""Seconds that threads and exit handlers of the job get once its result is known."""

DRAIN = 0.5
"""Seconds that processes left behind by the job may still write to stdout."""

STOP_GRACE = 0.7
"""Seconds between SIGTERM at the lease's end and the runner's own SIGKILL: the agent's comes after
1 s and would take the envelope with it."""

EXTENDED = 60.0
"""Seconds after the lease's end as it was told at the start, from which on a SIGTERM is another's: a
lease may have been extended since, and who cancels such a job leaves it its whole grace."""


class Settings:
    """Folders and names. deadline: POSIX seconds of the lease's end, 0.0 where there is none;
    gpu_fraction: of each device's memory, 0.0 where there is no GPU; gpu_mib: the same in MiB, by
    device, empty where unknown; data_limit: bytes for RLIMIT_DATA, 0 for none; secret_env: JSON, variable → file of secrets_dir
    from which it is set for the job, "" for none.
    """

    __slots__ = (
        "chronos_partition",
        "data_limit",
        "deadline",
        "env_dir",
        "gpu_device",
        "gpu_fraction",
        "gpu_mib",
        "job_dir",
        "job_id",
        "secret_env",
        "secrets_dir",
        "work_dir",
    )

    def __init__(self) -> None:
        env = os.environ
        self.job_id = env.get("JOB_ID", "")
        self.chronos_partition = env.get("CHRONOS_PARTITION_ID", "")
        self.gpu_device = env.get("GPU_DEVICE", "")
        self.job_dir = os.path.abspath(env.get("CUMULUS_JOB_DIR") or "/job")
        self.env_dir = os.path.abspath(env.get("CUMULUS_ENV_DIR") or "/env")
        self.work_dir = os.path.abspath(env.get("CUMULUS_WORK_DIR") or "/work")
        self.deadline = _number("CUMULUS_DEADLINE")
        self.gpu_fraction = _number("CUMULUS_GPU_MEMORY_FRACTION")
        self.gpu_mib = _sizes("CUMULUS_GPU_MEMORY_MIB")
        self.secrets_dir = env.get("CUMULUS_SECRETS_DIR") or "/run/secrets"
        self.secret_env = env.pop("CUMULUS_SECRET_ENV", "")
        self.data_limit = int(_number("CUMULUS_RLIMIT_DATA"))


def _sizes(name: str) -> list[int]:
    """Whole numbers with commas; none where one of them is none."""
    words = (os.environ.get(name) or "").split(",")
    return [int(word) for word in words] if all(w.isdecimal() and int(w) for w in words) else []


def _number(name: str) -> float:
    """A variable's number; 0.0 where it is missing or none (a limit that nobody can read is none)."""
    try:
        number = float(os.environ.get(name) or 0)
    except ValueError:
        return 0.0
    return number if 0 < number < 1e18 else 0.0
