"""What only the process platform promises: its files, its supervisor, and that it hides nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cumulus.controller.platforms.process import ProcessPlatform
from cumulus.controller.reconcile.actions import Mount, SecretFile
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.crd_like_specs.errors import Permanent, Temporary
from platform_benches import FOREVER, OK, SECONDS, Bench, process_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = process_bench(tmp_path / "units")
    await made.platform.start()
    yield made
    for service in await made.platform.list_owned():
        await made.platform.remove(service.name)
    await made.platform.close()


@pytest.fixture
def units(bench: Bench, tmp_path: Path) -> Path:
    assert bench.platform.name == "process"
    return tmp_path / "units"


def pids(folder: Path) -> tuple[int, int]:
    """Of the supervisor and of the job's leader."""
    files = (json.loads((folder / name).read_text()) for name in ("shim.json", "pid"))
    shim, leader = (int(file["pid"]) for file in files)
    return shim, leader


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    for _ in range(500):
        if not runs(pid):
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"process {pid} still runs")


async def test_it_says_that_it_does_not_isolate(bench: Bench) -> None:
    assert any("No isolation" in notice for notice in bench.platform.notices)


async def test_image_jobs_are_refused_with_a_sentence(bench: Bench) -> None:
    with pytest.raises(Permanent, match="runs code jobs only: image 'nginx'") as caught:
        await bench.platform.create(bench.spec(OK, image="nginx"))
    assert caught.value.reason == "Unsupported"


async def test_its_files_are_as_the_agent_reads_them(bench: Bench, units: Path) -> None:
    spec = bench.spec("echo hi; exit 3", env={"SECRET": "s3cret"})
    await bench.platform.create(spec)
    await bench.ended(spec.name)
    folder = units / spec.name
    assert json.loads((folder / "service.json").read_text())["labels"] == {
        "dev.cumulus.owned": "1",
        "dev.cumulus.uid": spec.uid,
        "dev.cumulus.attempt": "1",
        "dev.cumulus.job": "test",
    }
    assert set(json.loads((folder / "pid").read_text())) == {"pid", "start"}
    (line,) = (folder / "log.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"t", "s", "d"}
    assert json.loads(line)["d"] == "aGkK"
    end = json.loads((folder / "exit.json").read_text())
    assert end["exit_code"] == 3
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert "s3cret" not in (folder / "service.json").read_text()


async def test_a_job_gets_its_folders_and_nothing_of_the_controllers_environment(
    bench: Bench, units: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUMULUS_TOKEN", "s3cret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    results = Mount("/staging/outputs", "/results", writable=True)
    mounts = (Mount("/staging/job", "/job"), Mount("/staging/env", "/env"), results)
    _, output = await bench.run("pwd; env", env={"A": "b=c"}, mounts=mounts)
    work, *lines = output.decode().splitlines()
    assert Path(work).parent.parent == units
    assert {
        "A=b=c",
        "CUMULUS_JOB_DIR=/staging/job",
        "CUMULUS_ENV_DIR=/staging/env",
        "CUMULUS_OUTPUTS=/staging/outputs",
        f"CUMULUS_WORK_DIR={work}",
        "LANG=C.UTF-8",
    } <= set(lines)
    assert "s3cret" not in output.decode()


async def test_a_job_finds_its_datasets_where_they_are(bench: Bench, tmp_path: Path) -> None:
    photos = tmp_path / "cache" / "photos"
    photos.mkdir(parents=True)
    (photos / "one").write_text("first")
    link = tmp_path / "link"
    link.symlink_to(photos)
    _, output = await bench.run(
        "echo $CUMULUS_DATASETS",
        env={"CUMULUS_DATASETS": json.dumps({"photos": "/datasets/photos"})},
        mounts=(Mount(str(link), "/datasets/photos"),),
    )
    assert json.loads(output) == {"photos": str(link)}
    assert (Path(json.loads(output)["photos"]) / "one").read_text() == "first"


async def test_code_is_run_by_the_runner_in_this_python(units: Path, bench: Bench) -> None:
    runner = units.parent / "runner.py"
    runner.write_text("import sys; print(sys.executable)")
    platform = ProcessPlatform(units, runner)
    spec = replace(bench.spec(OK), command=())
    await platform.create(spec)
    await bench.ended(spec.name)
    assert await bench.output(spec.name) == f"{sys.executable}\n".encode()
    await platform.close()


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("/nope", 127, "the command cannot be run: No such file or directory"),
        ("/etc/passwd", 126, "the command cannot be run: Permission denied"),
    ],
)
async def test_a_command_that_cannot_be_run_fails_like_in_a_shell(
    bench: Bench, command: str, code: int, text: str
) -> None:
    spec = replace(bench.spec(OK), command=(command,))
    await bench.platform.create(spec)
    seen = await bench.ended(spec.name)
    assert (seen.state, seen.exit_code, seen.message) == (ServiceState.FAILED, code, text)


async def test_a_nul_in_a_command_is_refused(bench: Bench) -> None:
    with pytest.raises(Permanent, match="NUL"):
        await bench.platform.create(bench.spec("echo \0"))


async def test_what_a_dead_supervisor_left_is_killed_and_has_failed(
    bench: Bench, units: Path
) -> None:
    spec = bench.spec(FOREVER)
    await bench.platform.create(spec)
    shim, leader = pids(units / spec.name)
    os.kill(shim, signal.SIGKILL)
    await gone(shim)
    seen = await bench.ended(spec.name)
    assert (seen.state, seen.exit_code) == (ServiceState.FAILED, None)
    assert "supervisor was killed" in seen.message
    await gone(leader)


async def test_a_finished_job_leaves_no_process_of_its_group(bench: Bench) -> None:
    _, output = await bench.run("sleep 600 & echo $!")
    await gone(int(output))


async def test_a_removed_job_leaves_no_process(bench: Bench, units: Path) -> None:
    spec = bench.spec("sleep 600 & sleep 600 & wait")
    await bench.platform.create(spec)
    before = pids(units / spec.name)
    await bench.platform.remove(spec.name)
    for pid in before:
        await gone(pid)
    assert list(units.iterdir()) == []


async def test_a_job_that_left_folders_without_rights_is_deleted(bench: Bench, units: Path) -> None:
    await bench.run("mkdir -p a/b; touch a/b/c; chmod 0 a/b a")
    assert list(units.iterdir()) == []


async def test_the_supervisor_passes_signals_on(bench: Bench, units: Path) -> None:
    spec = bench.spec(
        "trap 'echo warned' USR1; trap 'echo stopping; exit 7' TERM; echo ready; "
        "while :; do sleep 0.05; done"
    )
    await bench.platform.create(spec)
    shim, _ = pids(units / spec.name)
    for number, word in ((signal.SIGUSR1, b"warned"), (signal.SIGTERM, b"stopping")):
        for _ in range(500):
            if await bench.output(spec.name):
                break
            await asyncio.sleep(0.01)
        os.kill(shim, number)
        for _ in range(500):
            if word in await bench.output(spec.name):
                break
            await asyncio.sleep(0.01)
        assert word in await bench.output(spec.name)
    assert (await bench.ended(spec.name)).exit_code == 7


async def test_an_end_is_hinted_at(bench: Bench) -> None:
    spec = bench.spec("sleep 0.3")

    async def seen_ended() -> None:
        async for _ in bench.platform.changes():
            seen = await bench.seen(spec.name)
            if seen is not None and seen.state.ended:
                return

    waiting = asyncio.create_task(seen_ended())
    await bench.platform.create(spec)
    await asyncio.wait_for(waiting, SECONDS)


async def test_what_a_killed_controller_only_prepared_is_started_by_the_next(
    bench: Bench, units: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.spec("echo hi")
    with monkeypatch.context() as patch:
        patch.setattr(ProcessPlatform, "_launch", lambda *_: None)
        await bench.platform.create(spec)
    pending = await bench.seen(spec.name)
    assert pending is not None
    assert pending.state is ServiceState.PENDING
    half_made = units / ".new-x"
    half_made.mkdir()
    other = bench.another()
    await other.start()
    await bench.ended(spec.name)
    assert await bench.output(spec.name) == b"hi\n"
    assert not half_made.exists()
    await other.close()


async def test_a_supervisor_that_cannot_start_is_a_temporary_fault(
    bench: Bench, units: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bench.spec(OK)
    monkeypatch.setattr("cumulus.controller.platforms.process._SHIM", units / "no-shim.py")
    with pytest.raises(Temporary, match=r"did not start: .*no-shim\.py"):
        await bench.platform.create(spec)


async def test_a_torn_last_log_line_is_left_out(bench: Bench, units: Path) -> None:
    spec = bench.spec("echo hi")
    await bench.platform.create(spec)
    await bench.ended(spec.name)
    with (units / spec.name / "log.jsonl").open("ab") as log:
        log.write(b'{"t": 1.0, "s": "std')
    assert await bench.output(spec.name) == b"hi\n"


async def test_secrets_are_files_of_the_unit_alone_and_go_with_it(tmp_path: Path) -> None:
    platform = ProcessPlatform(tmp_path / "units", secrets=lambda secret: secret.name.encode())
    await platform.start()
    bench = replace(process_bench(tmp_path / "units"), platform=platform)
    spec = bench.spec(
        'cat "$CUMULUS_SECRETS_DIR/k"; stat -c %a "$CUMULUS_SECRETS_DIR" "$CUMULUS_SECRETS_DIR/k"',
        secrets=(SecretFile("key", "k"),),
        env={"CUMULUS_SECRETS_DIR": "/run/secrets"},
    )
    await platform.create(spec)
    await bench.ended(spec.name)
    assert (await bench.output(spec.name)).split() == [b"key700", b"600"]
    unit = tmp_path / "units" / spec.name
    kept = [one.read_bytes() for one in unit.rglob("*") if one.is_file() and "log" not in one.name]
    assert not [one for one in kept if b"key700" in one]
    await platform.remove(spec.name)
    assert list((tmp_path / "units-secrets").iterdir()) == []
    await platform.close()
