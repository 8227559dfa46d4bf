"""Join tokens: for one machine, for a while, for this controller; and names that belong to machines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cumulus.api.joining import JoinToken
from cumulus.controller.platforms.base import WorkerJoin
from cumulus.controller.security.authority import Authority
from cumulus.controller.security.identities import Identities
from cumulus.controller.security.join_tokens import TABLE
from cumulus.controller.security.joining import Joining, Place
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    Temporary,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker
from fleet_kit import Machine

PLACE = Place("h:50052", "h:50051", "process", "sha256:image", "1")
HOUR = 3600.0


class World:
    """Joining over a store in a folder; the clock is `now`."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.now = 1_800_000_000.0
        self.workers: dict[str, Worker] = {}
        self.place = PLACE
        self.store = store or Store.open(None)
        self.authority = Authority.open(folder / "pki", self.now)
        clock = lambda: self.now  # noqa: E731 (one expression)
        self.identities = Identities(self.store, self.authority, self.workers, clock)
        self.joining = Joining(
            self.store, self.authority, self.identities, lambda: self.place, clock
        )

    async def token(self, ttl: int = 0, worker: str = "") -> str:
        return (await self.joining.create_token(ttl, worker)).token

    async def join(self, token: str, machine: Machine) -> str:
        joined = await self.joining.join(token, machine.worker, machine.csr)
        machine.certificate = joined.certificate
        return joined.worker

    async def refused(self, token: str, machine: Machine) -> CumulusError:
        with pytest.raises(CumulusError) as caught:
            await self.join(token, machine)
        assert "\n" not in caught.value.message
        secrets = token.split(".")[2:3]
        assert all(secret not in caught.value.message for secret in secrets if len(secret) > 8)
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_token_reads_as_agreed_and_only_a_hash_is_kept(world: World) -> None:
    new = await world.joining.create_token(0, "")
    kind, id_, secret, fingerprint = new.token.split(".")
    assert (kind, fingerprint) == ("cmlj1", world.authority.fingerprint)
    assert (new.expires_at, new.controller) == (world.now + HOUR, "h:50051")
    record = world.store.get(TABLE, id_)
    assert record is not None
    assert secret not in json.dumps(record.doc)
    assert secret not in repr(new)
    assert secret not in repr(JoinToken.parse(new.token))


@pytest.mark.parametrize("ttl", [-1, 24 * 3600 + 1])
async def test_no_token_lives_longer_than_a_day(world: World, ttl: int) -> None:
    with pytest.raises(ValidationError, match="expected 1 s to 24 h"):
        await world.token(ttl)


async def test_a_machine_joins_and_may_ask_again_until_the_token_ends(world: World) -> None:
    token, machine = await world.token(), Machine("w1")
    assert await world.join(token, machine) == "w1"
    await world.identities.admit("w1", machine.certificate)
    machine.worker = "another-wish"  # the name was given at the first use
    world.now += HOUR - 1
    assert await world.join(token, machine) == "w1"
    world.now += 1
    error = await world.refused(token, machine)
    assert isinstance(error, UnauthenticatedError)
    assert "ended at 2027-01-15 09:00:00+00:00" in error.message


async def test_a_token_that_was_used_is_of_no_use_to_another_machine(world: World) -> None:
    token = await world.token()
    await world.join(token, Machine("w1"))
    for thief in (Machine("w1"), Machine("w2")):
        error = await world.refused(token, thief)
        assert isinstance(error, UnauthenticatedError)
        assert "used up, it let worker w1 in" in error.message


async def test_of_two_machines_at_once_one_gets_in(tmp_path: Path) -> None:
    world = World(tmp_path, Store.open(tmp_path / "store"))
    token = await world.token()
    machines = [Machine(f"w{n}") for n in range(8)]
    done = await asyncio.gather(
        *(world.join(token, machine) for machine in machines), return_exceptions=True
    )
    inside = [name for name in done if isinstance(name, str)]
    assert len(inside) == 1
    assert all(isinstance(one, UnauthenticatedError) for one in done if one not in inside)
    world.store.close()


async def test_a_restart_of_the_controller_changes_nothing(tmp_path: Path) -> None:
    first = World(tmp_path, Store.open(tmp_path / "store"))
    used, fresh, machine = await first.token(), await first.token(), Machine("w1")
    await first.join(used, machine)
    first.store.close()
    again = World(tmp_path, Store.open(tmp_path / "store"))
    assert await again.join(used, machine) == "w1"
    await again.refused(used, Machine("w2"))
    assert await again.join(fresh, Machine("w2")) == "w2"
    await again.identities.admit("w1", machine.certificate)
    again.store.close()


async def test_tokens_of_others_and_of_nobody(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    token = JoinToken.parse(await world.token())
    wrong_secret = JoinToken(token.id, "A" * 43, token.fingerprint)
    wrong_id = JoinToken("0" * 16, token.secret, token.fingerprint)
    told = {
        await other.token(): "of another controller",
        wrong_secret.text: "not known here",
        wrong_id.text: "not known here",
        "": "no join token",
        "an-admin-token-of-some-length": "no join token",
        token.text[:-1]: "no join token",
        f"{token.text}\n{token.text}": "no join token",
    }
    for text, words in told.items():
        error = await world.refused(text, Machine("w1"))
        assert isinstance(error, UnauthenticatedError)
        assert words in error.message
    assert await world.join(f"  {token.text}\n", Machine("w1")) == "w1"


async def test_a_name_belongs_to_the_machine_that_has_it(world: World) -> None:
    await world.join(await world.token(), Machine("w1"))
    token = await world.token()
    error = await world.refused(token, Machine("w1"))
    assert isinstance(error, ConflictError)
    assert "token create --worker w1" in error.message
    assert await world.join(token, Machine("w2")) == "w2"  # the refusal did not use it up


async def test_a_token_made_for_a_name_gives_it_and_takes_it_over(world: World) -> None:
    old = Machine("w1")
    await world.join(await world.token(), old)
    token = await world.token(worker="w1")
    new = Machine("whatever")
    assert await world.join(token, new) == "w1"
    await world.identities.admit("w1", new.certificate)
    with pytest.raises(UnauthenticatedError, match="joined anew"):
        await world.identities.admit("w1", old.certificate)


async def test_a_worker_that_came_without_a_certificate_keeps_its_name_too(world: World) -> None:
    world.workers["w1"] = Worker(metadata=ObjectMeta(name="w1", uid="w1"))
    assert isinstance(await world.refused(await world.token(), Machine("w1")), ConflictError)
    assert await world.join(await world.token(worker="w1"), Machine("w1")) == "w1"


async def test_a_removed_worker_needs_a_new_token(world: World) -> None:
    token, machine = await world.token(), Machine("w1")
    await world.join(token, machine)
    await world.identities.forget("w1")
    error = await world.refused(token, machine)
    assert "used up" in error.message
    with pytest.raises(UnauthenticatedError, match="not the one on record"):
        await world.identities.admit("w1", machine.certificate)
    assert await world.join(await world.token(), Machine("w1")) == "w1"  # its name is free


async def test_a_taken_over_worker_cannot_come_back_by_its_old_token(world: World) -> None:
    token, machine = await world.token(worker="w1"), Machine("w1")
    await world.join(token, machine)
    await world.join(await world.token(worker="w1"), Machine("w1"))
    assert isinstance(await world.refused(token, machine), UnauthenticatedError)


@pytest.mark.parametrize("name", ["", "Upper", "a b", "-x", "x" * 64, "../w", "w\n"])
async def test_names_that_none_can_have(world: World, name: str) -> None:
    token = await world.token()
    assert isinstance(await world.refused(token, Machine(name or " ")), ValidationError)
    if name:
        with pytest.raises(ValidationError):
            await world.joining.create_token(0, name)
    assert await world.join(token, Machine("w1")) == "w1"


async def test_where_to_join_the_swarm_is_told_and_an_engine_that_is_silent_uses_nothing_up(
    world: World,
) -> None:
    answers: list[WorkerJoin | CumulusError] = [
        Temporary("no Docker Engine answers"),
        WorkerJoin("10.0.0.1:2377", "SWMTKN-secret"),
    ]

    async def ask() -> WorkerJoin:
        answer = answers.pop(0)
        if isinstance(answer, CumulusError):
            raise answer
        return answer

    world.place = Place("h:50052", "h:50051", "swarm", "sha256:image", "1", ask)
    token = await world.token()
    assert isinstance(await world.refused(token, Machine("w1")), Temporary)
    joined = await world.joining.join(token, "w2", Machine("w2").csr)
    assert (joined.swarm_manager, joined.swarm_join_token) == ("10.0.0.1:2377", "SWMTKN-secret")
    assert (joined.agents, joined.image) == ("h:50052", "sha256:image")
    assert "SWMTKN" not in repr(joined)


async def test_strangers_are_told_nothing_of_the_swarm(world: World) -> None:
    async def ask() -> WorkerJoin:
        raise AssertionError("the engine is not asked for strangers")

    world.place = Place("h:50052", "", "swarm", "", "1", ask)
    await world.refused("cmlj1.nonsense", Machine("w1"))


async def test_ended_tokens_are_forgotten_a_day_later(world: World) -> None:
    await world.token()
    world.now += 24 * HOUR
    await world.token()
    assert len(world.store.ids(TABLE)) == 2
    world.now += 2 * HOUR
    await world.token()
    assert len(world.store.ids(TABLE)) == 2
