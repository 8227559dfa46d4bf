"""What only Docker Swarm gives: limits and isolation as they are inside the container."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from cumulus.controller.platforms.swarm import SwarmPlatform
from cumulus.controller.reconcile.actions import Mount, SecretFile
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.crd_like_specs.errors import Permanent
from platform_benches import OK, OWNER, Bench, swarm_bench, sweep_volumes

MEMORY = 64 << 20


@pytest.fixture(scope="module", autouse=True)
def sweep(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if any(item.get_closest_marker("docker") for item in request.session.items):
        sweep_volumes()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = swarm_bench()
    await made.platform.start()
    yield made
    await made.platform.close()
    made.close()


async def said(bench: Bench, script: str, **more: object) -> list[str]:
    """Lines of the script's output, both streams; it must have exit code 0."""
    seen, output = await bench.run(f"exec 2>&1; {script}", **more)
    assert (seen.state, seen.exit_code) == (ServiceState.COMPLETE, 0), (seen, output)
    return output.decode().splitlines()


@pytest.mark.docker
async def test_a_job_is_nobody_and_cannot_do_anything(bench: Bench) -> None:
    lines = await said(bench, "id -u; id -g; grep -E '^Cap(Eff|Prm|Bnd|Inh)' /proc/self/status")
    assert lines[:2] == ["1000", "1000"]
    assert [int(line.split()[1], 16) for line in lines[2:]] == [0, 0, 0, 0]


@pytest.mark.docker
async def test_its_root_is_read_only_and_its_work_folder_runs_programs(bench: Bench) -> None:
    lines = await said(
        bench,
        "touch /x /etc/x && exit 1; cp /bin/true /work/t && /work/t && echo ran; "
        "echo > /tmp/x && echo > /dev/shm/x && echo $HOME; "
        "df -P -B1 /work /dev/shm | awk 'NR > 1 {print $2}'; ulimit -c",
        memory=MEMORY,
        shm=1 << 20,
    )
    assert [line for line in lines if "Read-only file system" in line]
    assert lines[-5:] == ["ran", "/work", str(MEMORY // 2), str(1 << 20), "0"]


@pytest.mark.docker
async def test_more_memory_than_its_limit_is_the_end(bench: Bench) -> None:
    seen, _ = await bench.run("exec tail /dev/zero", memory=MEMORY)
    assert (seen.state, seen.exit_code) == (ServiceState.FAILED, 137)
    assert seen.out_of_memory


@pytest.mark.docker
async def test_more_in_its_work_folder_than_fits_is_an_error_it_can_handle(bench: Bench) -> None:
    lines = await said(bench, "head -c 100m /dev/zero > /work/x || echo full", memory=MEMORY)
    assert lines[-1] == "full"


@pytest.mark.docker
async def test_more_processes_than_its_limit_are_refused(bench: Bench) -> None:
    script = "for i in $(seq 40); do sleep 3 & done; echo all of them"
    seen, output = await bench.run(script, pids=16)
    assert seen.exit_code != 0
    assert b"all of them" not in output


@pytest.mark.docker
async def test_networkless_means_no_way_out(bench: Bench) -> None:
    """Its only link is the isolated bridge, from which the engine forwards nothing. That the
    node's own addresses are closed too is the agent's work, and tested with it.
    """
    python = (
        "import socket, os\n"
        "print(sorted(os.listdir('/sys/class/net')))\n"
        "for target in ('192.0.2.1', '1.1.1.1'):\n"
        "    s = socket.socket(); s.settimeout(2)\n"
        "    try: s.connect((target, 443)); print('reached')\n"
        "    except OSError as e: print('closed')\n"
    )
    spec = replace(bench.spec(OK), command=("python3", "-c", python))
    await bench.platform.create(spec)
    try:
        assert (await bench.ended(spec.name)).exit_code == 0
        lines = (await bench.output(spec.name)).decode().splitlines()
    finally:
        await bench.platform.remove(spec.name)
    assert lines == ["['eth0', 'lo']", "closed", "closed"]


@pytest.mark.docker
async def test_egress_means_a_bridge_with_a_way_out(bench: Bench) -> None:
    isolated = await said(bench, "cat /proc/net/route | sed 1d | head -1")
    egress = await said(bench, "cat /proc/net/route | sed 1d | head -1", isolated=False)
    assert egress
    assert egress != isolated


@pytest.mark.docker
async def test_mounts_are_read_only(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello\n")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    mounts = (Mount(str(tmp_path), "/job"),)
    lines = await said(bench, "cat /job/file; touch /job/x || echo refused", mounts=mounts)
    assert (lines[0], lines[-1]) == ("hello", "refused")


@pytest.mark.docker
async def test_outputs_are_written_by_the_jobs_own_user(bench: Bench, tmp_path: Path) -> None:
    """On a read-only root, by whoever the image runs as, and seen on the node."""
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(0o755)
    tmp_path.chmod(0o777)
    mounts = (Mount(str(tmp_path), "/results", writable=True),)
    lines = await said(bench, "id -u; mkdir /results/a && echo x > /results/a/b", mounts=mounts)
    assert lines == ["1000"]
    assert (tmp_path / "a" / "b").read_text() == "x\n"


@pytest.mark.docker
async def test_a_mount_source_that_is_missing_is_rejected(bench: Bench) -> None:
    seen, _ = await bench.run(OK, mounts=(Mount("/nope/never", "/job"),))
    assert seen.state is ServiceState.REJECTED
    assert "/nope/never" in seen.message


@pytest.mark.docker
async def test_an_image_missing_on_another_node_is_that_nodes_to_tell(bench: Bench) -> None:
    """Named by id for a node that is not the manager's it is accepted, and waits for its node."""
    spec = replace(bench.spec(OK, image="sha256:" + "0" * 64), node_id="no-such-node")
    await bench.platform.create(spec)
    try:
        seen = await bench.until(spec.name, lambda s: bool(s.message))
    finally:
        await bench.platform.remove(spec.name)
    assert seen.state is ServiceState.PENDING
    assert "no suitable node" in seen.message


@pytest.mark.docker
async def test_a_command_that_does_not_exist(bench: Bench) -> None:
    spec = replace(bench.spec(OK), command=("/nope",))
    await bench.platform.create(spec)
    try:
        seen = await bench.ended(spec.name)
    finally:
        await bench.platform.remove(spec.name)
    assert (seen.state, seen.exit_code) == (ServiceState.FAILED, 127)


@pytest.mark.docker
async def test_limits_that_no_engine_grants_are_rejected(bench: Bench) -> None:
    spec = bench.spec(OK, memory=1 << 20)
    with pytest.raises(Permanent, match="memory") as caught:
        await bench.platform.create(spec)
    assert caught.value.reason == "Rejected"


@pytest.mark.docker
async def test_the_volume_of_a_removed_service_is_deleted(bench: Bench) -> None:
    assert isinstance(bench.platform, SwarmPlatform)
    seen, _ = await bench.run(OK)
    assert seen.exit_code == 0
    for _ in range(100):  # until the engine has deleted the container
        if await bench.platform.tidy():
            return
        await asyncio.sleep(0.1)
    pytest.fail("its volume was never found")


@pytest.mark.docker
async def test_starting_twice_finds_the_network_made(bench: Bench) -> None:
    second = bench.another()
    await second.start()
    assert await second.list_owned() == []
    await second.close()


@pytest.mark.parametrize("reference", ["", "../../services", "a b", "a/../b", "-x"])
async def test_what_is_no_image_reference_never_reaches_the_engine(reference: str) -> None:
    with pytest.raises(Permanent, match="no image reference"):
        await SwarmPlatform("unix:///nowhere.sock").image_id(reference)


async def test_an_engine_that_does_not_answer_is_told_in_one_sentence(tmp_path: Path) -> None:
    platform = SwarmPlatform(f"unix://{tmp_path}/docker.sock")
    with pytest.raises(Permanent, match="no Docker Engine answers at unix://") as caught:
        await platform.start()
    assert caught.value.reason == "EngineUnreachable"
    await platform.close()


async def test_the_job_image_tells_the_python_that_it_runs(bench: Bench) -> None:
    """Of the image that the bench runs, not of the machine."""
    program = 'import sys; print(*sys.version_info[:2], sep=".")'
    assert await said(bench, f"python3 -c '{program}'") == [
        await bench.platform.python_of("cumulus-job:latest")
    ]


@pytest.mark.docker
async def test_secrets_are_files_that_only_the_job_reads_and_go_with_it() -> None:
    values = {"key": b"s3cret", "db": b"pa55"}
    bench = swarm_bench()
    platform = SwarmPlatform(owner=OWNER, secrets=lambda secret: values[secret.name])
    bench = replace(bench, platform=platform)
    await platform.start()
    engine = docker.APIClient(version="auto")
    try:
        spec = bench.spec(
            "cd /run/secrets; cat key password; stat -c ' %u:%g %a' key; id -u; env",
            secrets=(SecretFile("key", "key"), SecretFile("db", "password")),
            user="1234",
        )
        await platform.create(spec)
        await platform.create(spec)  # done twice it is done once
        seen = await bench.ended(spec.name)
        lines = (await bench.output(spec.name)).decode().splitlines()
        assert (seen.exit_code, lines[:2]) == (0, ["s3cretpa55 1234:1234 400", "1234"])
        assert not [line for line in lines[2:] if "s3cret" in line or "pa55" in line]
        made = [one["Spec"]["Name"] for one in engine.secrets(filters={"name": spec.name})]
        assert sorted(made) == [f"{spec.name}.0", f"{spec.name}.1"]
        assert "s3cret" not in str(engine.inspect_service(spec.name))
        await platform.remove(spec.name)
        assert engine.secrets(filters={"name": spec.name}) == []
    finally:
        await platform.close()
        bench.close()
        engine.close()
