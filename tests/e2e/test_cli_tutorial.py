"""The commands of sdk/cli/README.md, run in their order against a real controller."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import ROOT
from tls_system import TlsSystem

PAGE = (ROOT / "sdk" / "cli" / "README.md").read_text()
CTL = [sys.executable, "-m", "cumulus.sdk.cli.main"]
FILES = re.findall(r"`([a-z]+\.yaml)`:\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[TlsSystem]:
    found = TlsSystem(tmp_path / "controller")
    found.start()
    yield found
    found.stop()


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command without a shell; `cumulusctl` is that of this tree."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CUMULUS_")}
    return subprocess.run(
        [*CTL, *words],
        cwd=folder,
        env={**clean, "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_does_what_the_page_says(system: TlsSystem, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(system.data / "admin.token", home / "admin.token")
    shutil.copy(system.ca, home / "ca.crt")
    for name, text in FILES:
        (home / name).write_text(text)
    assert len(COMMANDS) > 30
    said: dict[str, str] = {}
    for line in COMMANDS:
        command, _, note = line.partition("  # exits with ")
        command = command.replace("gpu.example.org:50051", f"127.0.0.1:{system.grpc}")
        inner = re.search(r"\$\((.*?)\)$", command)
        if inner:
            found = run(shlex.split(inner[1])[1:], home)
            assert found.returncode == 0, found.stderr
            command = command.replace(inner[0], found.stdout)
        program, *words = shlex.split(command)
        assert program == "cumulusctl"
        done = run(words, home)
        assert done.returncode == int(note or 0), f"{line}\n{done.stdout}\n{done.stderr}"
        said[line] = done.stdout
    assert "role:  admin" in said["cumulusctl auth whoami"]
    assert said["cumulusctl apply train.yaml --wait"] == '{"loss": 0.1}\n'
    assert said["cumulusctl get job train -o jsonpath={.status.phase}"] == "Succeeded"
    assert "+ job/train created" in said["cumulusctl diff train.yaml  # exits with 1"]
    listed = said["cumulusctl outputs ls leaves"].split()
    assert listed[:8] == ["PATH", "ID", "TYPE", "SIZE", "metrics.json", "metrics", "metrics", "13"]
    assert said["cumulusctl outputs get leaves metrics.json -o -"] == '{"loss": 0.1}'
    assert (home / "model.pth").read_bytes() == b"learnt"
    assert (home / "leaves" / "weights" / "model.pth").read_bytes() == b"learnt"
    assert said["cumulusctl apply reads.yaml --wait"] == '["metrics.json", "weights"]\n'
    events = said["cumulusctl events long"]
    for word in ("Submitted", "Placed", "Extended", "CancelAsked", "Cancelled"):
        assert word in events
    assert "pruned" in said["cumulusctl plan train.yaml --prune -l team=vision  # exits with 1"]
