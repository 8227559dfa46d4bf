"""The job image, built and run by its own test script."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "image" / "test-container.sh"


@pytest.mark.docker
def test_every_case_of_the_containers_own_test_passes() -> None:
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=1200, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in lines if line.startswith("FAIL")] == []
    assert len([line for line in lines if line.startswith("PASS")]) == 14
