"""The controller dies while jobs run; what was begun ends once, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import System, wait_for

JOBS = 20
MAIN = (
    "import os, time\ndef main(n):\n    print('begin', n, flush=True)\n    time.sleep(8)\n"
    "    print('end', n, flush=True)\n    return n\n"
)


def manifest(number: int) -> str:
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": f"many-{number}"},
            "spec": {
                "code": {"files": {"main.py": MAIN}},
                "args": {"n": number},
                "gpu": {"memory": 0.05},
                "resources": {"cpus": "50m", "memory": "64Mi"},
                "duration": 120,
            },
        }
    )


def play(system: System) -> None:
    names = [f"many-{n}" for n in range(JOBS)]
    assert system.apply("\n---\n".join(manifest(n) for n in range(JOBS))).returncode == 0

    def phases() -> list[str]:
        shown = json.loads(system.ctl("get", "jobs", "--all", "-o", "json").stdout)
        items = shown["items"] if isinstance(shown, dict) else shown
        return [item["status"]["phase"] for item in items if item["metadata"]["name"] in names]

    wait_for(lambda: phases().count("Running") >= 5, 90)
    with subprocess.Popen(
        system.command("logs", "-f", "many-0"), stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout
        first = follower.stdout.readline()
        system.kill9()
        time.sleep(2)  # jobs end and begin to expire while nobody watches
        system.start()
        wait_for(lambda: phases().count("Succeeded") == JOBS, 180)
        followed = first + follower.stdout.read()
    assert followed == "begin 0\nend 0\n"
    for number, name in enumerate(names):
        status = system.job(name)["status"]
        assert (status["attempt"], len(status["attempts"])) == (1, 1)
        assert system.logs(name) == f"begin {number}\nend {number}\n"
    system.clean()


@pytest.fixture(
    params=[pytest.param("swarm", marks=[pytest.mark.docker, pytest.mark.chronos]), "process"]
)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path, request.param)
    made.start()
    yield made
    made.stop()


def test_killed_controller_loses_and_repeats_nothing(system: System) -> None:
    play(system)
