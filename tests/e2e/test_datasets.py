"""Datasets on their way from a client into jobs: once, read-only, whole, whoever is killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cumulus.api.gen.cumulus.v1 import datasets_pb2 as pb
from cumulus.api.gen.cumulus.v1 import datasets_pb2_grpc
from cumulus.sdk import CumulusClient
from system import System, wait_for

READS = """
import hashlib, json, os, pathlib

def main(name, path, write=True):
    folder = pathlib.Path(json.loads(os.environ["CUMULUS_DATASETS"])[name])
    found = {}
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        found[str(file.relative_to(folder))] = digest
    tried = []
    acts = (lambda: (folder / "mine").write_text("x"), lambda: os.chmod(folder, 0o777))
    for act in acts if write else ():
        try:
            act()
            tried.append("done")
        except OSError as error:
            tried.append(type(error).__name__)
    return {"found": found, "tried": tried, "there": os.path.isdir(path)}
"""

PIECE = 1 << 20


@pytest.fixture(
    params=[pytest.param("swarm", marks=[pytest.mark.docker, pytest.mark.chronos]), "process"]
)
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.getfixturevalue(request.param)
    return found


def upload(system: System, name: str, data: bytes) -> str:
    """Its digest, once the controller has it."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with grpc.insecure_channel(f"127.0.0.1:{system.grpc}") as channel:
        stub: Any = datasets_pb2_grpc.DatasetsStub(channel)  # type: ignore[no-untyped-call]
        begun = stub.Begin(pb.BeginDatasetRequest(name=name, digest=digest, size=len(data)))

        def frames() -> Iterator[pb.PutDatasetRequest]:
            yield pb.PutDatasetRequest(start=pb.PutDatasetRequest.Start(upload=begun.upload))
            for at in range(0, len(data), PIECE):
                yield pb.PutDatasetRequest(data=data[at : at + PIECE])
            yield pb.PutDatasetRequest(complete=True)

        assert stub.Put(frames()).dataset.spec.digest == digest
    return digest


def packed(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz", preset=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"deep/{name}")
            info.size, info.mode = len(content), 0o600
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def manifest(name: str, *datasets: dict[str, str], path: str, write: bool = False) -> str:
    base = {"resources": {"cpus": "50m", "memory": "128Mi"}, "duration": 60, "gpu": None}
    args = {"name": datasets[0]["name"], "path": path, "write": write}
    code = {"files": {"main.py": READS}}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"code": code, "args": args, "datasets": datasets, **base},
        }
    )


def result(system: System, text: str) -> dict[str, Any]:
    done = system.apply(text, "--wait")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cache(system: System) -> Path:
    return system.folder / "data" / "agent" / "datasets"


def fetched(system: System, name: str) -> int:
    log = (system.folder / "data" / "agent" / "agent.log").read_text()
    return log.count(f"dataset {name} is here")


def test_jobs_read_what_was_uploaded_and_the_worker_fetches_it_once(system: System) -> None:
    noise = os.urandom(3 << 20)
    data = packed(a=noise, b=b"two")
    digest = upload(system, "photos", data)
    isolates = system.platform == "swarm"  # the other one does not, and says so
    first = result(
        system, manifest("one", {"name": "photos"}, path="/datasets/photos", write=isolates)
    )
    found = {
        "deep/a": hashlib.sha256(noise).hexdigest(),
        "deep/b": hashlib.sha256(b"two").hexdigest(),
    }
    assert first["found"] == found
    if isolates:
        assert first["tried"] == ["OSError", "OSError"], "the mount is read-only"
        assert first["there"]
    (mount,) = system.job("one")["spec"]["datasets"]
    assert (mount["digest"], mount["format"]) == (digest, "tar.xz")
    elsewhere = {"name": "photos", "path": "/data/x"}
    second = result(system, manifest("two", elsewhere, path="/data/x"))
    assert second["found"] == found
    assert second["there"] == first["there"]
    assert fetched(system, "photos") == 1
    assert system.apply(manifest("two", elsewhere, path="/data/x")).stdout == "job/two unchanged\n"
    refused = system.apply(manifest("three", {"name": "nothing"}, path="/"))
    assert refused.returncode == 2
    assert "there is no dataset 'nothing'" in refused.stderr
    assert system.ctl("datasets", "rm", "photos").returncode == 0
    hexes = digest.removeprefix("sha256:")
    wait_for(lambda: not [path for path in cache(system).rglob("*") if hexes in str(path)])
    system.clean()


def test_an_agent_that_is_killed_in_the_middle_goes_on_and_nothing_is_half_there(
    system: System,
) -> None:
    data = os.urandom(256 << 20)
    digest = upload(system, "noise", data)
    system.apply(manifest("reads", {"name": "noise"}, path="/datasets/noise"))
    part = cache(system) / "incoming" / f"{digest.removeprefix('sha256:')}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 0, 30)
    os.kill(int((system.folder / "data" / "agent" / "lock").read_text()), signal.SIGKILL)
    before = part.stat()
    assert 0 < before.st_size < len(data)
    whole = [p for p in cache(system).iterdir() if p.name.startswith(part.stem)]
    assert not whole
    wait_for(lambda: not part.exists() or part.stat().st_size > before.st_size, 30)
    assert not part.exists() or part.stat().st_ino == before.st_ino, "it goes on where it was"
    system.wait_phase("reads", "Succeeded")
    with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
        outcome = client.result("reads")
    assert outcome["found"] == {"noise": digest.removeprefix("sha256:")}
    assert fetched(system, "noise") == 1
    left = [p.name for p in cache(system).iterdir() if p.name.startswith(".")]
    assert left == [p.name for p in (cache(system) / "incoming").iterdir()] == []
    system.clean()
