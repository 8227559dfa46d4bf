"""What the SDK costs: importing it, and submitting by it beside `cumulusctl run` of the same zip.

Everything is on the process platform, in turns within one run. The command line runs in this
process, as its `main` does, so that the start of an interpreter and its imports are aside; each way
that opens a client counts that in.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cumulus.crd_like_specs.packing import pack
from cumulus.sdk import CumulusClient, remote
from cumulus.sdk.cli import main as cli
from system import System

ROUNDS = 40
WARM_UP = 5
IMPORTS = 15
STATEMENTS = (
    "import cumulus.sdk",
    "from cumulus.sdk import CumulusClient, remote, gpu, CodePackager",
    "from cumulus.sdk import CumulusClient; CumulusClient('127.0.0.1:1')",
)


def run(folder: Path) -> list[dict[str, Any]]:
    """A row per statement and per way: median milliseconds, and what is added to cumulusctl."""
    system = System(folder / "process", "process")
    system.start()
    try:
        return [*_imports(), *_submissions(folder, f"127.0.0.1:{system.grpc}")]
    finally:
        system.stop()


def _imports() -> list[dict[str, Any]]:
    def once(statement: str) -> float:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return float(done.stdout) * 1e3

    found: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(IMPORTS):
        for statement, times in found.items():
            times.append(once(statement))
    return [{"what": s, "median_ms": round(statistics.median(t), 1)} for s, t in found.items()]


def _submissions(folder: Path, address: str) -> list[dict[str, Any]]:
    code = folder / "job.zip"
    code.write_bytes(pack({"main.py": b"def main():\n    return 42\n"}))

    def command_line() -> None:
        with _quiet():
            assert cli.run(["--server", address, "run", str(code), "--gpu", "0"]) == 0

    def opened_for_it() -> None:
        with CumulusClient(address) as client:
            assert client.run_folder(code, gpu_memory=None) == 42

    with CumulusClient(address) as client:
        decorated = remote(client, gpu_memory=None)(_answer)
        ways: dict[str, Callable[[], Any]] = {
            "cumulusctl run": command_line,
            "a client opened for it, run_folder": opened_for_it,
            "an open client, run_folder": lambda: client.run_folder(code, gpu_memory=None),
            "an open client, run(function)": lambda: client.run(_answer, gpu_memory=None),
            "a decorated function": decorated,
        }
        found: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(WARM_UP + ROUNDS):
            for way, submit in ways.items():
                began = time.perf_counter()
                submit()
                if number >= WARM_UP:
                    found[way].append((time.perf_counter() - began) * 1e3)
    medians = {way: statistics.median(times) for way, times in found.items()}
    base = medians["cumulusctl run"]
    return [
        {"what": way, "median_ms": round(median, 1), "added_ms": round(median - base, 1)}
        for way, median in medians.items()
    ]


def _answer() -> int:
    return 42


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of this process's output is seen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for copy, original in zip(kept, (1, 2), strict=True):
            os.dup2(copy, original)
            os.close(copy)
        os.close(nowhere)
