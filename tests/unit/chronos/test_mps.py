"""Finding MPS's daemon by its socket: a real one, that answers as this test's process."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cumulus.chronos_bindings.mps import Daemon, detect

ME = os.getuid()
OTHER = 54321


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: a socket's path has at most 107 characters. Open to all, as the daemon makes it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def daemon(folder: Path, kind: int = socket.SOCK_SEQPACKET, mode: int = 0o666) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(folder / "control"))
        server.listen()
        (folder / "control").chmod(mode)
        yield


def look(folder: Path, uid: int = ME, **env: str) -> Daemon:
    return detect(uid, env, allowed=["/nowhere", str(folder)])


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
def test_a_daemon_that_answers_is_used(folder: Path, kind: int) -> None:
    with daemon(folder, kind):
        assert look(folder) == Daemon(str(folder))


def test_a_socket_that_nobody_answers_is_no_daemon(folder: Path) -> None:
    assert look(folder) == Daemon()
    with daemon(folder):
        pass  # its socket is left behind, as after a crash
    assert (folder / "control").exists()
    assert look(folder) == Daemon()


def test_roots_daemon_serves_any_user_another_ones_only_its_own(folder: Path) -> None:
    with daemon(folder):
        found = look(folder, uid=OTHER)
    if ME == 0:
        assert found == Daemon(str(folder))
    else:
        assert "only root's can serve user 54321" in found.why


def test_a_folder_that_jobs_may_not_enter_is_said(folder: Path) -> None:
    inner = folder / "mps"
    inner.mkdir()
    folder.chmod(0o700)
    with daemon(inner):
        found = detect(OTHER, {}, allowed=[str(inner)])
    assert found.pipe_dir == ""
    assert f"may not enter {folder}" in found.why or "only root's" in found.why


def test_a_socket_that_jobs_may_not_write_to_is_said(folder: Path) -> None:
    with daemon(folder, mode=0o600):
        found = look(folder, uid=OTHER)
    assert found.pipe_dir == ""
    assert "may not write to" in found.why or "only root's" in found.why


def test_pipes_elsewhere_are_told_of_and_not_used(folder: Path) -> None:
    with daemon(folder):
        found = detect(ME, {"CUDA_MPS_PIPE_DIRECTORY": str(folder)}, allowed=["/nowhere"])
    assert found.pipe_dir == ""
    assert f"its pipes are in {folder}" in found.why
