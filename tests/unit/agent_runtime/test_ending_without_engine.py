"""Containers whose engine does not answer are ended all the same, and nothing waits for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cumulus.chronos_bindings.agent import runtime_docker
from cumulus.chronos_bindings.agent.cgroups import kill_all, processes
from cumulus.chronos_bindings.agent.runtime_docker import DockerRuntime
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.identity import unit_name

UNIT = unit_name("b" * 32, 1)


class Dead:
    """An engine that refuses, or never answers."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs

    async def call(self, work: Callable[[Any], Any]) -> Any:
        del work
        if self.hangs:
            await asyncio.Event().wait()
        raise Temporary("the engine is away", reason="EngineUnreachable")


def sleeper(root: Path, container: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    folder = root / "docker" / container
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text(f"{process.pid}\n")
    return process


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_kernel_kills_where_the_engine_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(runtime_docker, "_SOON", 0.05)
    monkeypatch.setattr(runtime_docker, "kill_all", lambda ids: kill_all(ids, tmp_path))
    runtime = DockerRuntime(Dead(hangs=hangs))  # type: ignore[arg-type]
    with pytest.raises(Temporary):
        await runtime.kill(UNIT)  # nothing is known of it
    process = sleeper(tmp_path, "c1")
    runtime._known[UNIT] = {"c1", "long-gone"}
    await runtime.kill(UNIT)
    assert process.wait(10) == -9
    with pytest.raises(Temporary):
        await runtime.ensure_gone(UNIT)  # only the engine can say that none is to start
    with pytest.raises(Temporary):
        await runtime.signal(UNIT, 15)


def test_only_what_is_in_the_container_is_killed(tmp_path: Path) -> None:
    mine, other = sleeper(tmp_path, "c1"), sleeper(tmp_path, "c2")
    try:
        assert processes("c1", tmp_path) == [mine.pid]
        assert kill_all(["c1"], tmp_path) == 1
        assert mine.wait(10) == -9
        assert other.poll() is None
        assert kill_all(["c1"], tmp_path) == 0
    finally:
        other.kill()
        other.wait()
