"""One unit's folder on the process platform: read it, judge it, end it. File and signal I/O.

The files are described in `process_shim.py`. Called by `process.py`, in threads.
"""

from __future__ import annotations

import binascii
import json
import os
import secrets
import shutil
import signal
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ...crd_like_specs.identity import LABEL_OWNED, owned_labels, parse_unit
from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen, ServiceState
from .base import LogFrame

END_SECONDS: Final = 5.0
"""After SIGKILL a process is gone within milliseconds, unless the kernel holds it in I/O."""


def write_new(
    root: Path, service: ServiceSpec, command: Sequence[str], env: Mapping[str, str]
) -> bool:
    """Make the unit's folder, whole or not at all; False where there is one already."""
    building = root / f".new-{service.name}-{secrets.token_hex(4)}"
    (building / "work").mkdir(parents=True, mode=0o700)
    labels = owned_labels(service.uid, service.attempt, service.job)
    told = json.dumps({"labels": labels, "command": command}).encode()
    _write_private(building / "service.json", told)
    words = [str(len(command)), *command, *(f"{key}={value}" for key, value in env.items())]
    _write_private(building / "run", b"\0".join(os.fsencode(word) for word in words))
    try:
        building.rename(root / service.name)
    except OSError:  # there is one, and it isn't empty
        shutil.rmtree(building)
        if not (root / service.name).exists():
            raise
        return False
    return True


def is_owned(folder: Path) -> bool:
    """True for a folder that this platform made."""
    service = _read(folder / "service.json")
    return parse_unit(folder.name) is not None and LABEL_OWNED in service.get("labels", {})


def look(folder: Path, node_id: str) -> ServiceSeen | None:
    """What the unit shows; None for a folder that isn't ours. Kills what a dead supervisor left."""
    parsed = parse_unit(folder.name)
    if parsed is None or not is_owned(folder):
        return None
    shim = _read(folder / "shim.json")
    since = float(shim.get("started_at", 0.0))
    state, code, message, finished = ServiceState.PENDING, None, "", 0.0
    end = _read(folder / "exit.json")
    if shim and not end and not alive(shim):
        end = _read(folder / "exit.json")  # it may have ended between the two looks
        if not end and not folder.exists():
            return None  # removed between the two looks
        if not end:
            kill_group(folder)
            lost = "its supervisor was killed, so how it ended is unknown"
            end = {"exit_code": None, "message": lost, "finished_at": _changed_at(folder)}
    if end:
        code, message = end["exit_code"], str(end.get("message", ""))
        state = ServiceState.COMPLETE if code == 0 else ServiceState.FAILED
        finished = float(end["finished_at"])
    elif shim and (folder / "pid").exists():
        state = ServiceState.RUNNING
    return ServiceSeen(
        folder.name,
        *parsed,
        state,
        exit_code=code,
        message=message,
        node_id=node_id,
        started_at=since,
        finished_at=finished,
    )


def read_log(folder: Path) -> list[LogFrame]:
    """Every whole line of the unit's output; a torn last one is left out."""
    try:
        lines = (folder / "log.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    pieces = (json.loads(line) for line in lines)
    return [LogFrame(p["s"], float(p["t"]), binascii.a2b_base64(p["d"])) for p in pieces]


def supervisor(folder: Path) -> int:
    """Pid of the unit's living supervisor, 0 where there is none."""
    shim = _read(folder / "shim.json")
    return int(shim["pid"]) if shim and alive(shim) else 0


def started(folder: Path) -> bool:
    """True once a supervisor has claimed the unit."""
    return (folder / "shim.json").exists()


def end(folder: Path) -> None:
    """Kill the job's group and wait for its supervisor to write down the end; blocks.

    TimeoutError where it does not end within END_SECONDS.
    """
    kill_group(folder)
    until = time.monotonic() + END_SECONDS
    while pid := supervisor(folder):
        if time.monotonic() > until:
            raise TimeoutError(f"process {pid} of {folder.name} does not end")
        time.sleep(0.002)
        kill_group(folder)  # it may have been about to start


def delete(folder: Path) -> None:
    """Delete the folder: out of sight at once, then its files, whatever modes the job gave them."""
    going = folder.with_name(f".gone-{folder.name}-{secrets.token_hex(4)}")
    folder.rename(going)
    for path, folders, _ in os.walk(going):
        for name in folders:
            if not (Path(path) / name).is_symlink():
                (Path(path) / name).chmod(stat.S_IRWXU)
    shutil.rmtree(going)


def alive(who: Mapping[str, Any]) -> bool:
    """True where the process {"pid", "start"} runs: the same one, and not a zombie."""
    try:
        fields = Path(f"/proc/{int(who['pid'])}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != b"Z" and int(fields[19]) == int(who["start"])


def kill_group(folder: Path) -> None:
    """SIGKILL to the job's process group, if its leader is still the one we started."""
    leader = _read(folder / "pid")
    if leader and alive(leader):
        try:
            os.killpg(int(leader["pid"]), signal.SIGKILL)
        except ProcessLookupError:  # it ended just now
            return


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, {} where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_private(path: Path, content: bytes) -> None:
    """Only this user may read it: a job's environment may hold secrets."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def _changed_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
