"""One life of the child process that holds Chronos, and the lock files such lives leave. I/O.

Called by `native.py` only. The child is started by spawning, never by forking: a forked child of
a process that uses Chronos deadlocks, and its exit deletes the parent's lock files.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .native_child import LOCK_DIR

_SCRIPT: Final = Path(__file__).with_name("native_child.py")
_LOCK_FILE: Final = re.compile(r"partition_(\d+)_\d+_\d+\.lock")
_LAST_WORDS: Final = 2000


class ChildGoneError(Exception):
    """The child has ended or never came up; the text says how, as far as it is known."""


class Child:
    """A running `native_child.py`. One thread runs `greet` and `watch`, others use `call`.

    The thread that constructs it must live as long as the child: the kernel kills the child when
    that thread ends (PR_SET_PDEATHSIG).
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.notes = ""  # what the driver had to say while it came up
        self._calling = threading.Lock()  # a call in flight, or the burial
        self._buried = False
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        # A file and no pipe: nobody needs to read it for the child to go on.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `bury`)
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(_SCRIPT),
                    str(requests_out),
                    str(replies_in),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(requests_out, replies_in),
                env=dict(env),
                start_new_session=True,
            )
        except OSError as e:
            self._close_pipes()
            raise ChildGoneError(f"cannot start {sys.executable}: {e.strerror or e}") from e
        finally:
            os.close(requests_out)
            os.close(replies_in)
        self.pid = self._process.pid

    def greet(self, timeout: float) -> None:
        """Wait until Chronos is up; raises ChildGoneError with the reason when it isn't."""
        if not select.select([self._replies], [], [], timeout)[0]:
            self.kill()
            raise ChildGoneError(f"Chronos did not come up within {timeout:g} s: {self._dying()}")
        self._reader = os.fdopen(self._replies, encoding="utf-8", closefd=False)
        line = self._reader.readline()
        if not line:
            raise ChildGoneError(self._dying())
        hello = json.loads(line)
        if not hello.get("ready"):
            raise ChildGoneError(explain(hello))
        self.notes = str(hello.get("detail") or "")

    def watch(self) -> str:
        """Hand answers to `call` until the child is gone; says how it went."""
        for line in self._reader:
            self._answers.put(json.loads(line))
        self._answers.put(None)
        return self._dying()

    def call(self, request: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """Ask and wait for the answer. Raises ChildGoneError when none will come."""
        with self._calling:
            reply = None if self._buried else self._ask(request, timeout)
        if reply is None:
            raise ChildGoneError("Chronos's process has ended")
        return reply

    def _ask(self, request: Mapping[str, object], timeout: float) -> dict[str, Any] | None:
        try:
            os.write(self._requests, json.dumps(request).encode() + b"\n")
            return self._answers.get(timeout=timeout)
        except BrokenPipeError:
            return None
        except queue.Empty as e:
            self.kill()
            raise ChildGoneError(f"Chronos did not answer within {timeout:g} s") from e

    def kill(self) -> None:
        """End it at once; its lock files stay for the sweep."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def bury(self) -> None:
        """Reap it and close everything; later calls fail as for any dead child."""
        self.kill()
        self._process.wait()
        with self._calling:
            self._buried = True
            self._close_pipes()

    def _dying(self) -> str:
        """How it ended: exit status or signal, and the last it wrote to stderr."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        size = os.fstat(self._stderr.fileno()).st_size
        start = max(0, size - _LAST_WORDS)
        words = os.pread(self._stderr.fileno(), _LAST_WORDS, start).decode(errors="replace")
        return f"Chronos's process ended {how}" + (f": {words.strip()}" if words.strip() else "")

    def _close_pipes(self) -> None:
        for fd in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._stderr.close()


def explain(reply: Mapping[str, Any]) -> str:
    """The reason in a reply that bears an error: what the driver wrote says more than Chronos."""
    detail = str(reply.get("detail") or "")
    return f"{detail} ({reply['error']})" if detail else str(reply["error"])


def sweep_locks(folder: str = LOCK_DIR) -> int:
    """Remove lock files of processes that are gone, and say how many. Nothing reads them."""
    try:
        # Not through a link: anyone may write to /tmp.
        where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return 0
    removed = 0
    try:
        for name in os.listdir(where):  # noqa: PTH208 (a Path cannot hold a descriptor)
            match = _LOCK_FILE.fullmatch(name)
            if match and not _alive(int(match[1])):
                with contextlib.suppress(OSError):  # swept by another, or not ours to remove
                    os.unlink(name, dir_fd=where)
                    removed += 1
    finally:
        os.close(where)
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
