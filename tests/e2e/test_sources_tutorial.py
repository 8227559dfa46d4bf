"""The tutorial for operators, run from top to bottom as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from system import ROOT, free_port

README = ROOT / "controller" / "gitops" / "README.md"


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (
        ("cumulusctl", "cumulus.sdk.cli.main"),
        ("cumulus-controller", "cumulus.controller.main"),
    ):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    grpc = free_port()
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CUMULUS_LISTEN__GRPC": f"127.0.0.1:{grpc}",
        "CUMULUS_LISTEN__HTTP": f"127.0.0.1:{free_port()}",
        "CUMULUS_SERVER": f"127.0.0.1:{grpc}",
        "GIT_AUTHOR_NAME": "operator",
        "GIT_AUTHOR_EMAIL": "operator@example.org",
        "GIT_COMMITTER_NAME": "operator",
        "GIT_COMMITTER_EMAIL": "operator@example.org",
    }
    shown, said = tmp_path / "stdout", tmp_path / "stderr"
    script = "set -eu\ntrap 'kill $(jobs -p); wait' EXIT\n" + "".join(blocks)
    with shown.open("wb") as out, said.open("wb") as err:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, said.read_text()[-3000:]
    text = shown.read_text() + said.read_text()
    assert text.count("hello fleet\n") == 1, text
    assert text.count("hello world\n") == 2, text
    rows = [line.split(maxsplit=4) for line in shown.read_text().splitlines() if ".yaml " in line]
    wrong = [row[-1] for row in rows if row[1:3] == ["wrong.yaml", "Invalid"]]
    assert wrong
    assert wrong[0].startswith("4:18: spec.duration: "), wrong
    assert ["hello.yaml", "Pruned"] in [row[1:3] for row in rows[-4:]], rows
    heads = [line.split()[:2] for line in shown.read_text().splitlines()]
    assert ["more", "Suspended"] in heads, "read again while it ran"
