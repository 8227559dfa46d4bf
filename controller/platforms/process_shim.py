"""The supervisor of one unit on the process platform: runs its command, keeps its output and end.

Run as a program (`python -I -S process_shim.py FOLDER`) by `process.py`, never imported by it;
standard library only, and little of it (not even json), since every unit waits for this to start.
It leaves its launcher's process tree, so it and the job survive the controller, even one killed
with SIGKILL.

Reads `run` in FOLDER: NUL-separated the number of arguments, the arguments, and the environment
as NAME=value. Writes there, each file at once or never:
`shim.json` {"pid", "start", "started_at"} of this process, which also claims the unit: a second
supervisor ends without doing anything; `pid` {"pid", "start"} of the job's leader (start: its
/proc start time), whose process group holds the job; `log.jsonl`, one object per piece of output
{"t": POSIX seconds, "s": "stdout"|"stderr", "d": base64 of at most 16 KiB}; and at the end
`exit.json` {"exit_code": int, "finished_at": float, "message": str}. SIGTERM, SIGINT and SIGUSR1
are passed on to the job's
leader, as a container's engine does; SIGKILL goes to its whole group.
"""

from __future__ import annotations

import binascii
import os
import resource
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # not at run time: it would add a fifth to the start-up
    from collections.abc import Callable

PIECE = 16 << 10
LOG_LIMIT = 256 << 20
DRAIN_SECONDS = 1.0
"""How long output is still read after the job's end: a process that left the group may hold it."""

PIPE = 1 << 20
"""Bytes that may lie unread in a pipe: what it may be set to hold at most."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def main(folder: str) -> int:
    """Returns 0 in the launching process once the job runs (or could not be run: `exit.json`)."""
    os.chdir(folder)  # by relative paths it goes on even where the folder is renamed
    os.umask(0o077)
    with open("run", "rb") as file:  # noqa: PTH123 (pathlib costs start-up)
        count, *words = file.read().split(b"\0")
    command, assignments = words[: int(count)], words[int(count) :]
    env = dict(word.split(b"=", 1) for word in assignments)
    ready_read, ready_write = os.pipe()
    if os.fork():
        os.close(ready_write)
        return 0 if os.read(ready_read, 1) else 1
    os.close(ready_read)
    if _claim():
        _supervise(command, env, lambda: _release(ready_write))
    else:
        _release(ready_write)
    os._exit(0)


def _claim() -> bool:
    """Write `shim.json` unless it is there: a hard link is made once, whole or not at all."""
    pid = os.getpid()
    temporary = f".shim.{pid}"
    text = f'{{"pid": {pid}, "start": {_start_time(pid)}, "started_at": {time.time()}}}'
    _write(temporary, text)
    try:
        os.link(temporary, "shim.json")
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)  # noqa: PTH108 (pathlib costs start-up)
    return True


def _release(ready: int) -> None:
    """Let the launcher go: from here on nothing of it is held."""
    os.write(ready, b"1")
    os.close(ready)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _supervise(command: list[bytes], env: dict[bytes, bytes], release: Callable[[], None]) -> None:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it reaches the wake-up pipe
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    leader, outputs, failure = _start(command, env)
    release()
    log = os.open("log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    code = _pump(leader, outputs, wake_read, _Log(log))
    message = f"the command cannot be run: {os.strerror(failure)}" if failure else ""
    if failure:
        code = 126 if failure in (13, 8) else 127  # EACCES, ENOEXEC: as a shell tells it
    text = f'{{"exit_code": {code}, "finished_at": {time.time()}, "message": "{message}"}}'
    _write(".exit", text)
    os.rename(".exit", "exit.json")  # noqa: PTH104 (pathlib costs start-up)


def _start(command: list[bytes], env: dict[bytes, bytes]) -> tuple[int, dict[int, str], int]:
    """(leader's pid, output pipe → stream, errno of a failed exec or 0).

    The job's first instruction comes only after `pid` is written: whoever finds the unit running
    can always signal it.
    """
    out, err, said, go = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    leader = os.fork()
    if not leader:
        _become_job(command, env, out[1], err[1], said[1], go[0], closing=go[1])
    for fd in (out[1], err[1], said[1], go[0]):
        os.close(fd)
    os.read(said[0], 1)  # it leads its own session and group now
    for number in FORWARDED:
        signal.signal(number, lambda n, _: _signal_leader(leader, n))
    _write(".pid", f'{{"pid": {leader}, "start": {_start_time(leader)}}}')
    os.rename(".pid", "pid")  # noqa: PTH104 (pathlib costs start-up)
    os.write(go[1], b"1")
    os.close(go[1])
    trouble = os.read(said[0], 16)  # closed by a successful exec
    os.close(said[0])
    return leader, {out[0]: "stdout", err[0]: "stderr"}, int(trouble or 0)


def _become_job(
    command: list[bytes],
    env: dict[bytes, bytes],
    out: int,
    err: int,
    said: int,
    go: int,
    closing: int,
) -> None:
    """In the forked child; never returns."""
    try:
        os.close(closing)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (*FORWARDED, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.umask(0o022)
        os.chdir("work")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.write(said, b"1")
        if os.read(go, 1):  # nothing: the supervisor died
            os.execvpe(command[0], command, env)  # noqa: S606 (an argument list, no shell)
    except OSError as error:
        os.write(said, str(error.errno or 5).encode())
    finally:
        os._exit(127)


class _Log:
    """fd: of the log file. What goes beyond the limit or a full disk is dropped, the job runs on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = LOG_LIMIT

    def put(self, stream: str, data: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(data)
        if self._left <= 0:
            stream, data = "stderr", b"cumulus: the output limit is reached, the rest is dropped\n"
        text = binascii.b2a_base64(data, newline=False).decode()
        line = f'{{"t": {time.time():.6f}, "s": "{stream}", "d": "{text}"}}\n'.encode()
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError:
            self._left = 0


def _pump(leader: int, outputs: dict[int, str], wake: int, log: _Log) -> int:
    """Until the leader has ended and its output is read; returns the exit code, 128+n for signals.

    What is left of the group is killed while the leader's zombie still keeps its number taken.
    """
    deadline: float | None = None
    while deadline is None or (outputs and time.monotonic() < deadline):
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([wake, *outputs], [], [], wait)
        for fd in readable:
            if fd == wake:
                _drain(wake)
            elif data := os.read(fd, PIECE):
                log.put(outputs[fd], data)
            else:
                os.close(fd)
                del outputs[fd]
        if deadline is None and os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            deadline = time.monotonic() + DRAIN_SECONDS
            _signal_group(leader, signal.SIGKILL)
    for fd, stream in outputs.items():
        _rest(fd, stream, log)
    _, status = os.waitpid(leader, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _rest(fd: int, stream: str, log: _Log) -> None:
    """What was written in time, however late a busy machine lets us come to read it."""
    os.set_blocking(fd, False)
    left = PIPE  # who left the group may go on writing
    try:
        while left > 0 and (data := os.read(fd, PIECE)):
            log.put(stream, data)
            left -= len(data)
    except BlockingIOError:
        return


def _drain(wake: int) -> None:
    try:
        while os.read(wake, 512):
            pass
    except BlockingIOError:
        return


def _signal_leader(leader: int, number: int) -> None:
    try:
        os.kill(leader, number)
    except ProcessLookupError:  # it has been reaped
        return


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:  # nobody is left
        return


def _start_time(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat: clock ticks since boot; tells a reused pid from the old one."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (pathlib costs start-up)
        return int(file.read().rpartition(b")")[2].split()[19])


def _write(name: str, text: str) -> None:
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123 (pathlib costs start-up)
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
