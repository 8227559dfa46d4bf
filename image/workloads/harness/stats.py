"""The statistics of a run: what stands in them, and how they get to their file. I/O in `write`."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from typing import Any

from .run import Run


def collect(
    run: Run, *, name: str, about: str, ended: str, error: str, started: float, seconds: float
) -> dict[str, Any]:
    """See the README for each field. started: POSIX seconds; seconds: of wall time since."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "workload": name,
        "kind": name.partition("_")[0],
        "about": about,
        "seed": run.seed,
        "scale": run.scale,
        "ended": ended,
        "error": error,
        "rounds_planned": run.planned,
        "rounds_done": run.done,
        "checks": run.checks,
        "checksum": run.checksum,
        "device": run.device,
        "note": run.note,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_memory_bytes": used.ru_maxrss * 1024,
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "python": platform.python_version(),
        "job": os.environ.get("JOB_ID", ""),
        "parameters": run.parameters,
        "counters": run.counters,
        "values": run.values,
    }


def line(stats: dict[str, Any]) -> str:
    """One line of ASCII; NaN and infinities, which JSON has not, become null."""
    values = {k: v if abs(v) < float("inf") else None for k, v in stats["values"].items()}
    return json.dumps({**stats, "values": values}, allow_nan=False)


def write(folder: str, kind: str, text: str) -> str:
    """Puts the text into `<kind>_stats.json` of the folder, whole or not at all; returns its path.

    A folder that is a link to one that does not exist yet is made there. OSError where it cannot.
    """
    folder = os.path.realpath(folder)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{kind}_stats.json")
    part = f"{path}.{os.getpid()}.part"
    with open(part, "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.replace(part, path)
    return path
