"""The documented curl commands of both systems that Cumulus replaces, against a real Swarm."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import IMAGE, ROOT, System

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

SCRIPTS = Path(__file__).parent / "http"
TOKEN = "super-secret-of-the-jobrunner"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A controller that was given the variables of the Slurm job runner."""
    built = subprocess.run(
        [ROOT / "image" / "build-torch.sh"],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    subprocess.run(["docker", "tag", IMAGE, "alpine:latest"], check=True)
    system = System(tmp_path_factory.mktemp("faces"), "swarm")
    config = json.loads(system.config.read_text())
    config["runtimes"] = {"torch": "cumulus-job:torch"}
    system.config.write_text(json.dumps(config))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("JR_AUTH_TOKEN", TOKEN)
        environment.setenv("JR_MAX_TIME", "1-00:00:00")
        system.start()
    admin = system.folder / "data" / "admin.token"
    system.options += ("--token-file", str(admin))
    yield system
    system.stop()
    subprocess.run(["docker", "rmi", "alpine:latest"], check=True)


def run(house: System, script: str, face: str, folder: Path) -> str:
    """What the script says. The runner's commands bear no token: curl's own settings do."""
    (folder / ".curlrc").write_text(f'header = "Authorization: Bearer {TOKEN}"\n')
    base = f"http://127.0.0.1:{house.http}/{face}"
    env = {**os.environ, "BASE": base, "TOK": TOKEN}
    env["CURL_HOME"] = str(folder if face == "runner" else SCRIPTS)
    done = subprocess.run(
        ["bash", SCRIPTS / script],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_acceptance_tests_of_the_slurm_job_runner(house: System, tmp_path: Path) -> None:
    said = run(house, "jobrunner_acceptance.sh", "jobrunner", tmp_path)
    assert "HTTP/1.1 401" in said
    assert '"exists": true' in said
    assert "Status: COMPLETED" in said
    assert "epoch 5/5" in said
    assert '"path":"weights/model.pth"' in said
    assert (tmp_path / "model.pth").read_bytes().startswith(b"PK")


def test_the_other_calls_of_the_slurm_job_runner(house: System, tmp_path: Path) -> None:
    said = run(house, "jobrunner_usage.sh", "jobrunner", tmp_path)
    assert '"output_id":"params"' in said
    told = json.loads((tmp_path / "params.json").read_text())
    assert any(path.endswith("/data.txt") for path in told["files"])


def test_the_calls_of_the_workload_runner(house: System, tmp_path: Path) -> None:
    said = run(house, "runner_usage.sh", "runner", tmp_path)
    made, job, jobs, executors, stats, scheduled, health = map(json.loads, said.splitlines())
    assert made["status"] == "PENDING"
    assert (job["status"], job["logs"], job["exit_code"]) == ("SUCCEEDED", ["Hello World!"], 0)
    assert [one["job_id"] for one in jobs] == [made["job_id"]]
    assert executors["cluster_stats"]["total_executors"] == len(executors["executors"]) == 1
    assert stats["queue"]["pending_jobs"] == 0
    assert scheduled == {"scheduled_jobs": 0, "assignments": []}
    assert health["status"] == "healthy"
