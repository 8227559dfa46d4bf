"""What `cumulus-agent` accepts, refuses, and how one agent keeps another out."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cumulus.api.joining import worker_name
from cumulus.chronos_bindings.agent.main import LOCKED, locked, main
from cumulus.chronos_bindings.agent.options import TOKEN_VARIABLE, parse

BASE = ["--controller", "127.0.0.1:50051", "--data", "data", "--platform", "docker"]


def test_the_token_leaves_the_environment() -> None:
    env = {TOKEN_VARIABLE: "a-secret-of-16-chars"}
    options = parse([*BASE, "--label", "zone=a=b", "--name", "w1", "--dataset-cache", "2Gi"], env)
    assert env == {}
    assert options.dataset_cache == 2 << 30
    assert options.token == "a-secret-of-16-chars"
    assert (options.labels, options.name, options.data) == (
        {"zone": "a=b"},
        "w1",
        Path("data").absolute(),
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--controller", "nowhere"], "expected HOST:PORT"),
        (["--controller", "h:70000"], "expected HOST:PORT"),
        (["--controller", "gpu.example.org:50051"], "--ca FILE"),
        (["--name", "Big_Name"], "lower-case"),
        (["--label", "novalue"], "KEY=VALUE"),
        (["--platform", "process"], "--process-root"),
        (["--partitioner", "magic"], "invalid choice"),
        (["--dataset-cache", "10 elephants"], "unknown size suffix"),
    ],
)
def test_bad_arguments_end_with_2_and_say_what_is_expected(
    given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*BASE, *given], {})
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("GPU-1.example.org", "gpu-1-example-org"),
        ("_x_", "x"),
        ("!!", "worker"),
        ("a" * 80, "a" * 63),
    ],
)
def test_a_worker_is_named_like_its_host(host: str, name: str) -> None:
    assert worker_name(host) == name


def test_a_second_agent_of_the_same_folder_ends_with_75(tmp_path: Path) -> None:
    arguments = [*BASE, "--data", str(tmp_path), "--name", "w"]
    with locked(tmp_path / "lock") as held:
        assert held is not None
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        assert main(arguments) == LOCKED
    with locked(tmp_path / "lock") as again:
        assert again is not None


def test_a_full_disk_keeps_no_agent_from_its_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with locked(tmp_path / "lock") as held:
        assert held is not None
