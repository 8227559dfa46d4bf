"""The embedded agent: started again, left alone where another holds the lock, stopped at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cumulus.controller.runtime import embedded as embedded_module
from cumulus.controller.runtime.embedded import EmbeddedAgent, kept_token
from runtime_kit import until

CHILD = """
import os, signal, sys
code, data = int(sys.argv[1]), sys.argv[3]
with open(os.path.join(data, "starts"), "a") as file:
    file.write(os.environ.get("CUMULUS_AGENT_TOKEN", "-") + "\\n")
if code >= 0:
    sys.exit(code)
if code == -2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(os.path.join(data, "lock"), "w") as file:
    file.write(str(os.getpid()))
while True:
    signal.pause()
"""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_module, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(embedded_module, "LOCKED_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(embedded_module, "STOP_SECONDS", 0.2)


def agent(data: Path, code: int) -> EmbeddedAgent:
    """One that exits with `code`, waits for SIGTERM (-1), or ignores even that (-2)."""
    command = [sys.executable, "-c", CHILD, str(code), "--data", str(data)]
    return EmbeddedAgent(command, data / "lock", data / "log", {"CUMULUS_AGENT_TOKEN": "t0"})


@contextlib.asynccontextmanager
async def running(of: EmbeddedAgent) -> AsyncIterator[None]:
    task = asyncio.ensure_future(of.run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def starts(data: Path, count: int) -> list[str]:
    """The starts of children, once there are so many."""
    path = data / "starts"
    await until(lambda: path.exists() and len(path.read_text().split()) >= count)
    return path.read_text().split()


async def pid_in(lock: Path) -> int:
    await until(lambda: lock.exists() and lock.read_text())
    return int(lock.read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("code", [1, 75])
async def test_it_is_started_again_with_its_token(tmp_path: Path, code: int) -> None:
    async with running(agent(tmp_path, code)):
        assert set(await starts(tmp_path, 2)) == {"t0"}
    assert "CUMULUS_AGENT_TOKEN" not in os.environ  # jobs of this machine inherit nothing of it


@pytest.mark.parametrize("code", [-1, -2])
async def test_it_is_stopped_at_the_end_even_if_it_would_not(tmp_path: Path, code: int) -> None:
    async with running(agent(tmp_path, code)):
        pid = await pid_in(tmp_path / "lock")
        assert alive(pid)
    assert not alive(pid)


async def test_the_agent_of_an_earlier_controller_is_left_be_then_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, "-1", "--data", str(tmp_path)]
    earlier = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    assert await pid_in(tmp_path / "lock") == earlier.pid
    async with running(agent(tmp_path, 75)):
        await starts(tmp_path, 3)
        assert earlier.returncode is None
    assert await asyncio.wait_for(earlier.wait(), 10) == -signal.SIGTERM


@pytest.mark.parametrize("content", ["", "0", "-5", "1", "junk", "999999999"])
async def test_a_lock_that_names_no_agent_stops_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content)
    assert agent(tmp_path, 75)._holder() is None


async def test_a_process_of_another_folder_is_no_agent_of_ours(tmp_path: Path) -> None:
    other = tmp_path / "agent2"
    other.mkdir()
    command = [sys.executable, "-c", CHILD, "-1", "--data", str(other)]
    process = await asyncio.create_subprocess_exec(*command)
    pid = await pid_in(other / "lock")
    ours = tmp_path / "agent"
    ours.mkdir()
    (ours / "lock").write_text(str(pid))
    assert agent(ours, 75)._holder() is None
    assert agent(other, 75)._holder() == pid
    process.terminate()
    await process.wait()


def test_the_token_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = kept_token(path)
    assert len(token) >= 32
    assert kept_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("")  # cut off by a crash of old
    assert len(kept_token(path)) >= 32
