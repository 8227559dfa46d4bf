"""One suite for every LocalRuntime: what `ports` promises, the fake, processes and Docker keep."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from cumulus.chronos_bindings.agent.ports import RawFrame, UnitSeen
from cumulus.chronos_bindings.agent.runtime_docker import DockerRuntime
from cumulus.crd_like_specs.errors import CumulusError, NotFoundError, Temporary
from cumulus.crd_like_specs.identity import LABEL_OWNED, owned_labels, parse_unit, unit_name
from local_machines import (
    IMAGE,
    PARENT,
    STUBBORN,
    TALKS,
    WAITS,
    DockerMachine,
    FakeMachine,
    Machine,
    ProcessMachine,
)

MACHINES: list[Any] = [
    FakeMachine,
    ProcessMachine,
    pytest.param(DockerMachine, marks=pytest.mark.docker),
]


@pytest.fixture(params=MACHINES)
async def machine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machine]:
    made = request.param(tmp_path)
    yield made
    await made.close()


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    async def poll() -> Any:
        while not (found := await look()):  # noqa: ASYNC110 (the world outside tells no Event)
            await asyncio.sleep(0.01)
        return found

    return await asyncio.wait_for(poll(), seconds)


async def seen(machine: Machine, unit: str) -> UnitSeen | None:
    return next((u for u in await machine.runtime.list_units() if u.name == unit), None)


async def ended(machine: Machine, unit: str) -> UnitSeen:
    async def look() -> UnitSeen | None:
        found = await seen(machine, unit)
        return found if found and found.exit_code is not None else None

    found: UnitSeen = await until(look)
    return found


async def read(machine: Machine, unit: str) -> list[RawFrame]:
    return [frame async for frame in machine.runtime.logs(unit)]


def text(frames: list[RawFrame], stream: str) -> bytes:
    return b"".join(frame.data for frame in frames if frame.stream == stream)


async def ready(machine: Machine, unit: str) -> None:
    async for _ in machine.runtime.logs(unit):
        return


async def test_a_running_unit_is_seen_until_it_is_killed_and_gone(machine: Machine) -> None:
    unit = await machine.start(WAITS)
    await ready(machine, unit)
    found = await seen(machine, unit)
    assert found is not None
    assert (found.running, found.exit_code, found.finished_at) == (True, None, 0.0)
    assert found.started_at > 0
    assert not await machine.runtime.ensure_gone(unit)
    await machine.runtime.kill(unit)
    await until(lambda: machine.runtime.ensure_gone(unit))
    over = await ended(machine, unit)
    assert not over.running
    assert over.exit_code in (137, -9)  # as engines tell it, and as Python does
    assert over.finished_at >= over.started_at - 1.0


async def test_term_lets_a_unit_end_by_itself(machine: Machine) -> None:
    unit = await machine.start(WAITS)
    await ready(machine, unit)
    await machine.runtime.signal(unit, signal.SIGTERM)
    assert (await ended(machine, unit)).exit_code == 0
    assert text(await read(machine, unit), "stdout") == b"ready\ntold to end\n"


@pytest.mark.parametrize("machine", MACHINES[1:], indirect=True)  # the fake has no processes
async def test_a_signal_reaches_the_leader_only_and_a_kill_everything(machine: Machine) -> None:
    unit = await machine.start(PARENT)
    output = machine.runtime.logs(unit)
    heard = b""
    async with asyncio.timeout(10):
        while heard.count(b"ready") < 2:  # the child and its parent
            heard += (await anext(output)).data
        await machine.runtime.signal(unit, signal.SIGUSR1)
        while b"told" not in heard:
            heard += (await anext(output)).data
    await machine.runtime.kill(unit)
    await until(lambda: machine.runtime.ensure_gone(unit))
    said = text(await read(machine, unit), "stdout")
    assert (said.count(b"parent told"), said.count(b"child told")) == (1, 0)


async def test_a_unit_that_ignores_term_runs_on_until_it_is_killed(machine: Machine) -> None:
    unit = await machine.start(STUBBORN)
    await ready(machine, unit)
    await machine.runtime.signal(unit, signal.SIGTERM)
    assert not await machine.runtime.ensure_gone(unit)
    await machine.runtime.kill(unit)
    await until(lambda: machine.runtime.ensure_gone(unit))


async def test_every_verb_may_be_done_after_the_end_and_on_nothing(machine: Machine) -> None:
    unit = await machine.start(TALKS)
    assert (await ended(machine, unit)).exit_code == 3
    for name in (unit, unit_name(uuid.uuid4().hex, 1)):
        await machine.runtime.signal(name, signal.SIGTERM)
        await machine.runtime.kill(name)
        assert await machine.runtime.ensure_gone(name)


async def test_logs_follow_to_the_end_and_read_again_the_same(machine: Machine) -> None:
    unit = await machine.start(TALKS)
    first = await asyncio.wait_for(read(machine, unit), 20)
    assert text(first, "stdout") == b"out 0\nout 1\nout 2\n" + b"x" * 40000 + b"\nno end of line"
    assert text(first, "stderr") == b"err 0\nerr 1\nerr 2\n"
    assert (await ended(machine, unit)).exit_code == 3
    assert await read(machine, unit) == first


async def test_reading_logs_can_be_given_up_while_the_unit_runs(machine: Machine) -> None:
    unit = await machine.start(WAITS)
    await ready(machine, unit)
    reading = asyncio.create_task(read(machine, unit))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reading, 5)
    assert not await machine.runtime.ensure_gone(unit)


async def test_logs_of_what_was_never_here_are_temporary_and_of_what_is_gone_not_found(
    machine: Machine,
) -> None:
    with pytest.raises(Temporary):
        await read(machine, unit_name(uuid.uuid4().hex, 1))
    unit = await machine.start(TALKS)
    await ended(machine, unit)
    await machine.remove(unit)
    with pytest.raises(NotFoundError):
        await read(machine, unit)
    assert await seen(machine, unit) is None


async def test_changes_name_a_unit_that_starts_and_that_ends(machine: Machine) -> None:
    names: list[str] = []

    async def watch() -> None:
        async for name in machine.runtime.changes():
            names.append(name)  # noqa: PERF401 (it is endless)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.3)
    unit = await machine.start(WAITS)
    await until(lambda: _true(unit in names))
    await ready(machine, unit)
    names.clear()
    await machine.runtime.kill(unit)
    await until(lambda: _true(unit in names))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def _true(value: object) -> bool:
    return bool(value)


@pytest.mark.docker
async def test_a_container_about_to_start_is_not_gone_and_one_left_so_is_removed(
    tmp_path: Path,
) -> None:
    machine = DockerMachine(tmp_path)
    later = DockerRuntime(machine.engine, wall=lambda: time.time() + 60)
    try:
        unit = await machine.create(WAITS)
        with pytest.raises(Temporary):
            await read(machine, unit)
        await machine.runtime.kill(unit)
        assert not await machine.runtime.ensure_gone(unit), "Swarm may start it any moment"
        await later.kill(unit)
        assert await later.ensure_gone(unit)
    finally:
        await machine.close()


@pytest.mark.docker
async def test_a_container_whose_network_just_went_is_about_to_start(tmp_path: Path) -> None:
    """Swarm makes it again: taken for ended, the output of what then ran would be lost."""
    machine = DockerMachine(tmp_path)
    name = f"cumulus-test-{uuid.uuid4().hex}"
    networks: list[Any] = []

    def renew(client: docker.DockerClient) -> None:
        for network in networks:
            network.remove()
        networks[:] = [client.networks.create(name, internal=True)]

    def start(client: docker.DockerClient) -> None:
        client.api.start(machine.made[unit])

    await machine.engine.call(renew)
    unit = await machine.create("print('here', flush=True)", name)
    try:
        await machine.engine.call(lambda _: networks.pop().remove())
        with pytest.raises(CumulusError, match=r"network \S+ not found"):
            await machine.engine.call(start)
        found = await seen(machine, unit)
        assert found is not None
        assert (found.running, found.exit_code) == (False, None)
        with pytest.raises(Temporary):
            await read(machine, unit)
        assert not await machine.runtime.ensure_gone(unit)
        await machine.engine.call(renew)
        await machine.engine.call(start)
        await ended(machine, unit)
        assert text(await read(machine, unit), "stdout") == b"here\n"
        await machine.remove(unit)
        await machine.engine.call(lambda _: [network.remove() for network in networks])
    finally:
        await machine.close()


@pytest.mark.docker
async def test_what_does_not_bear_our_labels_is_not_seen_or_touched(tmp_path: Path) -> None:
    machine = DockerMachine(tmp_path)
    uid = uuid.uuid4().hex
    labels = owned_labels(uid, 1, "x") | {LABEL_OWNED: "no"}
    try:
        stranger = await machine.engine.call(
            lambda client: client.containers.run(
                IMAGE,
                entrypoint=["python3"],
                command=["-c", STUBBORN],
                labels=labels,
                network_mode="none",
                detach=True,
            )
        )
        unit = unit_name(uid, 1)
        machine.made[unit] = str(stranger.id)
        assert parse_unit(unit)
        assert await seen(machine, unit) is None
        await machine.runtime.kill(unit)
        stranger.reload()
        assert stranger.status == "running"
    finally:
        await machine.close()


@pytest.mark.docker
async def test_containers_that_ended_long_ago_are_removed_and_others_kept(tmp_path: Path) -> None:
    machine = DockerMachine(tmp_path)
    machine.runtime = DockerRuntime(machine.engine, wall=lambda: time.time() + 60)
    left, kept = [await machine.start("pass") for _ in range(2)]
    waiting = await machine.create("pass")
    running = await machine.start(WAITS)
    try:
        for unit in (left, kept):
            await ended(machine, unit)
        await machine.runtime.tidy({kept})
        there = {unit.name for unit in await machine.runtime.list_units()}
        assert there & {left, kept, waiting, running} == {kept, running}
    finally:
        await machine.close()


@pytest.mark.docker
async def test_volumes_of_ended_units_are_deleted_and_others_kept(tmp_path: Path) -> None:
    machine = DockerMachine(tmp_path)
    left, kept, used = (unit_name(uuid.uuid4().hex, 1) for _ in range(3))
    foreign = f"cumulus-test-{uuid.uuid4().hex}"
    labels = {LABEL_OWNED: "1"}

    def make(client: docker.DockerClient) -> str:
        for name in (left, kept, used, foreign):
            client.volumes.create(name, labels={} if name == foreign else labels)
        return str(client.containers.create(IMAGE, volumes=[f"{used}:/work"]).id)

    def there(client: docker.DockerClient) -> set[str]:
        found = {str(volume.name) for volume in client.volumes.list()}
        return found & {left, kept, used, foreign}

    container = await machine.engine.call(make)
    try:
        await machine.runtime.tidy({kept})
        assert await machine.engine.call(there) == {kept, used, foreign}
    finally:
        await machine.engine.call(lambda c: c.api.remove_container(container, force=True))
        for name in (kept, used, foreign):
            await machine.engine.call(lambda c, name=name: c.api.remove_volume(name))
        await machine.close()
