"""The parent: starts the job as a child, pumps its output, prints the envelope behind it.

Called by runner.py. The child's standard output is a pipe, so that nothing the job prints, at any
time or in any form, can stand in the envelope's line; stderr goes straight through. It imports
little and holds nothing but the result's text.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from . import child, report
from .settings import DRAIN, EXIT_GRACE, EXTENDED, STOP_GRACE, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CHUNK = 64 << 10
_CHUNKS = 16  # of the most that a pipe can be made to hold


def main() -> int:
    """Runs the job; returns the exit code of the container."""
    settings = Settings()
    kills = _out_of_memory_kills()
    result_read, result_write = os.pipe()  # not inherited by programs the job starts
    output_read, output_write = os.pipe()
    # Between fork and its handlers neither process may be hit by a signal for the other.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    pid = os.fork()
    if pid == 0:
        os.close(result_read)
        os.close(output_read)
        os.dup2(output_write, 1)
        os.close(output_write)
        child.run(settings, result_write)
        return 0  # the parent knows the code; here Python ends its threads and exit handlers
    os.close(result_write)
    os.close(output_write)
    job = _Job(pid, output_read, result_read, settings)
    job.follow()
    succeeded, code, middle = job.outcome(kills)
    job.finish(
        report.envelope(
            succeeded, middle, settings, int(time.time()), ".".join(map(str, sys.version_info[:3]))
        )
    )
    return code


class _Job:
    """The child as the parent sees it."""

    def __init__(self, pid: int, output: int, result: int, settings: Settings) -> None:
        self._pid = pid
        self._output = output
        self._result = result
        self._settings = settings
        self._started = time.monotonic()
        self._frame = bytearray()
        self._status: int | None = None  # as waitpid gives it, once the child is gone
        self._stopped_by = 0  # the signal that was to end it
        self._kill_at = float("inf")  # monotonic
        self._line_open = False
        self._reader_gone = False
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        os.set_blocking(result, False)
        os.set_blocking(output, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)

    def follow(self) -> None:
        """Pumps until the child is gone and has nothing more to say."""
        poller = select.poll()
        for fd in (self._output, self._result, self._woken):
            poller.register(fd, select.POLLIN)
        open_fds = {self._output, self._result}
        drain_until = float("inf")
        while True:
            if self._status is None and self._reap():
                drain_until = time.monotonic() + DRAIN
            now = time.monotonic()
            if self._status is not None and (self._output not in open_fds or now >= drain_until):
                break
            if now >= self._kill_at and self._status is None:
                os.kill(self._pid, signal.SIGKILL)
                self._kill_at = float("inf")
            until = min(drain_until, self._kill_at)
            wait = None if until == float("inf") else max(0, int((until - now) * 1000) + 1)
            for fd, _ in poller.poll(wait):
                if not self._read(fd):
                    poller.unregister(fd)
                    open_fds.discard(fd)
        self._read_rest(open_fds)

    def _read_rest(self, open_fds: set[int]) -> None:
        """All of the child's own writing precedes its end, so what it said and reported is in the
        pipes, however late a busy machine lets us come here. What it started may go on writing.
        """
        for _ in range(_CHUNKS):
            if self._output not in open_fds or not self._read(self._output, again=False):
                break
        while self._result in open_fds and self._read(self._result, again=False):
            pass

    def outcome(self, kills_before: int) -> tuple[bool, int, bytes]:
        """(succeeded, exit code, middle of the envelope)."""
        if report.complete(self._frame):
            return report.opened(self._frame)
        seconds = time.monotonic() - self._started
        status = self._status or 0
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            kind, message = "Crashed", f"the job crashed: killed by {_name(number)}"
            if self._stopped_by:
                kind, message = "Terminated", f"terminated by {_name(self._stopped_by)}"
                number = self._stopped_by
            elif number == signal.SIGKILL and _out_of_memory_kills() > kills_before:
                kind, message = "OutOfMemory", "killed: the job needs more than resources.memory"
            code = 128 + number
        else:
            code = os.WEXITSTATUS(status) or 1
            kind = "NoResult"
            message = f"the process ended itself with exit code {os.WEXITSTATUS(status)}, without a result"
        return False, code, report.failure_middle(kind, message, "", seconds).encode("ascii")

    def finish(self, line: bytes) -> None:
        """Prints the envelope on a line of its own, the last one."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        self._write((b"\n" if self._line_open else b"") + line)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._status is not None:
            return
        if number in _STOPPING and not self._stopped_by:
            self._stopped_by = number
            # Long after the end that was told at the start the lease has been extended.
            past = time.time() - self._settings.deadline
            if self._settings.deadline and -0.5 <= past < EXTENDED:
                self._kill_at = min(self._kill_at, time.monotonic() + STOP_GRACE)
        os.kill(self._pid, number)

    def _read(self, fd: int, *, again: bool = True) -> bool:
        """Takes what is there; False at the end of it (without `again`: where nothing is there)."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return again
        if fd == self._output and data:
            self._write(data)
        elif fd == self._result and data:
            self._frame += data
            if report.complete(self._frame):
                self._kill_at = min(self._kill_at, time.monotonic() + EXIT_GRACE)
                return False
        return bool(data)

    def _write(self, data: bytes) -> None:
        self._line_open = not data.endswith(b"\n")
        view = memoryview(data)
        while view and not self._reader_gone:
            try:
                view = view[os.write(1, view) :]
            except BlockingIOError:
                select.select((), (1,), ())
            except OSError:
                # Nobody reads any more; the job goes on, and its end is told by the exit code.
                self._reader_gone = True

    def _reap(self) -> bool:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._status = status
        return bool(pid)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _out_of_memory_kills() -> int:
    """How often the kernel has killed a process of this container for memory; 0 where unknown."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path, "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            continue
        for line in lines:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0
