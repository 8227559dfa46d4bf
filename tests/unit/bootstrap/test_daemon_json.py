"""daemon.json gets what is missing, keeps what is there, and gets back what it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "bootstrap" / "daemon_json.py"
USUAL = {"default-address-pools", "log-driver", "log-opts", "no-new-privileges"}


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def planned(file: Path, *options: str) -> set[str]:
    done = run("plan", str(file), *options)
    assert done.returncode == 0, done.stderr
    return {line.partition(" ")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("content", "options", "missing"),
    [
        (None, [], USUAL),
        ({}, ["--nvidia"], USUAL | {"default-runtime", "runtimes/nvidia"}),
        ({"no-new-privileges": False}, [], USUAL - {"no-new-privileges"}),
        ({"log-driver": "journald"}, [], USUAL - {"log-driver", "log-opts"}),
        ({"log-opts": {"max-size": "1m"}}, [], USUAL - {"log-driver", "log-opts"}),
        (
            {"default-runtime": "nvidia", "runtimes": {"nvidia": {"path": "/x"}}},
            ["--nvidia"],
            USUAL,
        ),
        ({"runtimes": {"kata": {"path": "/k"}}}, ["--nvidia"], {
            *USUAL, "default-runtime", "runtimes/nvidia",
        }),
    ],
)  # fmt: skip
def test_only_what_is_missing_is_set_and_taken_back(
    tmp_path: Path, content: dict[str, Any] | None, options: list[str], missing: set[str]
) -> None:
    file = tmp_path / "daemon.json"
    before = None if content is None else json.dumps(content)
    if before is not None:
        file.write_text(before)
    assert planned(file, *options) == missing
    plan = run("plan", str(file), *options).stdout
    assert run("set", str(file), stdin=plan).returncode == 0
    now = json.loads(file.read_text())
    for key, value in (content or {}).items():
        kept = {k: v for k, v in now[key].items() if k in value} if key == "runtimes" else now[key]
        assert kept == value
    assert planned(file, *options) == set()
    again = file.read_bytes()
    assert run("set", str(file), stdin=plan).returncode == 0
    assert file.read_bytes() == again

    assert run("unset", str(file), stdin=plan).returncode == 0
    assert (json.loads(file.read_text()) if file.exists() else {}) == (content or {})
    assert file.exists() == bool(content)


def test_what_someone_changed_since_is_not_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    plan = run("plan", str(file)).stdout
    run("set", str(file), stdin=plan)
    file.write_text(json.dumps({**json.loads(file.read_text()), "no-new-privileges": False}))
    run("unset", str(file), stdin=plan)
    assert json.loads(file.read_text()) == {"no-new-privileges": False}


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ('{"default-runtime": "kata"}', ["--nvidia"], "default-runtime is 'kata': expected nvidia"),
        ("[]", [], "is no JSON object"),
        ("{", [], "is no JSON"),
    ],
)
def test_a_conflict_is_one_line_and_changes_nothing(
    tmp_path: Path, text: str, options: list[str], why: str
) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(text)
    done = run("plan", str(file), *options)
    assert done.returncode == 3
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert file.read_text() == text


def test_an_engine_that_was_started_before_does_not_follow(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    run("set", str(file), stdin=run("plan", str(file)).stdout)
    pools = [{"Base": "172.28.0.0/14", "Size": 24}]
    new = {"DefaultAddressPools": pools, "LoggingDriver": "json-file", "DefaultRuntime": "runc"}
    assert run("follows", str(file), stdin=json.dumps(new)).returncode == 0
    old = {**new, "DefaultAddressPools": None}
    assert run("follows", str(file), stdin=json.dumps(old)).returncode == 1
