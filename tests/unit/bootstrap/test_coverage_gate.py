"""The gate opens for enough branches and for nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GATE = Path(__file__).parents[3] / "bootstrap" / "coverage_gate.py"


def run(folder: Path, files: dict[str, tuple[int, int]], *names: str) -> tuple[int, str]:
    report = folder / "coverage.json"
    summaries = {
        name: {"summary": {"covered_branches": covered, "num_branches": branches}}
        for name, (covered, branches) in files.items()
    }
    report.write_text(json.dumps({"files": summaries}))
    done = subprocess.run(
        [sys.executable, str(GATE), str(report), "95", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(("covered", "expected"), [(95, 0), (94, 1), (100, 0)])
def test_the_limit_counts_branches_of_the_whole_folder(
    tmp_path: Path, covered: int, expected: int
) -> None:
    files = {"a/x.py": (covered - 50, 50), "a/y.py": (50, 50), "ab/z.py": (0, 50)}
    code, said = run(tmp_path, files, "a")
    assert code == expected
    assert f"a: {covered}.0 %" in said


def test_each_folder_must_pass(tmp_path: Path) -> None:
    code, said = run(tmp_path, {"a/x.py": (10, 10), "b/x.py": (1, 10)}, "a", "b")
    assert code == 1
    assert "b: 10.0 % of the branches taken, at least 95 % are wanted" in said


def test_a_folder_that_was_not_measured_fails(tmp_path: Path) -> None:
    assert run(tmp_path, {"a/x.py": (1, 1)}, "a", "gone")[0] == 1
