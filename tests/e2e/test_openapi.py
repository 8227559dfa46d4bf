"""The three OpenAPI documents against a real controller: no 5xx, no answer that they do not tell of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from system import ROOT, System

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ENDLESS = "/watch|/follow|/import"


def run(process: System, face: str, folder: Path, *options: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://127.0.0.1:{process.http}/{face}/openapi.json",
            *(
                "--checks",
                CHECKS,
                "--exclude-path-regex",
                ENDLESS,
                "--suppress-health-check",
                "all",
            ),
            *("--request-timeout", "20", "--generation-deterministic", "--no-color", *options),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(ROOT / "tests" / "support"),
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("face", ["v1", "runner", "jobrunner"])
def test_every_answer_is_documented(process: System, face: str, tmp_path: Path) -> None:
    run(process, face, tmp_path, "--phases", "fuzzing", "--max-examples", "8")
    # Every boundary of every parameter; of bodies there are too many.
    run(process, face, tmp_path, "--phases", "coverage", "--include-method", "GET")
