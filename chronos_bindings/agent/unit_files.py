"""The files by which the process platform and the agent share a unit. Reading pure where it can.

Called by `runtime_process`. In `<units_root>/<unit>/`: `service.json` (its existence announces the
unit), `pid` ({"pid", "start"}: leader of the job's process group and its start time in /proc's
clock ticks), `shim.json` (the same of the supervisor, which writes the rest), `log.jsonl`
({"t", "s", "d"} a line) and `exit.json` ({"exit_code", "finished_at"}).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ...crd_like_specs.errors import Temporary
from ...crd_like_specs.identity import LABEL_OWNED
from .ports import RawFrame

SERVICE: Final = "service.json"
PID: Final = "pid"
SHIM: Final = "shim.json"
LOG: Final = "log.jsonl"
EXIT: Final = "exit.json"
_PROC: Final = Path("/proc")
_STREAMS: Final[dict[str, Literal["stdout", "stderr"]]] = {"stdout": "stdout", "stderr": "stderr"}


@dataclass(frozen=True, slots=True)
class Leader:
    """Leader of a process group. start: clock ticks after boot, which no later process of the
    same pid shares.
    """

    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class Exit:
    """How the unit ended. finished_at: POSIX seconds."""

    code: int
    finished_at: float


def parse_log(data: bytes) -> tuple[list[RawFrame], int]:
    """The frames of the whole lines in `data`, and how many bytes those lines have.

    Raises Temporary(reason="LogBroken") for a line that is no frame.
    """
    end = data.rfind(b"\n") + 1
    return [_frame(line) for line in data[:end].split(b"\n")[:-1]], end


def _frame(line: bytes) -> RawFrame:
    try:
        raw = json.loads(line)
        stream = _STREAMS[raw["s"]]
        return RawFrame(stream, float(raw["t"]), base64.b64decode(raw["d"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error) as e:
        raise Temporary(f"a log line is not understood: {line[:80]!r}", reason="LogBroken") from e


def read_leader(folder: Path) -> Leader | None:
    """None before the job's process was started."""
    raw = _json(folder / PID)
    return Leader(int(raw["pid"]), int(raw["start"])) if raw else None


def read_supervisor(folder: Path) -> Leader | None:
    """None before it has claimed the unit."""
    raw = _json(folder / SHIM)
    return Leader(int(raw["pid"]), int(raw["start"])) if raw else None


def read_exit(folder: Path) -> Exit | None:
    """None while it runs, and for ever where what ran it died."""
    raw = _json(folder / EXIT)
    return Exit(int(raw["exit_code"]), float(raw["finished_at"])) if raw else None


def is_owned(folder: Path) -> bool:
    """Whether this is a unit's folder that bears our label."""
    raw = _json(folder / SERVICE)
    labels = raw.get("labels") if raw else None
    return isinstance(labels, dict) and labels.get(LABEL_OWNED) == "1"


def _json(path: Path) -> Mapping[str, Any] | None:
    """None where there is no file, or one that is still being written."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return raw if isinstance(raw, dict) else None


def group(leader: Leader, proc: Path = _PROC) -> list[int]:
    """Pids in the leader's process group that run, zombies left out.

    Empty if the leader's pid was given to another process since: a pid in use as a group's number
    is not given away, so that the group was empty then.
    """
    found = []
    for pid in (int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal()):
        stat = process_stat(pid, proc)
        if stat is None:
            continue
        if pid == leader.pid and stat.start != leader.start:
            return []
        if stat.group == leader.pid and stat.state not in "ZX":
            found.append(pid)
    return found


@dataclass(frozen=True, slots=True)
class Stat:
    """Of one process. state: R, S, D, Z…; start: clock ticks after boot."""

    state: str
    group: int
    start: int


def process_stat(pid: int, proc: Path = _PROC) -> Stat | None:
    """None where there is no such process."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a command name may hold blanks and parentheses
    return Stat(fields[0], int(fields[2]), int(fields[19]))


def boot_time(proc: Path = _PROC) -> float:
    """POSIX seconds of the start of this machine."""
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
