"""What a job keeps in /checkpoint is there for its next attempt: after a pause, a failure, a death."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from cumulus.sdk import CumulusClient, Options
from system import ROOT, System, wait_for

COUNTER = """
import os, pathlib, time

def main(end=1000, crash_at=0, more=20):
    folder = pathlib.Path(os.environ["CUMULUS_CHECKPOINT_DIR"])
    state = folder / "count"
    start = count = int(state.read_text()) if state.exists() else 0
    end = start + more if start else end
    print("starts at", start, flush=True)
    while count < end:
        count += 1
        (folder / ".count").write_text(str(count))
        (folder / ".count").replace(state)
        if count == crash_at and start == 0:
            os._exit(3)
        time.sleep(0.05)
    return [start, count]
"""

ASKS = """
import time
from cumulus_job import load_checkpoint, save_checkpoint, should_pause

def main(end=1000, more=20):
    start = count = load_checkpoint(default=0)
    end = start + more if start else end
    print("starts at", start, flush=True)
    while count < end:
        count += 1
        save_checkpoint(count)
        if should_pause():
            return "paused"
        time.sleep(0.05)
    return [start, count]
"""

FILLS = """
import os, pathlib, time

def main():
    folder = pathlib.Path(os.environ["CUMULUS_CHECKPOINT_DIR"])
    for n in range(600):
        (folder / str(n)).write_bytes(os.urandom(1 << 20))
        time.sleep(0.03)
"""


@pytest.fixture(
    params=[pytest.param("swarm", marks=[pytest.mark.docker, pytest.mark.chronos]), "process"]
)
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.getfixturevalue(request.param)
    return found


def manifest(name: str, main: str, args: dict[str, int], **spec: Any) -> str:
    base = {"resources": {"cpus": "50m", "memory": "128Mi"}, "duration": 120, "args": args}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"code": {"files": {"main.py": main}}, **base, **spec},
        }
    )


def paused(system: System, name: str) -> dict[str, Any]:
    """Its status once it is paused, its lease is gone, and its checkpoint is on record."""
    done = system.ctl("pause", name, "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"job/{name} is paused\n"
    wait_for(lambda: not [x for x in system.leases() if x["spec"]["jobName"] == name], 20)
    status: dict[str, Any] = system.job(name)["status"]
    assert (status["phase"], status["reason"]) == ("Pending", "Suspended")
    assert status["checkpoints"]
    return status


def test_a_paused_job_goes_on_where_it_was(system: System) -> None:
    """One that asks returns by itself, well before anyone would end it."""
    system.apply(manifest("asks", ASKS, {}))
    wait_for(lambda: "starts at 0" in system.logs("asks"))
    time.sleep(1)
    status = paused(system, "asks")
    (attempt,) = status["attempts"]
    assert (attempt["reason"], attempt["exitCode"]) == ("Suspended", 75)
    assert attempt.get("cause") is None, "a pause is no failure"
    listed = system.ctl("checkpoints", "asks").stdout.splitlines()
    assert listed[0].split() == ["CHECKPOINT", "ATTEMPT", "SIZE", "FILES", "TAKEN"]
    assert listed[1].startswith(status["checkpoints"][-1]["digest"])
    assert system.ctl("resume", "asks").returncode == 0
    system.wait_phase("asks", "Succeeded")
    with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
        start, end = client.result("asks")
    assert 0 < start == end - 20
    again = system.ctl("pause", "asks")
    assert again.returncode == 5
    assert "has ended as Succeeded: nothing to pause" in again.stderr
    system.clean()


def test_a_job_that_does_not_ask_is_paused_too(system: System) -> None:
    system.apply(manifest("counts", COUNTER, {}))
    wait_for(lambda: "starts at 0" in system.logs("counts"))
    time.sleep(1)
    began = time.monotonic()
    paused(system, "counts")
    assert time.monotonic() - began < 15, "it has no grace that it does not know of"
    system.ctl("resume", "counts")
    system.wait_phase("counts", "Succeeded")
    with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
        start, end = client.result("counts")
    assert 0 < start == end - 20
    system.clean()


def test_a_retry_goes_on_where_it_was(system: System) -> None:
    args = {"crash_at": 7, "more": 5}
    text = manifest("crashes", COUNTER, args, retry={"limit": 1, "backoff": "0s"})
    done = system.apply(text, "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [7, 12]
    system.clean()


def test_a_drained_job_goes_on_where_it_was(process: System) -> None:
    """There is one worker only: it goes on once that takes work again."""
    process.apply(manifest("moves", ASKS, {}, whenUnschedulable="Wait"))
    wait_for(lambda: "starts at 0" in process.logs("moves"))
    time.sleep(1)
    (worker,) = json.loads(process.ctl("get", "workers", "-o", "json").stdout)["items"]
    name = worker["metadata"]["name"]
    assert process.ctl("drain", name).returncode == 0
    wait_for(lambda: process.job("moves")["status"]["attempt"] == 2)
    (attempt,) = process.job("moves")["status"]["attempts"]
    assert (attempt["reason"], attempt["exitCode"]) == ("Drained", 75)
    wait_for(lambda: not process.leases())
    assert process.ctl("uncordon", name).returncode == 0
    process.wait_phase("moves", "Succeeded")
    with CumulusClient(f"127.0.0.1:{process.grpc}") as client:
        start, end = client.result("moves")
    assert 0 < start == end - 20
    process.clean()


def test_too_much_in_the_folder_ends_it_clearly(system: System) -> None:
    done = system.apply(manifest("fills", FILLS, {}, checkpoint={"size": "10Mi"}), "--wait")
    assert done.returncode != 0
    status = system.job("fills")["status"]
    assert status["reason"] == "CheckpointTooLarge"
    assert "holds more than 3 times 10Mi, which checkpoint.size allows" in status["message"]
    system.clean()


def test_what_a_job_left_goes_with_it(system: System) -> None:
    system.apply(manifest("short", COUNTER, {"end": 2}), "--wait")
    wait_for(lambda: system.job("short")["status"]["checkpoints"])
    uid = system.job("short")["metadata"]["uid"]
    folder = system.folder / "data" / "artifacts" / uid
    assert len(list(folder.iterdir())) == 1
    system.ctl("delete", "short")
    wait_for(lambda: not folder.exists())


def test_a_worker_that_dies_loses_little(process: System) -> None:
    """Its agent, its processes and its disk are gone at once: what was sent before is what is left."""
    text = manifest(
        "dies", ASKS, {}, retry={"limit": 1, "backoff": "0s"}, checkpoint={"interval": 1}
    )
    process.apply(text)
    wait_for(lambda: process.job("dies")["status"]["checkpoints"], 30)
    kill_worker(process)
    process.wait_phase("dies", "Succeeded", seconds=90)
    with CumulusClient(f"127.0.0.1:{process.grpc}") as client:
        start, end = client.result("dies")
    assert 0 < start == end - 20
    process.clean()


def test_a_training_goes_on_after_a_pause_and_a_dead_worker(process: System) -> None:
    """The function of the example, as it stands."""
    path = ROOT / "sdk" / "examples" / "training.py"
    spec = importlib.util.spec_from_file_location("training", path)
    assert spec
    assert spec.loader
    training = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(training)
    options = Options(
        gpu_memory=None,
        duration="5m",
        cpus="100m",
        ram="256Mi",
        # Here the death of a worker is one of its processes; it is tried again for any cause.
        spec={"checkpoint": {"interval": 1}, "retry": {"limit": 3, "backoff": "0s"}},
    )
    with CumulusClient(f"127.0.0.1:{process.grpc}") as client:
        job = client.spawn(training.train, [150, 0.05], options=options)

        def kept(attempt: int) -> bool:
            return any(one["attempt"] == attempt for one in job.get_checkpoints())

        wait_for(lambda: kept(1), 60)
        job.pause()
        wait_for(lambda: job.status() == "paused", 30)
        job.resume()
        wait_for(lambda: kept(2), 60)
        kill_worker(process)
        found = job.result(timeout=120)
    first, second, third = found["began_at"]
    assert first == 0 < second < third < 150
    assert found["right"] > 0.9
    process.clean()


def kill_worker(process: System) -> None:
    """Its agent, what runs there, and its disk, at once."""
    agent = process.folder / "data" / "agent"
    os.kill(int((agent / "lock").read_text()), signal.SIGKILL)
    for unit in (process.folder / "data" / "units").glob("cumulus-*"):
        for name, kill in (("shim.json", os.kill), ("pid", os.killpg)):
            kill(json.loads((unit / name).read_text())["pid"], signal.SIGKILL)
    _empty(agent / "staging")
    _empty(agent / "checkpoints")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
