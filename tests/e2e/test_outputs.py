"""What jobs leave in /results comes back, however they end, over killed controllers and agents."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.gen.cumulus.v1 import outputs_pb2 as pb
from cumulus.sdk import AsyncCumulusClient, CumulusClient, Options
from system import IMAGE, System, wait_for

LEAVES = """
import json, os, pathlib, sys, time

def main(end="return"):
    folder = pathlib.Path(os.environ["CUMULUS_OUTPUTS"])
    (folder / "weights").mkdir()
    (folder / "weights" / "model.pth").write_bytes(bytes(range(256)) * 4096)
    (folder / "metrics.json").write_text(json.dumps({"end": end}))
    (folder / "latest").symlink_to("metrics.json")
    if end == "raise":
        raise RuntimeError("as it was asked to")
    if end == "memory":
        held = bytearray(1 << 30)
        for at in range(0, len(held), 4096):
            held[at] = 1
    if end == "fill":
        for n in range(200):
            (folder / str(n)).write_bytes(os.urandom(1 << 20))
            time.sleep(0.02)
    if end == "sleep":
        print("left", flush=True)
        time.sleep(600)
"""
MODEL = bytes(range(256)) * 4096

MANIFEST = """
import json, os, pathlib

def main():
    folder = pathlib.Path(os.environ["CUMULUS_OUTPUTS"])
    (folder / "best.dat").write_text("best")
    listed = [{"id": "weights", "path": "best.dat", "type": "weights"}]
    said = {"experiment_id": "night-3", "outputs": listed}
    (folder / "manifest.json").write_text(json.dumps(said))
"""

LARGE = """
import hashlib, os, pathlib

def main(size):
    digest = hashlib.sha256()
    with (pathlib.Path(os.environ["CUMULUS_OUTPUTS"]) / "large.bin").open("wb") as file:
        for n in range(size):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
"""


@pytest.fixture(
    params=[pytest.param("swarm", marks=[pytest.mark.docker, pytest.mark.chronos]), "process"]
)
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.getfixturevalue(request.param)
    return found


def manifest(name: str, spec: dict[str, Any]) -> str:
    base = {"resources": {"cpus": "50m", "memory": "128Mi"}, "duration": 120}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {**base, **spec},
        }
    )


def leaves(name: str, end: str, **spec: Any) -> str:
    return manifest(name, {"code": {"files": {"main.py": LEAVES}}, "args": [end], **spec})


def listed(system: System, name: str) -> dict[str, Any]:
    """By path, waiting for what is on its way."""
    done = system.ctl("outputs", "ls", name, "--json")
    assert done.returncode == 0, done.stderr
    return {one["path"]: one for one in json.loads(done.stdout)}


def test_whatever_became_of_it(system: System, tmp_path: Path) -> None:
    ends = {"good": "Succeeded", "bad": "Failed", "late": "TimedOut", "gone": "Cancelled"}
    system.apply(leaves("good", "return"))
    system.apply(leaves("bad", "raise", retry={"limit": 1, "backoff": "0s"}))
    system.apply(leaves("late", "sleep", duration=6))
    system.apply(leaves("gone", "sleep"))
    system.apply(manifest("says", {"code": {"files": {"main.py": MANIFEST}}}))
    if system.platform == "swarm":
        ends |= {"killed": "Failed", "image": "Succeeded"}
        system.apply(leaves("killed", "memory"))
        write = "mkdir /results/weights && cp /results/../etc/hostname /results/weights/model.pth"
        more = "echo '{}' > /results/metrics.json && ln -s metrics.json /results/latest"
        command = ["/bin/sh", "-c", f"{write} && {more}"]
        system.apply(manifest("image", {"image": IMAGE, "command": command}))
    wait_for(lambda: "left" in system.logs("gone"))
    wait_for(lambda: system.ctl("cancel", "gone").returncode == 0)
    for name, phase in ends.items():
        system.wait_phase(name, phase, seconds=90)
        found = listed(system, name)
        assert found.keys() == {"metrics.json", "weights/model.pth"}, name
        weights = found["weights/model.pth"]
        assert (weights["id"], weights["role"], weights["experiment"]) == (
            "weights",
            "weights",
            name,
        )
        if name != "image":
            assert weights["digest"] == f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
        status = system.job(name)["status"]
        assert status["outputs"][-1]["message"] == "its outputs are not all kept: latest is a link"
        (told,) = [c for c in status["conditions"] if c["type"] == "OutputsIncomplete"]
        assert told["message"].endswith("latest is a link")
    assert [one["attempt"] for one in system.job("bad")["status"]["outputs"]] == [1, 2]
    done = system.ctl("outputs", "get", "bad", "-o", str(tmp_path / "bad"), "--attempt", "1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bad" / "weights" / "model.pth").read_bytes() == MODEL
    one = system.ctl("outputs", "get", "late", "metrics", "-o", "-")
    assert json.loads(one.stdout) == {"end": "sleep"}
    system.wait_phase("says", "Succeeded")
    assert listed(system, "says")["best.dat"]["id"] == "weights"
    part = asyncio.run(
        _part(system, pb.ReadOutputRequest(experiment="night-3", id="weights", offset=1, length=2))
    )
    assert part == b"es"
    assert len(json.loads(system.ctl("outputs", "ls", "-e", "night-3", "--json").stdout)) == 2
    uid = system.job("good")["metadata"]["uid"]
    folder = system.folder / "data" / "outputs" / uid
    assert folder.exists()
    system.ctl("delete", "good")
    wait_for(lambda: not folder.exists())
    assert system.ctl("outputs", "ls", "good").returncode == 4
    system.clean()


async def _part(system: System, request: pb.ReadOutputRequest) -> bytes:
    async with AsyncCumulusClient(f"127.0.0.1:{system.grpc}") as client:
        call = client._connection.open("Outputs.Read", request)
        content = b""
        while (chunk := await client._connection.read(call)) is not None:
            content += chunk.data
        return content


def test_too_much_ends_it_and_what_fits_is_kept(process: System) -> None:
    done = process.apply(leaves("fills", "fill", outputs={"size": "10Mi"}), "--wait")
    assert done.returncode != 0
    status = process.job("fills")["status"]
    assert status["reason"] == "OutputsTooLarge"
    assert "its /results holds more than 2 times the 10Mi that outputs.size" in status["message"]
    found = listed(process, "fills")
    assert 0 < sum(one["size"] for one in found.values()) <= 10 << 20
    kept = process.job("fills")["status"]["outputs"][-1]
    assert "does not fit into the 10Mi that outputs.size allows" in kept["message"]
    none = process.apply(leaves("none", "return", outputs={"size": 0}), "--wait")
    assert none.returncode != 0, "without it there is no folder, and no CUMULUS_OUTPUTS"
    assert listed(process, "none") == {}
    process.clean()


@pytest.mark.docker
@pytest.mark.chronos
def test_killed_in_the_middle_of_an_upload(swarm: System, tmp_path: Path) -> None:
    """First the agent, then the controller; each time what came before stays, and nothing is
    listed before all of it has come.
    """
    text = manifest(
        "large",
        {
            "code": {"files": {"main.py": LARGE}},
            "args": [250],
            "resources": {"cpus": "1", "memory": "256Mi"},
        },
    )
    swarm.apply(text)
    wait_for(lambda: "large" in swarm.ctl("get", "jobs").stdout)
    uid = swarm.job("large")["metadata"]["uid"]
    folder = swarm.folder / "data" / "outputs" / uid
    first = _caught(folder, 1 << 20)
    agent = int((swarm.folder / "data" / "agent" / "lock").read_text())
    os.kill(agent, signal.SIGKILL)
    assert first < 250 << 20
    assert not list(folder.glob("*.json"))
    second = _caught(folder, first + (20 << 20))
    swarm.kill9()
    assert second < 250 << 20
    assert not list(folder.glob("*.json"))
    swarm.start()
    swarm.wait_phase("large", "Succeeded", seconds=60)
    with CumulusClient(f"127.0.0.1:{swarm.grpc}") as client:
        digest = client.result("large")
        (output,) = client.outputs("large")
        assert output.digest == f"sha256:{digest}"
        file = client.download_output(output, tmp_path)
    with file.open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == digest
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".json"]
    assert swarm.log.read_text().count("Traceback") == 0
    swarm.clean()


def _caught(folder: Path, size: int) -> int:
    """How much is there of an upload, as soon as that is more than so much."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        for part in folder.glob("*.part"):
            try:
                there = part.stat().st_size
            except FileNotFoundError:
                continue
            if there > size:
                return there
        time.sleep(0.002)
    pytest.fail(f"nothing of it came within 90 s: {[p.name for p in folder.glob('*')]}")


def test_a_large_result_comes_whole(process: System) -> None:
    """Larger than what travels in a job's record: through its outputs, unseen by the caller."""

    def spectrum(size: int) -> dict[str, Any]:
        import numpy as np

        return {"squares": np.arange(size, dtype=np.float64) ** 2, "size": size}

    options = Options(gpu_memory=None, cpus="1", ram="1Gi", duration=120, result="arrays")
    with CumulusClient(f"127.0.0.1:{process.grpc}") as client:
        back = client.call(spectrum, [8_000_000], options=options)
    assert back["size"] == len(back["squares"]) == 8_000_000
    assert back["squares"][-1] == 7_999_999.0**2
    process.clean()
