"""From a script's `work()` to a program: settings, time bound, signals, statistics, exit code.

    ended         when                                             exit code
    complete      all rounds are done                              0
    time limit    --seconds are over, or the lease nearly is       0
    terminated    SIGTERM, SIGINT                                  143, 130
    failed        a check, or any other error                      1

In every case the statistics are written, and stand as the last line on stdout.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from . import settings, stats
from .run import CheckFailedError, Run, Stop

BEFORE_LEASE_ENDS: Final = 5.0
"""Seconds by which a run ends before its lease (CUMULUS_DEADLINE), statistics included."""

TIME_LIMIT: Final = "time limit"
TERMINATED: Final = "terminated"


def main(work: Callable[[Run], None], script: str, about: str | None) -> int:
    """Runs `work` by the program's arguments; returns the exit code. script: the file, by whose
    name the workload is called; about: its docstring, of which the first line is shown.
    """
    name, title = Path(script).stem, (about or "").strip().partition("\n")[0]
    given = settings.parse(name, title, sys.argv[1:], os.environ)
    started, began = time.time(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}.", ignore_cleanup_errors=True) as scratch:
        run = Run(given.seed, given.scale, given.rounds, Path(scratch))
        stopper = _Stopper(run)
        stopper.listen(_seconds(given.seconds, started))
        print(f"{name}: {title} Seed {run.seed}, {run.planned} rounds.", flush=True)
        ended, error = _ended(work, run, stopper)
    text = stats.line(
        stats.collect(
            run,
            name=name,
            about=title,
            ended=ended,
            error=error,
            started=started,
            seconds=time.monotonic() - began,
        )
    )
    code = {"failed": 1, TERMINATED: 128 + stopper.signal}.get(ended, 0)
    try:
        stats.write(given.results, name.partition("_")[0], text)
    except OSError as e:
        print(f"{name}: the statistics cannot be written: {e}", file=sys.stderr)
        code = code or 1
    print(text, flush=True)
    return code


def _ended(work: Callable[[Run], None], run: Run, stopper: _Stopper) -> tuple[str, str]:
    """How it ended, and the error where it failed."""
    try:
        try:
            stopper.may_raise = True
            work(run)
        finally:
            stopper.may_raise = False
    except Stop:
        return run.stopped_by, ""
    except CheckFailedError as e:
        return "failed", str(e)
    except Exception as e:  # noqa: BLE001 (whatever it is, the statistics tell it)
        traceback.print_exc()
        return "failed", f"{type(e).__name__}: {e}"
    return "complete", ""


def _seconds(limit: float, now: float) -> float:
    """The time bound: the limit, or what is left of the lease (POSIX seconds in the environment)."""
    try:
        left = float(os.environ["CUMULUS_DEADLINE"]) - now - BEFORE_LEASE_ENDS
    except (KeyError, ValueError):
        return limit
    return max(0.1, min(limit, left))


class _Stopper:
    """Turns signals into one `Stop`, raised where the workload is.

    may_raise: only while the workload runs, so that what comes after it is not torn apart.
    """

    def __init__(self, run: Run) -> None:
        self.may_raise = False
        self.signal = 0
        self._run = run

    def listen(self, seconds: float) -> None:
        """From now on; the time bound begins."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._run.stopped_by:
            return
        self.signal = number
        self._run.stopped_by = TIME_LIMIT if number == signal.SIGALRM else TERMINATED
        if self.may_raise:
            raise Stop
