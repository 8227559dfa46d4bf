from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent.env_cache import EnvCache, units_in_use
from cumulus.chronos_bindings.agent.pip_output import LONGEST, NotInstalled, reason_in
from cumulus.chronos_bindings.agent.pip_process import PipProcess
from cumulus.chronos_bindings.agent.prepare import PipPreparer, PipRun
from cumulus.crd_like_specs.errors import Permanent


class FakeBuilder:
    """Installs one file; waits for `go` where it is set."""

    def __init__(self, code: int = 0, output: str = "", go: asyncio.Event | None = None) -> None:
        self.code, self.output, self.go = code, output, go
        self.runs: list[tuple[str, tuple[str, ...]]] = []
        self.cancelled = 0
        self.started = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def image_id(self, image: str) -> str:
        return f"sha256:{image}"

    async def run(self, image: str, requirements: tuple[str, ...], work: Path) -> PipRun:
        self.runs.append((image, requirements))
        self.started.release()
        (work / "site").mkdir()
        (work / "site" / "module.py").write_text("x" * 5000)
        try:
            if self.go:
                await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return PipRun(self.code, self.output)


async def preparer(folder: Path, builder: FakeBuilder) -> PipPreparer:
    made = PipPreparer(EnvCache(folder), builder)
    await made.open()
    return made


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if "partial" in p.name]


async def test_no_requirements_need_no_folder(tmp_path: Path) -> None:
    builder = FakeBuilder()
    made = await preparer(tmp_path / "envs", builder)
    assert await made.prepare("i", ()) is None
    assert await made.prepare("i", ("# only a comment",)) is None
    assert builder.runs == []


async def test_the_same_is_built_once_whoever_asks(tmp_path: Path) -> None:
    builder = FakeBuilder(go=asyncio.Event())
    assert builder.go
    made = await preparer(tmp_path / "envs", builder)
    asking = [asyncio.create_task(made.prepare("i", r)) for r in (("six",), ("Six",), ("six ",))]
    other = asyncio.create_task(made.prepare("other", ("six",)))
    for _ in range(2):
        await builder.started.acquire()
    builder.go.set()
    paths = await asyncio.gather(*asking, other)
    assert len(set(paths)) == 2
    assert paths[0]
    assert (paths[0] / "module.py").is_file()
    assert await made.prepare("i", ("six",)) == paths[0]
    assert sorted(builder.runs) == [("sha256:i", ("six",)), ("sha256:other", ("six",))]
    assert leftovers(tmp_path / "envs") == []


async def test_it_is_still_there_after_a_restart(tmp_path: Path) -> None:
    path = await (await preparer(tmp_path / "envs", FakeBuilder())).prepare("i", ("six",))
    again = FakeBuilder()
    assert await (await preparer(tmp_path / "envs", again)).prepare("i", ("six",)) == path
    assert again.runs == []


async def test_one_who_gives_up_does_not_stop_the_others(tmp_path: Path) -> None:
    builder = FakeBuilder(go=asyncio.Event())
    assert builder.go
    made = await preparer(tmp_path / "envs", builder)
    first, second = (asyncio.create_task(made.prepare("i", ("six",))) for _ in range(2))
    await builder.started.acquire()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    builder.go.set()
    assert await second is not None
    assert builder.cancelled == 0


async def test_the_last_who_gives_up_stops_the_build_and_cleans(tmp_path: Path) -> None:
    builder = FakeBuilder(go=asyncio.Event())
    made = await preparer(tmp_path / "envs", builder)
    only = asyncio.create_task(made.prepare("i", ("six",)))
    await builder.started.acquire()
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    assert builder.cancelled == 1
    assert leftovers(tmp_path / "envs") == []
    builder.go = None
    assert await made.prepare("i", ("six",)) is not None


async def test_a_failure_tells_why_in_a_line_and_the_rest_to_the_log(tmp_path: Path) -> None:
    output = "Looking in indexes: https://me:pw@index.example/simple\n" + "\n".join(
        (
            *(f"line {n}" for n in range(50)),
            "WARNING: Retrying after HTTPSConnectionPool(host='index.example', port=443)",
            "ERROR: Could not find a version (see https://me:pw@index.example/simple/six/)",
            "ERROR: No matching distribution found for six",
        )
    )
    builder = FakeBuilder(1, output)
    made = await preparer(tmp_path / "envs", builder)
    with pytest.raises(NotInstalled) as caught:
        await made.prepare("i", ("six",))
    assert caught.value.reason == "RequirementsFailed"
    assert caught.value.message == (
        "installing six: pip ended with 1: ERROR: Could not find a version (see (an address)); "
        "ERROR: No matching distribution found for six"
    )
    assert caught.value.output == output.replace("me:pw@", "****@")
    assert leftovers(tmp_path / "envs") == []
    builder.code = 0
    assert await made.prepare("i", ("six",)) is not None, "a failure is not remembered"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("", ""),
        ("Collecting six\nKilled\n", "Killed"),
        ("ERROR: a\nERROR: a\nmore\n", "ERROR: a"),
        ("  error: subprocess-exited-with-error\n", "error: subprocess-exited-with-error"),
        ("ERROR: (host='h.example', port=1)", "ERROR: (host=…, port=1)"),
        ("ERROR: git+ssh://me@h.example/x failed", "ERROR: (an address) failed"),
    ],
)
def test_the_lines_that_say_why(output: str, reason: str) -> None:
    assert reason_in(output) == reason
    assert len(reason_in("ERROR: " + "x" * 5000)) == LONGEST


async def test_too_slow_is_a_failure_of_the_requirements(tmp_path: Path) -> None:
    builder = FakeBuilder()
    builder.error = TimeoutError()
    with pytest.raises(Permanent, match="longer than 600 s"):
        await (await preparer(tmp_path / "envs", builder)).prepare("i", ("six",))


async def test_half_made_folders_are_removed_at_start(tmp_path: Path) -> None:
    envs = tmp_path / "envs"
    path = await (await preparer(envs, FakeBuilder())).prepare("i", ("six",))
    (envs / "aaaa.partial" / "site").mkdir(parents=True)
    (envs / "bbbb").mkdir()
    (envs / "cccc.json").write_text('{"size": 1, "requirements": []}')
    await preparer(envs, FakeBuilder())
    assert path
    assert sorted(p.name for p in envs.iterdir()) == [path.name, f"{path.name}.json"]


def filled(cache: EnvCache, key: str) -> Path:
    partial = cache.begin(key)
    (partial / "site").mkdir()
    (partial / "site" / "data").write_bytes(b"x" * 100_000)
    return cache.commit(key, partial / "site", ())


def test_the_least_recently_used_goes_first_and_none_in_use(tmp_path: Path) -> None:
    used: set[Path] = set()
    cache = EnvCache(tmp_path / "envs", in_use=lambda: used, limit=250_000)
    cache.open()
    paths = {}
    for age, key in ((900, "a"), (800, "b"), (700, "c")):
        paths[key] = filled(cache, key)
        meta = tmp_path / "envs" / f"{key}.json"
        then = meta.stat().st_mtime - age
        os.utime(meta, (then, then))
        if key == "a":
            used.add(paths["a"])
    filled(cache, "d")
    assert cache.get("a") == paths["a"], "a unit links to it"
    assert cache.get("b") is None
    assert not paths["b"].exists()
    assert cache.get("d") is not None


def test_what_was_just_given_stays_though_the_cache_is_full(tmp_path: Path) -> None:
    cache = EnvCache(tmp_path / "envs", limit=1)
    cache.open()
    first, second = filled(cache, "a"), filled(cache, "b")
    assert first.is_dir()
    assert second.is_dir()
    assert json.loads((tmp_path / "envs" / "a.json").read_text())["size"] >= 100_000


def test_units_are_seen_by_their_links(tmp_path: Path) -> None:
    env = tmp_path / "envs" / "a"
    env.mkdir(parents=True)
    for unit in ("u1", "u2", "u3"):
        (tmp_path / "units" / unit).mkdir(parents=True)
    (tmp_path / "units" / "u1" / "env").symlink_to(env)
    (tmp_path / "units" / "u2" / "env").mkdir()
    assert units_in_use(tmp_path / "units") == {env}


async def test_real_pip_names_the_package_that_it_cannot_find(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    builder = PipProcess(env, sys.executable)
    cache = EnvCache(tmp_path / "envs")
    made = PipPreparer(cache, builder)
    await made.open()
    with pytest.raises(Permanent) as caught:
        await made.prepare("i", ("cumulus-no-such-package==0.0.1",))
    assert "cumulus-no-such-package" in caught.value.message
    assert leftovers(tmp_path / "envs") == []


async def test_real_pip_is_stopped_with_its_children(tmp_path: Path) -> None:
    alive = tmp_path / "alive"  # closed when the last process that holds it has ended
    os.mkfifo(alive)
    ear = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\nexec 3>{alive}\necho up >&3\nsleep 60 &\nwait\n")
    slow.chmod(0o755)
    os.set_blocking(ear, True)
    seconds, heard = 0.25, b""
    with open(ear, "rb") as said:  # noqa: PTH123 (it has no path any more)
        while not heard:  # it was stopped before it had begun: a busy machine takes longer
            seconds *= 2
            assert seconds < 60
            pip = PipProcess(python=str(slow), timeout=seconds)
            made = PipPreparer(EnvCache(tmp_path / f"envs-{seconds}"), pip)
            await made.open()
            with pytest.raises(Permanent, match="longer than"):
                await asyncio.wait_for(made.prepare("i", ("six",)), seconds + 20)
            heard = await asyncio.wait_for(asyncio.to_thread(said.read), 20)
    assert heard == b"up\n"
