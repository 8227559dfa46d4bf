"""What the agent last knew of itself, in a file beside its lock: for whoever stands at the worker.

    cumulus-agent status --data DIR [--wait SECONDS]

Exit codes: 0 the controller sees this worker and it can take jobs, 1 not (the lines say why),
2 bad arguments. The file is written by `agent` on each change, the command only reads. I/O.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ...crd_like_specs.worker import WorkerStatus

FILE: Final = "status.json"
_LOOK: Final = 0.2  # seconds between looks at the file


class StatusFile:
    """data: the agent's folder. Never raises OSError: a full disk must not end an agent."""

    def __init__(self, data: Path, worker: str, version: str) -> None:
        self._path = data / FILE
        self._said: dict[str, Any] = {
            "worker": worker,
            "version": version,
            "contact": False,
            "status": None,
        }

    def contact(self, *, contact: bool) -> None:
        """Whether the controller speaks to this agent."""
        self._say(contact=contact)

    def seen(self, status: WorkerStatus) -> None:
        """What is reported to it."""
        self._say(status=status.model_dump(mode="json"))

    def _say(self, **news: Any) -> None:
        said = {**self._said, **news}
        if said == self._said and self._path.exists():
            return
        self._said = said
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps(said), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)


def verdict(said: dict[str, Any] | None, *, running: bool) -> tuple[bool, list[str]]:
    """Whether the worker can take jobs, and what to tell. Pure; said: the file, None: there is none."""
    if not running or said is None:
        return False, ["the agent does not run"]
    status = WorkerStatus.model_validate(said["status"]) if said["status"] else WorkerStatus()
    contact = f"worker {said['worker']}: " + (
        "the controller sees it" if said["contact"] else "no contact to the controller"
    )
    isolation = status.condition("NetworkIsolated")
    missing = isolation is None or isolation.reason == "ImageMissing"
    lines = [contact, f"{status.cpus / 1000:g} CPUs, {status.memory / 2**30:.1f} GiB of memory"]
    for device in status.devices:
        why = f": {device.reason}" if device.reason else ""
        lines.append(
            f"device {device.index}: {device.name}, {device.memory / 2**30:.1f} GiB, "
            f"shares are {device.enforcement}{why}"
        )
    if not status.devices:
        lines.append("no device: this worker takes jobs without a GPU only")
    lines.append(f"shares are held by: {status.partitioner or 'nobody yet'}")
    if missing:
        lines.append("the job image is not here yet")
    lines += [
        f"{c.type}: {'yes' if c.status else 'no'}{f' ({c.message})' if c.message else ''}"
        for c in status.conditions
    ]
    return bool(said["contact"]) and not missing, lines


def read(data: Path) -> tuple[dict[str, Any] | None, bool]:
    """The file, and whether the agent that holds the folder runs. Its lock is not tried: an agent
    that starts at that moment would find it taken.
    """
    try:
        said = json.loads((data / FILE).read_text(encoding="utf-8"))
        holder = int((data / "lock").read_text(encoding="utf-8"))
        return said, b"agent" in Path(f"/proc/{holder}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None, False


def main(argv: Sequence[str]) -> int:
    """See the module docstring."""
    parser = argparse.ArgumentParser(
        prog="cumulus-agent status", description="Whether this worker can take jobs, and why not."
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="the agent's folder"
    )
    parser.add_argument(
        "--wait", default=0.0, type=float, metavar="SECONDS", help="until it can, at most so long"
    )
    given = parser.parse_args(argv)
    end = time.monotonic() + given.wait
    while True:
        said, running = read(given.data)
        ready, lines = verdict(said, running=running)
        if ready or time.monotonic() >= end:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            return 0 if ready else 1
        time.sleep(_LOOK)
