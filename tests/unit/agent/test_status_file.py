"""What `cumulus-agent status` says, from what the agent wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent import status_file
from cumulus.chronos_bindings.agent.status_file import StatusFile
from cumulus.crd_like_specs.meta import Condition
from cumulus.crd_like_specs.worker import Device, WorkerStatus

ISOLATED = Condition(type="NetworkIsolated", status=True, reason="Verified", message="", since=1.0)
SEEN = WorkerStatus(
    cpus=2000,
    memory=8 << 30,
    devices=(Device(index=0, name="A100", type="nvidia", memory=80 << 30, enforcement="enforced"),),
    partitioner="chronos",
    conditions=(ISOLATED,),
)


def agent(folder: Path) -> StatusFile:
    """As one that runs: this process has an agent's name in its arguments, by this file's path."""
    (folder / "lock").write_text(f"{os.getpid()}\n")
    return StatusFile(folder, "gpu-1", "0.1.0")


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """`read`, but for the look at /proc."""
    monkeypatch.setattr(
        status_file, "read", lambda data: (json.loads((data / "status.json").read_text()), True)
    )


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("contact", "reason", "code", "line"),
    [
        (True, "Verified", 0, "worker gpu-1: the controller sees it"),
        (True, "NotIsolated", 0, "device 0: A100, 80.0 GiB, shares are enforced"),
        (True, "ImageMissing", 1, "the job image is not here yet"),
        (False, "Verified", 1, "worker gpu-1: no contact to the controller"),
    ],
)
def test_a_worker_is_ready_in_contact_and_with_the_image(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    contact: bool,
    reason: str,
    code: int,
    line: str,
) -> None:
    file = agent(tmp_path)
    isolation = ISOLATED.model_copy(update={"reason": reason})
    file.seen(SEEN.model_copy(update={"conditions": (isolation,)}))
    file.contact(contact=contact)
    assert status_file.main(["--data", str(tmp_path)]) == code
    assert line in capsys.readouterr().out.splitlines()


def test_an_agent_that_is_gone_is_not_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = agent(tmp_path)
    file.contact(contact=True)
    (tmp_path / "lock").write_text("4194305\n")  # beyond the largest pid
    assert status_file.main(["--data", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "the agent does not run\n"
    assert status_file.main(["--data", str(tmp_path / "nowhere")]) == 1


def test_it_is_written_on_news_only(tmp_path: Path) -> None:
    file = agent(tmp_path)
    file.seen(SEEN)
    before = (tmp_path / "status.json").stat().st_ino
    file.seen(SEEN)
    assert (tmp_path / "status.json").stat().st_ino == before
    file.contact(contact=True)
    assert (tmp_path / "status.json").stat().st_ino != before
