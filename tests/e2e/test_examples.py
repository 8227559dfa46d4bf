"""Every example of the SDK, as a user runs it: a script of its own, on both platforms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cumulus.sdk import CumulusClient
from system import ROOT, System

EXAMPLES = ROOT / "sdk" / "examples"
SAID = {
    "first_job": [
        "primes: [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]",
        "failed: ZeroDivisionError",
        "later: True",
        "result: [2, 3, 5, 7, 11] completed",
    ],
    "requirements": ['title = "from a job"', "epochs = 3"],
    "decorators": [
        "as a job: 5.0",
        "another: [0.6, 0.8]",
        "here: 10.0",
        "running: running cancelled: True",
        "in the end: cancelled",
        "with other options: 17.0",
    ],
    "sweep": [
        "rate 0.01: 0.6676",
        "rate 0.1: 0.0115",
        "rate 0.3: 0.0000",
        "rate 0.5: 0.0000",
        "rate 2.0: ValueError",
    ],
    "streaming": [
        "line 1",
        "line 2",
        "line 3",
        "last phase: Succeeded",
        "result: 3",
        "together: [2, 4, 6]",
        "mapped: [0, 2, 4, 6]",
    ],
    "arrays": [
        "as JSON: {'grid': [[0.0, 1.0], [2.0, 3.0]], 'side': 2}",
        "as arrays: float32 (2, 2)",
        "as it was: Fit(slope=0.5, kinds={'linear'})",
    ],
    "image_job": ["phase: Succeeded", "log: hello from an image", "failed with exit code 3"],
    "training": ["paused, and kept: True", "went on where it was: True", "learned: True"],
    "dataset": [
        "kept: 2 files as tar",
        "words: {'one.txt': 7, 'two.txt': 8}",
        "again, and nothing was sent: True",
        "and back: poems.tar",
    ],
    "folder": ["{'lorem': 2, 'amet': 1, 'nothing': 0}"],
}


@pytest.fixture(
    params=[pytest.param("swarm", marks=[pytest.mark.docker, pytest.mark.chronos]), "process"]
)
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.getfixturevalue(request.param)
    return found


def started(system: System, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        env={**os.environ, "CUMULUS_SERVER": f"127.0.0.1:{system.grpc}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def run(system: System, name: str, *arguments: str) -> list[str]:
    done = started(system, name, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "quiet where nobody watches"
    return done.stdout.splitlines()


def count(system: System) -> int:
    with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
        return len(client.list_jobs())


@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_should(system: System, name: str) -> None:
    if (name, system.platform) == ("image_job", "process"):
        done = started(system, name)  # there are no images: said in one line, without our frames
        assert done.returncode == 1
        assert "runs code jobs only: expected spec.code" in done.stderr.splitlines()[-1]
        assert "grpc" not in done.stderr
        return
    assert run(system, name) == SAID[name]


def test_a_sweep_begun_again_takes_up_what_is_done(system: System) -> None:
    first = run(system, "sweep", "again")
    jobs = count(system)
    assert run(system, "sweep", "again") == first == SAID["sweep"]
    assert count(system) == jobs


def test_what_the_readme_shows_runs(process: System, tmp_path: Path) -> None:
    shown = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(shown) == 1
    program = tmp_path / "program.py"
    program.write_text(shown[0].replace("127.0.0.1:50051", f"127.0.0.1:{process.grpc}"))
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == [
        "{'loss': 0.9}",
        "[{'loss': 0.8}, {'loss': 0.7}]",
        "{'loss': 0.6}",
    ], done.stderr


def test_there_is_no_example_that_is_not_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAID)
    assert (EXAMPLES / "README.md").read_text().count(".py)") >= len(SAID)
