"""Jobs for tests, as the text that a user applies."""

from __future__ import annotations

import json
from typing import Any

COUNTS = """
import os, signal, time
def main(seconds, stubborn=False):
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begun, n = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        print('attempt', os.environ['CUMULUS_ATTEMPT'], 'line', n, flush=True)
        n += 1
        time.sleep(0.1)
    return n
"""
"""Says a number ten times a second, and in the end how many."""


def manifest(name: str, main: str, **spec: Any) -> str:
    """A Job with this main.py; small enough that many fit."""
    base = {"resources": {"cpus": "200m", "memory": "128Mi"}, "duration": 60}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"code": {"files": {"main.py": main}}, **base, **spec},
        }
    )


def counts(name: str, seconds: float, *, stubborn: bool = False, **spec: Any) -> str:
    """A job that counts for so long. stubborn: it ignores SIGTERM."""
    given = {"gpu": {"memory": 0.2}, "args": {"seconds": seconds, "stubborn": stubborn}}
    return manifest(name, COUNTS, **{**given, **spec})


def check_counted(logs: str, *, attempt: int = 1) -> int:
    """Every line of the attempt is there, once and in order; how many. One that was stopped by
    SIGTERM then says where.
    """
    lines = logs.partition("Traceback")[0].splitlines()
    assert lines == [f"attempt {attempt} line {n}" for n in range(len(lines))], logs[-2000:]
    return len(lines)
