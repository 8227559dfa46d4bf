"""Every workload as a program, at tiny size: what it leaves behind, and how it ends."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from workload_kit import FOLDER, HERE, NAMES, TINY, Done, Workload

FIELDS = {
    "workload": str,
    "kind": str,
    "about": str,
    "seed": int,
    "scale": float,
    "ended": str,
    "error": str,
    "rounds_planned": int,
    "rounds_done": int,
    "checks": int,
    "checksum": str,
    "device": str,
    "note": str,
    "seconds": float,
    "cpu_seconds": float,
    "peak_memory_bytes": int,
    "started_at": str,
    "python": str,
    "job": str,
    "parameters": dict,
    "counters": dict,
    "values": dict,
}
MEASURED = ("seconds", "cpu_seconds", "peak_memory_bytes", "started_at", "values")
"""What two runs with equal seeds need not have in common."""


def fixed(stats: dict[str, Any]) -> dict[str, Any]:
    """Without what is measured; a connection's reads are what the kernel makes of them."""
    counters = {k: v for k, v in stats["counters"].items() if k != "reads"}
    return {**{k: v for k, v in stats.items() if k not in MEASURED}, "counters": counters}


def check_stats(done: Done, name: str) -> None:
    """Its statistics are as documented, and the last line that it printed."""
    assert {key: type(value) for key, value in done.stats.items()} == FIELDS
    assert done.last == done.stats
    assert done.stats["workload"] == name
    assert done.stats["kind"] == name.partition("_")[0]
    assert len(done.stats["checksum"]) == 64
    assert done.stats["peak_memory_bytes"] > 1 << 20


def test_there_are_twenty() -> None:
    kinds = [name.partition("_")[0] for name in NAMES]
    assert [kinds.count(kind) for kind in ("io", "cpu", "gpu")] == [7, 7, 6]
    table = (FOLDER / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in table] == []


@pytest.mark.parametrize("name", HERE)
def test_equal_seeds_make_equal_runs_and_leave_nothing_but_statistics(
    name: str, tmp_path: Path
) -> None:
    workload = Workload(tmp_path, name)
    one = workload.run("--seed", "7", *TINY)
    assert one.code == 0, one.stderr
    check_stats(one, name)
    assert (one.stats["ended"], one.stats["error"]) == ("complete", "")
    assert one.stats["rounds_done"] == one.stats["rounds_planned"] == 2
    assert one.stats["checks"] >= 2
    assert one.stats["parameters"]
    assert one.stats["counters"]
    assert list(workload.scratch.iterdir()) == []
    assert list(workload.results.iterdir()) == [workload.stats_file]
    if name.startswith("gpu"):
        assert one.stats["device"].startswith("cuda") or "computed on the CPU" in one.stats["note"]

    again = workload.run(WORKLOAD_SEED="7", WORKLOAD_SCALE="0.01", WORKLOAD_ROUNDS="2")
    assert fixed(again.stats) == fixed(one.stats)
    other = workload.run("--seed", "8", *TINY)
    assert other.stats["checksum"] != one.stats["checksum"]


@pytest.mark.parametrize("name", HERE)
def test_sigterm_ends_it_at_once_with_statistics(name: str, tmp_path: Path) -> None:
    workload = Workload(tmp_path, name)
    process = workload.start("--seed", "7", "--scale", "0.01", "--rounds", "1000000")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"{name}: ")
    assert process.stdout.readline() == "round 1 of 1000000\n"
    process.send_signal(signal.SIGTERM)
    done = workload.end(process)
    assert done.code == 143, done.stderr
    assert done.stderr == ""
    check_stats(done, name)
    assert done.stats["ended"] == "terminated"
    assert 1 <= done.stats["rounds_done"] < 1000000
    assert list(workload.scratch.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in HERE if name.endswith("_4")])
def test_the_time_bound_ends_it_with_success(name: str, tmp_path: Path) -> None:
    done = Workload(tmp_path, name).run("--seconds", "0.8", "--rounds", "1000000")
    assert done.code == 0, done.stderr
    check_stats(done, name)
    assert done.stats["ended"] == "time limit"
    assert done.stats["seconds"] >= 0.7
    assert "Seed " in done.stdout.splitlines()[0]


def test_it_ends_before_its_lease_does(tmp_path: Path) -> None:
    deadline = f"{time.time() + 5.5:.3f}"  # statistics and all are to be out 5 s before
    done = Workload(tmp_path, "cpu_process_3").run(CUMULUS_DEADLINE=deadline, JOB_ID="some-job")
    assert (done.code, done.stats["ended"]) == (0, "time limit")
    assert done.stats["job"] == "some-job"


def test_without_a_seed_one_is_drawn_and_told(tmp_path: Path) -> None:
    workload = Workload(tmp_path, "cpu_process_6")
    one, other = workload.run(*TINY), workload.run(*TINY)
    assert one.stats["seed"] != other.stats["seed"]
    again = workload.run("--seed", str(one.stats["seed"]), *TINY)
    assert fixed(again.stats) == fixed(one.stats)


BROKEN = {  # what goes wrong beneath it → what it says
    "io_process_6": (
        "import os; read = os.pread; os.pread = lambda f, n, at: read(f, n - 1, at) + b'!'",
        "is damaged",
    ),
    "io_process_2": (
        """
import sqlite3
real = sqlite3.connect
class Lossy(sqlite3.Connection):
    def execute(self, text, *more):
        return super().execute(text.replace("cents + ?", "cents + ? + 1"), *more)
sqlite3.connect = lambda *a, **k: real(*a, factory=Lossy, **k)
""",
        "has ",
    ),
    "cpu_process_1": (
        "import numpy; real = numpy.linalg.solve; numpy.linalg.solve = lambda *a: real(*a) + 1e-6",
        "is solved with an error of 1.0e-06",
    ),
    "cpu_process_3": (
        "import heapq; heapq.heappop = lambda heap: heap.pop()",
        "heap sort left ",
    ),
    "cpu_process_7": (
        "import zlib; real = zlib.decompress; zlib.decompress = lambda data: real(data)[:-1]",
        "zlib gave back something else",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_goes_wrong_is_found(name: str, tmp_path: Path) -> None:
    tweak, said = BROKEN[name]
    done = Workload(tmp_path, name).run("--seed", "7", *TINY, tweak=tweak)
    assert done.code == 1, done.stdout
    check_stats(done, name)
    assert done.stats["ended"] == "failed"
    assert done.stats["error"].startswith("round 0: ")
    assert said in done.stats["error"]
