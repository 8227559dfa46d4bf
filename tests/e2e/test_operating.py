"""What operators do beside jobs, through a real controller and agent on the process platform."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cumulus.sdk import AsyncCumulusClient
from system import System
from tls_system import TlsSystem

SLEEPER = "import time\ndef main(seconds):\n    time.sleep(seconds)\n    return seconds\n"


def manifest(name: str, seconds: float, duration: int, **spec: Any) -> str:
    """A job that sleeps for so long; the duration is its lease's."""
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": {"test": "operating"}},
            "spec": {
                "code": {"files": {"main.py": SLEEPER}},
                "args": [seconds],
                "resources": {"cpus": "50m", "memory": "64Mi"},
                "duration": duration,
                **spec,
            },
        }
    )


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    found = System(tmp_path, "process")
    found.start()
    yield found
    found.stop()


def events(system: System, *arguments: str) -> list[dict[str, Any]]:
    shown = system.ctl("events", *arguments, "-o", "json")
    assert shown.returncode == 0, shown.stderr
    found: list[dict[str, Any]] = json.loads(shown.stdout)["items"]
    return found


def extend(system: System, name: str, seconds: float) -> None:
    """Before its short lease ends: starting `cumulusctl` takes a busy machine as long."""

    async def call() -> None:
        async with AsyncCumulusClient(f"127.0.0.1:{system.grpc}") as client:
            await client.extend(name, seconds)

    asyncio.run(call())


def test_an_extended_job_outlives_its_first_end(system: System) -> None:
    system.apply(manifest("long", 14, 8))
    system.wait_phase("long", "Running")
    extend(system, "long", 60)
    ended = system.wait_phase("long", "Succeeded", "TimedOut", "Failed")
    assert ended["status"]["phase"] == "Succeeded"
    assert (ended["metadata"]["generation"], ended["status"]["attempt"]) == (1, 1)
    ran = ended["status"]["finishedAt"] - ended["status"]["startedAt"]
    assert ran > 13
    assert system.apply(manifest("long", 14, 8)).stdout == "job/long unchanged\n"
    assert "Extended" in {event["type"] for event in events(system, "long")}


def test_the_new_end_is_enforced(system: System) -> None:
    system.apply(manifest("over", 300, 6))
    running = system.wait_phase("over", "Running")
    extend(system, "over", 6)
    ended = system.wait_phase("over", "TimedOut", "Failed")
    assert ended["status"]["phase"] == "TimedOut"
    assert "12 s" in ended["status"]["message"]
    over = ended["status"]["finishedAt"] - running["status"]["expiresAt"]
    assert 4 < over < 9, over
    late = system.ctl("extend", "over", "6s")
    assert late.returncode == 5
    assert "has ended as TimedOut" in late.stderr
    system.clean()


def test_an_extension_outlives_the_controller(system: System) -> None:
    system.apply(manifest("kept", 300, 60))
    system.wait_phase("kept", "Running")
    assert system.ctl("extend", "kept", "600s").returncode == 0
    extended = system.wait_phase("kept", "Running")["metadata"]["extension"]
    system.kill9()
    system.start()
    job = system.wait_phase("kept", "Running", "Pending", "Leasing", "Starting")
    assert job["metadata"]["extension"] == extended == 600
    system.ctl("cancel", "kept")
    system.wait_phase("kept", "Cancelled", "Failed")


def test_events_outlive_the_controller(system: System) -> None:
    assert system.apply(manifest("told", 0, 60), "--wait").returncode == 0
    before = events(system, "told")
    types = [event["type"] for event in before]
    assert types[:2] == ["Submitted", "Placed"]
    assert {"LeaseHeld", "Succeeded"} <= set(types)
    system.stop()
    system.start()
    after = events(system)
    assert [event for event in after if event["name"] == "told"][: len(before)] == before
    assert after[-1]["sequence"] > before[-1]["sequence"]
    assert "WorkerReady" in {event["type"] for event in events(system, "--since", "5m")}


def test_a_plan_is_what_happens(system: System) -> None:
    big = {"resources": {"cpus": "1", "memory": "64Mi"}, "gpu": {"memory": 1}}
    documents = "\n---\n".join(manifest(f"job-{n}", 2, 30, **big) for n in range(3))
    found = system.ctl("plan", "-", "-o", "json", stdin=documents)
    assert found.returncode == 1, found.stderr
    planned = [one["forecast"]["when"] for one in json.loads(found.stdout)["changes"]]
    assert planned[0] == "now"
    assert system.ctl("get", "jobs", "-o", "name").stdout == ""
    assert system.apply(documents, "--wait").returncode == 0
    assert system.ctl("diff", "-", stdin=documents).returncode == 0
    never = manifest("never", 0, 30, gpu={"count": 64})
    shown = system.ctl("plan", "-", stdin=never)
    assert shown.returncode == 7
    assert "the largest that exists" in shown.stdout
    pruned = system.apply(manifest("job-0", 2, 30, **big), "--prune", "-l", "test=operating")
    assert sorted(pruned.stderr.splitlines()) == ["job/job-1 pruned", "job/job-2 pruned"]


def test_a_revoked_token_ends_what_is_open(tmp_path: Path) -> None:
    system = TlsSystem(tmp_path)
    system.start()
    try:
        file = tmp_path / "alice.token"
        made = system.ctl("auth", "token", "create", "alice", "--out", str(file))
        assert made.returncode == 0, made.stderr
        admin = system.options
        system.options = (*admin[:-1], str(file))
        watch = subprocess.Popen(
            [sys.executable, "-m", "cumulus.sdk.cli.main", *system.options, "get", "workers", "-w"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("NAME")
        system.options = admin
        (token,) = json.loads(system.ctl("auth", "token", "list", "-o", "json").stdout)["items"]
        assert system.ctl("auth", "token", "revoke", token["id"]).returncode == 0
        _, said = watch.communicate(timeout=30)
        assert watch.returncode == 6, said
        assert "revoked" in said
        secret = file.read_text().strip()
        assert secret not in system.log.read_text()
        assert secret.encode() not in b"".join(
            path.read_bytes() for path in (system.data / "store").iterdir() if path.is_file()
        )
    finally:
        system.stop()
