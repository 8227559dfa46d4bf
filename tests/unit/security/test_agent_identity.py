"""The agent's certificate while it runs: renewed in time, taken up from disk, whole after a break."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc.aio
import pytest
from cumulus.api import keys
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc
from cumulus.api.identity_folder import CERTIFICATE, KEY, NEXT_KEY, IdentityFiles, write_identity
from cumulus.api.joining import Joined
from cumulus.chronos_bindings.agent.identity import (
    LOOK_SECONDS,
    RETRY_SECONDS,
    Identity,
    life_of,
    load_identity,
)
from cumulus.chronos_bindings.agent.join import join
from cumulus.chronos_bindings.agent.options import parse
from cumulus.controller.security.certificates import DAY
from cumulus.crd_like_specs.errors import UnauthenticatedError, ValidationError
from fleet_kit import FleetKit, error_of, soon, state

UNTIL_RENEWAL = 20 * DAY
"""Of 30 days; certificates begin an hour early, so that it is a little less."""


class Clock:
    """The machine's clock and what a test adds; sleeping ends when it is moved on.

    The controller's stays as it is: TLS on both ends goes by the machine's.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = asyncio.Event()
        self.asleep = asyncio.Event()
        self.slept: list[float] = []

    def wall(self) -> float:
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return self.wall()

    async def sleep_until(self, when: float) -> None:
        self.slept.append(when - self.monotonic())
        self.asleep.set()
        while self.monotonic() < when:
            self._moved.clear()
            await self._moved.wait()

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self._moved.set()


class World:
    def __init__(self, fleet: FleetKit, folder: Path) -> None:
        self.fleet, self.folder, self.clock = fleet, folder, Clock()

    async def join(self) -> None:
        await join(self.fleet.clients, self.folder, "w1", await self.fleet.token())

    def open(self) -> Identity:
        return Identity(self.folder, self.fleet.agents, self.clock)

    def on_disk(self) -> IdentityFiles:
        return load_identity(self.folder)

    async def let_in(self, identity: Identity) -> grpc.aio.StreamStreamCall:
        stub = agent_pb2_grpc.AgentStub(identity.link.as_channel)  # type: ignore[no-untyped-call]
        call = stub.Connect()
        await call.write(state("w1"))
        await soon(call.read())
        return call


@pytest.fixture
async def world(fleet: FleetKit, tmp_path: Path) -> World:
    made = World(fleet, tmp_path / "identity")
    await made.join()
    return made


async def close(identity: Identity) -> None:
    await identity.link.close()
    await identity.bulk.close()


async def test_nothing_happens_until_a_third_of_the_life_is_left(world: World) -> None:
    before, identity = world.on_disk(), world.open()
    world.clock.advance(UNTIL_RENEWAL - 2 * 3600)
    await identity.look()
    assert world.on_disk() == before
    await close(identity)


async def test_then_it_renews_with_a_new_key_and_reconnects(world: World) -> None:
    before, identity = world.on_disk(), world.open()
    call = await world.let_in(identity)
    world.clock.advance(UNTIL_RENEWAL)
    await identity.look()
    after = world.on_disk()
    assert after.key != before.key
    assert after.certificate != before.certificate
    assert life_of(after).ends >= life_of(before).ends
    assert not (world.folder / NEXT_KEY).exists()
    assert call.done()  # the old connection is closed
    await world.let_in(identity)
    old = world.fleet.identities.admit("w1", before.certificate)
    with pytest.raises(UnauthenticatedError):
        await old
    await close(identity)


async def test_it_looks_again_and_again(world: World) -> None:
    before, identity = world.on_disk(), world.open()
    keeping = asyncio.ensure_future(identity.keep())
    await soon(world.clock.asleep.wait())
    assert world.clock.slept[0] == pytest.approx(LOOK_SECONDS, abs=1)
    world.clock.asleep.clear()
    world.clock.advance(UNTIL_RENEWAL)
    await soon(world.clock.asleep.wait())
    keeping.cancel()
    assert world.on_disk() != before
    await close(identity)


async def test_a_controller_that_is_away_is_asked_again_a_minute_later(world: World) -> None:
    identity = Identity(world.folder, "127.0.0.1:1", world.clock)
    before = world.on_disk()
    world.clock.advance(UNTIL_RENEWAL)
    await identity.look()
    assert world.on_disk() == before  # the next key alone changes nothing
    back = world.open()
    world.clock.advance(RETRY_SECONDS)
    await back.look()
    assert world.on_disk() != before
    await close(identity)
    await close(back)


async def test_a_refusal_leaves_what_is_there(world: World) -> None:
    before, identity = world.on_disk(), world.open()
    await world.fleet.identities.forget("w1")
    world.clock.advance(UNTIL_RENEWAL)
    await identity.look()
    assert world.on_disk() == before
    await close(identity)


async def test_what_another_join_wrote_is_taken_up(world: World) -> None:
    identity = world.open()
    await world.fleet.identities.forget("w1")
    (world.folder / KEY).unlink()
    await world.join()
    stub = agent_pb2_grpc.AgentStub(identity.link.as_channel)  # type: ignore[no-untyped-call]
    call = stub.Connect()
    await call.write(state("w1"))
    assert isinstance(await error_of(call.read()), UnauthenticatedError)
    await identity.look()
    await world.let_in(identity)
    await close(identity)


async def test_another_name_waits_for_the_next_start(world: World) -> None:
    identity = world.open()
    await world.let_in(identity)
    other = keys.new_key()
    facts = Joined("w2", world.fleet.agents, "process", b"", world.fleet.authority.certificate)
    certificate = await world.fleet.identities.give("w2", other.public_key())
    write_identity(
        world.folder,
        Joined(facts.worker, facts.agents, "process", certificate, facts.authority),
        keys.key_pem(other),
    )
    await identity.look()
    await world.let_in(identity)
    await close(identity)


async def test_half_written_files_leave_the_one_in_use(world: World) -> None:
    identity = world.open()
    (world.folder / CERTIFICATE).write_bytes(b"half")
    await identity.look()
    await world.let_in(identity)
    await close(identity)


async def test_a_renewal_broken_off_after_its_answer_is_brought_to_its_end(world: World) -> None:
    next_key = keys.new_key()
    csr = keys.request_pem(next_key, "w1")
    before = world.on_disk()
    certificate = await world.fleet.identities.renew(before.certificate, csr)
    (world.folder / NEXT_KEY).write_bytes(keys.key_pem(next_key))
    assert world.on_disk() == before  # broken off before its answer
    (world.folder / CERTIFICATE).write_bytes(certificate)
    after = world.on_disk()
    assert after.key == keys.key_pem(next_key)
    assert not (world.folder / NEXT_KEY).exists()
    identity = world.open()
    await world.let_in(identity)
    await close(identity)


async def test_options_come_from_the_identity(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--identity", str(world.folder), "--data", "d", "--platform", "docker"]
    options = parse(base, {})
    assert (options.name, options.controller) == ("w1", world.fleet.agents)
    assert (options.identity, options.ca, options.token) == (world.folder, None, "")
    assert parse([*base, "--controller", "10.0.0.1:50052"], {}).controller == "10.0.0.1:50052"
    for wrong, says in (
        (["--name", "w2"], "is of worker w1"),
        (["--ca", "x"], "either --identity or --ca"),
        (["--identity", "none"], "expected what `cumulus-agent join` wrote"),
    ):
        with pytest.raises(SystemExit) as ended:
            parse([*base, *wrong], {})
        assert ended.value.code == 2
        assert says in capsys.readouterr().err


async def test_an_identity_that_has_ended_is_said_so(world: World) -> None:
    world.clock.advance(31 * DAY)
    identity = world.open()  # leases that run are enforced all the same
    await close(identity)
    (world.folder / KEY).write_bytes(keys.key_pem(keys.new_key()))
    with pytest.raises(ValidationError, match="join again"):
        world.open()
