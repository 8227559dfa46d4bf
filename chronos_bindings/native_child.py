"""The process in which chronos-gpu lives; started by `native.py`, never imported for its effects.

Does I/O. Standard library and `chronos` only, run as a file: `native_child.py IN OUT`. IN and OUT
are the numbers of two inherited pipe ends carrying one JSON object a line:

    ← {"ready": true}                                       or {"error": "…"} and the end
    → {"op": "create", "device": 0, "memory": 0.5, "seconds": 90}
    ← {"ok": "partition_…"}                                 or {"error": "…", "detail": "…"}
    → {"op": "release", "id": "partition_…"}                ← {"ok": true}
    → {"op": "list"}                                        ← {"ok": ["partition_…", …]}
    → {"op": "available", "device": 0}                      ← {"ok": 50.0}, percent
    → {"op": "stop"}                                        ← {"ok": true} and the end

fd 1 is /dev/null for good: Chronos prints there while it holds its mutex, and a full pipe would
stop it for ever. fd 2 is a file the parent made: emptied before each call, so that what stands in
it afterwards is the reason of a failure (Chronos's own error text always reads the same).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any, Protocol, TextIO

_PR_SET_PDEATHSIG = 1
_REASON_LIMIT = 4096
LOCK_DIR = "/tmp/chronos_locks"  # noqa: S108 (hard-coded in Chronos, not our choice)


class Chronos(Protocol):
    """What is used of `chronos.Partitioner`. memory: fraction; duration: whole seconds."""

    def create_raw(self, device: int, memory: float, duration: int) -> str:
        """Take a share and give its id."""

    def release(self, partition_id: str) -> bool:
        """Give it back."""

    def get_available(self, device: int) -> float:
        """What is free, in percent (its own documentation says fraction)."""

    def list(self) -> list[Any]:
        """Objects with `partition_id`; their device index is always 0, so it is of no use."""


def answer(chronos: Chronos, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request; an error becomes a reply, never an exception."""
    _forget_reason()
    try:
        return {"ok": _carry_out(chronos, request)}
    except Exception as e:  # noqa: BLE001 (whatever the native library raises is the caller's news)
        return {"error": f"{type(e).__name__}: {e}", "detail": _reason()}


def serve(chronos: Chronos, requests: TextIO, replies: TextIO) -> None:
    """Answer until `stop` or the end of `requests`, then give everything back."""
    for line in requests:
        request = json.loads(line)
        if request["op"] == "stop":
            _release_all(chronos)
            _say(replies, {"ok": True})
            return
        _say(replies, answer(chronos, request))
    _release_all(chronos)


def _carry_out(chronos: Chronos, request: dict[str, Any]) -> object:
    op = request["op"]
    if op == "create":
        return _create(chronos, request["device"], request["memory"], request["seconds"])
    if op == "release":
        return _release(chronos, request["id"])
    if op == "list":
        return [info.partition_id for info in chronos.list()]
    if op == "available":
        return chronos.get_available(request["device"])
    raise ValueError(f"unknown op {op!r}")


def _create(chronos: Chronos, device: int, memory: float, seconds: int) -> str:
    # A cleaner of /tmp may have removed the folder, and Chronos makes it only once.
    os.makedirs(LOCK_DIR, exist_ok=True)  # noqa: PTH103 (os alone keeps this file quick to start)
    return chronos.create_raw(device, memory, seconds)


def _release(chronos: Chronos, partition_id: str) -> bool:
    """True also for what has expired, where Chronos raises: the share is free either way."""
    try:
        return chronos.release(partition_id)
    except Exception:  # of what is gone already it says "not found": then nothing went wrong
        if any(info.partition_id == partition_id for info in chronos.list()):
            raise
        return True


def _release_all(chronos: Chronos) -> None:
    """So that no lock file stays behind."""
    for info in chronos.list():
        # It may expire meanwhile, and a lock file left behind is swept at the next start.
        with contextlib.suppress(Exception):
            chronos.release(info.partition_id)


def _say(replies: TextIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _forget_reason() -> None:
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)


def _reason() -> str:
    text = os.pread(2, _REASON_LIMIT, 0).decode(errors="replace")
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _die_with(parent: int) -> None:
    """SIGKILL for us when the parent's supervising thread is gone, however it went."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def main(argv: list[str]) -> int:
    """Arguments: number of the pipe to read, of the pipe to write, and the parent's process id."""
    requests_fd, replies_fd, parent = (int(text) for text in argv)
    _die_with(parent)
    # The terminal's Ctrl-C is for the parent, which will say `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del sys.path[0]  # the script's own folder: its modules must not shadow anyone's
    with os.fdopen(requests_fd) as requests, os.fdopen(replies_fd, "w") as replies:
        _forget_reason()
        try:
            from chronos import Partitioner  # noqa: PLC0415 (only this process may load it)

            chronos = Partitioner()
        except Exception as e:  # noqa: BLE001 (missing, stub or broken: the parent is told which)
            _say(replies, {"error": f"{type(e).__name__}: {e}", "detail": _reason()})
            return 1
        _say(replies, {"ready": True, "detail": _reason()})
        serve(chronos, requests, replies)
        # The destructor would wait for the monitor thread for up to a second.
        replies.flush()
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
