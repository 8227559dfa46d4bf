"""A worker without any image: it gets what its jobs need from the controller, over a connection of
its own agent, or from a registry with a password, and takes no job before.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from ctl import wait_for
from image_kit import noise
from manifests import manifest
from node import Node
from registry_kit import PASSWORD, REGISTRY, USERNAME, registry
from system import IMAGE

TOOL = "cumulus-test-tool:1"
PRIVATE = f"{REGISTRY}/team/tool:1"

pytestmark = [pytest.mark.docker, pytest.mark.chronos]


class Bare(Cluster):
    """One worker, whose engine has nothing; the controller may pull from a registry."""

    def __init__(self, folder: Path) -> None:
        (folder / "password").write_text(f"{PASSWORD}\n")
        super().__init__(folder, ("bare",))

    @property
    def worker(self) -> Node:
        return self.workers["bare"]

    def config(self) -> dict[str, Any]:
        entry = {
            "server": REGISTRY,
            "username": USERNAME,
            "passwordFile": str(self.folder / "password"),
        }
        return {**super().config(), "registries": [entry]}

    def start(self) -> None:
        self.start_manager()
        _build(self.manager, TOOL)
        for worker in self.workers.values():
            self.start_worker(worker)

    def image_job(self, name: str, image: str, script: str, **spec: Any) -> dict[str, Any]:
        """Applied, and ended."""
        job = json.loads(manifest(name, ""))
        del job["spec"]["code"]
        job["spec"] |= {"image": image, "command": ["python3", "-c", script], **spec}
        done = self.apply(json.dumps(job))
        assert done.returncode == 0, done.stderr
        return self.wait_end(name)

    def wait_end(self, name: str, seconds: float = 180) -> dict[str, Any]:
        return self.wait_phase(name, "Succeeded", "Failed", "TimedOut", seconds=seconds)


def _build(node: Node, tag: str) -> None:
    """The job image with a file more."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in (
            ("Dockerfile", f"FROM {IMAGE}\nENTRYPOINT []\nCOPY noise /noise\n".encode()),
            ("noise", noise(len(tag), 100_000)),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    node.docker.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)


def _assert_nowhere(fleet: Bare, secret: str) -> None:
    """In no file of the controller and the agent, no log, no argument, no answer."""
    folders = [fleet.folder / node / "var-lib-cumulus" for node in ("n0", "bare")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any("journal" in path.name for path in files)
    files += [program.log for program in (fleet.controller, fleet.workers["bare"].agent)]
    files += Path("/proc").glob("[0-9]*/cmdline")
    for path in files:
        with suppress(OSError):  # a process that has ended
            assert secret.encode() not in path.read_bytes(), path
    for kind in ("jobs", "leases", "workers"):
        shown = fleet.ctl("get", kind, "-o", "yaml")
        assert shown.returncode == 0
        assert secret not in shown.stdout


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    made = Bare(tmp_path_factory.mktemp("images"))
    try:
        made.start()
        yield made
    finally:
        made.remove()


def test_a_bare_worker_takes_jobs_once_it_was_given_the_job_image(fleet: Bare) -> None:
    wait_for(lambda: fleet.client.list("Worker"), 60)
    done = fleet.apply(manifest("first", "def main():\n    return 'ran'\n"))
    assert done.returncode == 0, done.stderr

    def waits() -> bool:
        """It says that it waits for the image"""
        status = fleet.job("first")["status"]
        assert status["phase"] == "Pending", status
        words = r"bare does not have the job image yet: .*(%|asking|loads)"
        return re.search(words, status["message"]) is not None

    wait_for(waits)
    status = fleet.wait_end("first")["status"]
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1), status
    assert fleet.condition("bare", "ImagesPresent")
    here, there = (n.docker.images.get(IMAGE) for n in (fleet.manager, fleet.worker))
    assert (there.id, there.tags) == (here.id, [IMAGE])
    assert list((fleet.folder / "bare/var-lib-cumulus/agent/images").iterdir()) == []
    fleet.clean()


def test_an_image_of_the_controllers_reaches_the_worker_with_the_job(fleet: Bare) -> None:
    script = "import os; print(os.path.getsize('/noise'))"
    status = fleet.image_job("tool", TOOL, script)["status"]
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1), status
    assert fleet.logs("tool").strip() == "100000"
    assert fleet.worker.docker.images.get(TOOL).id == fleet.manager.docker.images.get(TOOL).id
    fleet.clean()


def test_an_image_that_nobody_can_give_fails_the_job_and_says_so(fleet: Bare) -> None:
    status = fleet.image_job("nowhere", "registry.example.org/x:1", "pass")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ImageMissing")
    assert "is neither on the controller's engine nor on any worker" in status["message"]
    assert "its registry registry.example.org (registries)" in status["message"]
    fleet.clean()


def test_an_image_of_a_registry_is_pulled_with_its_password(fleet: Bare) -> None:
    worker = fleet.worker
    with registry(worker, PRIVATE, lambda: _build(worker, PRIVATE)) as program:
        status = fleet.image_job("private", PRIVATE, "print('pulled')")["status"]
        assert (status["phase"], status["attempt"]) == ("Succeeded", 1), status
        assert fleet.logs("private").strip() == "pulled"
        missing = fleet.image_job("missing", f"{REGISTRY}/team/none:1", "pass")["status"]
        assert (missing["phase"], missing["reason"]) == ("Failed", "ImageMissing")
        assert f"registry {REGISTRY} has no image {REGISTRY}/team/none:1" in missing["message"]
        assert program.running
        _assert_nowhere(fleet, PASSWORD)
    fleet.clean()
