"""The workloads in their images, through `cumulusctl apply` of the folder of their specs."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from system import EXAMPLES, System, free_port, wait_for
from workload_kit import FOLDER

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

SPECS = EXAMPLES / "workloads"


def build(*arguments: str, script: str = "build-local.sh") -> str:
    done = subprocess.run(
        [FOLDER / script, *arguments], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def shortened(folder: Path, kinds: tuple[str, ...], rounds: str, scale: str) -> list[str]:
    """The specs of these kinds, smaller, in a folder to apply; the names of their jobs."""
    folder.mkdir()
    names = []
    for spec in sorted(SPECS.glob("*.yaml")):
        if not spec.name.startswith(kinds):
            continue
        text = spec.read_text()
        assert "args: [--rounds, 10-30]" in text
        args = f'args: [--rounds, "{rounds}", --scale, "{scale}", --seed, "7"]'
        (folder / spec.name).write_text(text.replace("args: [--rounds, 10-30]", args))
        names.append(spec.stem)
    return names


def stats(system: System, name: str) -> dict[str, Any]:
    """Of the job's last line of output."""
    lines = system.logs(name).splitlines()
    assert lines, (system.job(name)["status"], system.log.read_text()[-5000:])
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def ended(system: System, names: list[str]) -> dict[str, dict[str, Any]]:
    """The jobs of these names, once all have ended; else none."""
    shown = system.ctl("get", "jobs", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout or "[]")
    rows = found if isinstance(found, list) else found.get("items", [found])
    jobs = {job["metadata"]["name"]: job for job in rows if job["metadata"]["name"] in names}
    over = ("Succeeded", "Failed", "TimedOut", "Cancelled")
    done = len(jobs) == len(names) and all(j["status"]["phase"] in over for j in jobs.values())
    return jobs if done else {}


def kept(system: System, name: str) -> str:
    """Its statistics as they came back in its outputs."""
    done = system.ctl("outputs", "get", name, f"{name.partition('-')[0]}_stats", "-o", "-")
    assert done.returncode == 0, (done.stderr, system.job(name))
    return done.stdout


def run_all(
    system: System, folder: Path, names: list[str], seconds: float = 240
) -> dict[str, dict[str, Any]]:
    """The statistics of each, once all have succeeded."""
    applied = system.ctl("apply", str(folder))
    assert applied.returncode == 0, applied.stderr
    jobs = wait_for(lambda: ended(system, names), seconds)
    found = {}
    for name in names:
        assert jobs[name]["status"]["phase"] == "Succeeded", (jobs[name], system.logs(name))
        found[name] = stats(system, name)
        assert found[name]["workload"] == name.replace("-", "_")
        assert found[name]["ended"] == "complete"
        assert found[name]["job"] == jobs[name]["metadata"]["uid"]
    return found


def test_the_folder_of_io_and_cpu_workloads_runs(swarm: System) -> None:
    build("io", "cpu")
    assert "is up to date" in build("io", "cpu")
    folder = swarm.folder / "specs"
    names = shortened(folder, ("io", "cpu"), "2", "0.02")
    assert len(names) == 14
    found = run_all(swarm, folder, names)
    assert all(one["checks"] >= 2 for one in found.values())
    for name, told in found.items():
        assert json.loads(kept(swarm, name)) == told


def test_a_cancelled_one_still_tells_what_it_did(swarm: System) -> None:
    build("cpu")
    text = (SPECS / "cpu-process-3.yaml").read_text()
    text = text.replace("cpu-process-3", "cancelled").replace("10-30", '"100000"')
    assert swarm.apply(text).returncode == 0
    swarm.wait_phase("cancelled", "Running")
    wait_for(lambda: "round 1 of 100000" in swarm.logs("cancelled"), 30)
    assert swarm.ctl("cancel", "cancelled").returncode == 0
    swarm.wait_phase("cancelled", "Cancelled")
    found = stats(swarm, "cancelled")
    assert found["ended"] == "terminated"
    assert found["rounds_done"] >= 1
    swarm.clean()


def test_nothing_is_pushed_without_saying_where_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_USERNAME", raising=False)
    done = subprocess.run([FOLDER / "push-images.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "workloads: where to? give --prefix, or set DOCKER_USERNAME\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Host and port of a registry on loopback, where engines need no certificates."""
    address = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    (tmp_path / "registry.json").write_text(json.dumps(config))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(tmp_path / "registry.json")], stdout=log, stderr=log
        )
    try:
        wait_for(lambda: _answers(address), 30)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.soak
def test_every_tag_is_pushed_and_can_be_pulled(registry: str) -> None:
    prefix = f"{registry}/someone"
    name = f"{prefix}/cloudai-cpu-intensive"
    client = docker.from_env()
    tags = [*map(str, range(1, 8)), "latest", "v1.0"]
    try:
        build("--prefix", prefix, "--tag", "v1.0", "cpu", script="build-and-push.sh")
        ids = {tag: client.images.get(f"{name}:{tag}").id for tag in tags}
        assert ids["latest"] == ids["v1.0"] == ids["1"]
        assert len(set(ids.values())) == 7
        for tag in tags:
            client.images.remove(f"{name}:{tag}")
        for tag in tags:
            assert client.images.pull(name, tag).id == ids[tag]
    finally:
        for tag in tags:
            if client.images.list(f"{name}:{tag}"):
                client.images.remove(f"{name}:{tag}")
        client.close()


@pytest.mark.soak
def test_the_whole_folder_runs_as_it_is(swarm: System) -> None:
    """All twenty at their own size; the GPU ones on the CPU where there is no GPU, which they say."""
    build()
    names = [spec.stem for spec in sorted(SPECS.glob("*.yaml"))]
    assert len(names) == 20
    found = run_all(swarm, SPECS, names, seconds=1500)
    for name, told in found.items():
        assert json.loads(kept(swarm, name)) == told
        if name.startswith("gpu"):
            assert told["device"].startswith("cuda") or "computed on the CPU" in told["note"], name
    swarm.clean()
