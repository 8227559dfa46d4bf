"""Which certificate speaks for which worker, over renewals, removals and nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.api import keys
from cumulus.controller.security.authority import Authority
from cumulus.controller.security.identities import Identities
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker, WorkerStatus

NOW = 1_800_000_000.0


class World:
    def __init__(self, folder: Path) -> None:
        self.workers: dict[str, Worker] = {}
        self.authority = Authority.open(folder, NOW)
        self.identities = Identities(Store.open(None), self.authority, self.workers, lambda: NOW)

    async def given(self, worker: str) -> bytes:
        return await self.identities.give(worker, keys.new_key().public_key())

    async def renewed(self, certificate: bytes, worker: str = "w1") -> bytes:
        csr = keys.request_pem(keys.new_key(), worker)
        return await self.identities.renew(certificate, csr)

    async def refused(self, certificate: bytes, worker: str = "w1") -> bool:
        try:
            await self.identities.admit(worker, certificate)
        except UnauthenticatedError:
            return True
        return False


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_certificate_speaks_for_its_worker_alone(world: World) -> None:
    mine, theirs = await world.given("w1"), await world.given("w2")
    await world.identities.admit("w1", mine)
    for worker in ("w2", "w3", ""):
        with pytest.raises(ForbiddenError, match="is of worker w1"):
            await world.identities.admit(worker, mine)
    await world.identities.admit("w2", theirs)


async def test_one_of_our_authority_that_is_not_on_record_is_refused(world: World) -> None:
    stray = world.authority.sign(keys.new_key().public_key(), "w1", NOW)
    assert await world.refused(stray)
    await world.given("w1")
    assert await world.refused(stray)


async def test_what_is_forgotten_is_refused_at_once(world: World) -> None:
    certificate = await world.given("w1")
    assert await world.identities.forget("w1")
    assert not await world.identities.forget("w1")  # done twice it is done once
    assert await world.refused(certificate)
    with pytest.raises(UnauthenticatedError):
        await world.renewed(certificate)


async def test_the_old_one_is_good_until_the_renewed_one_is_used(world: World) -> None:
    first = await world.given("w1")
    lost = await world.renewed(first)  # its answer never arrived
    second = await world.renewed(first)
    assert not await world.refused(first)
    assert not await world.refused(second)
    assert await world.refused(first)
    assert await world.refused(lost)
    third = await world.renewed(second)
    assert not await world.refused(third)


async def test_renewing_keeps_the_name_whatever_the_request_says(world: World) -> None:
    first = await world.given("w1")
    second = await world.renewed(first, worker="w2")
    await world.identities.admit("w1", second)


async def test_a_request_that_is_none_changes_nothing(world: World) -> None:
    first = await world.given("w1")
    with pytest.raises(ValidationError, match="csr"):
        await world.identities.renew(first, b"nonsense")
    assert not await world.refused(first)


async def test_a_node_belongs_to_one_worker(world: World) -> None:
    world.workers["w1"] = Worker(
        metadata=ObjectMeta(name="w1", uid="w1"), status=WorkerStatus(node_id="node-a")
    )
    world.identities.admit_node("w1", "node-a")
    world.identities.admit_node("w2", "node-b")
    world.identities.admit_node("w2", "")
    with pytest.raises(ForbiddenError, match="node-a belongs to worker w1"):
        world.identities.admit_node("w2", "node-a")


def test_the_controllers_own_node_is_its_own_agents_alone(world: World) -> None:
    world.identities.reserve("manager", "here")
    world.identities.admit_node("here", "manager")
    world.identities.admit_node("w1", "")
    with pytest.raises(ForbiddenError, match="is the controller's own"):
        world.identities.admit_node("w1", "manager")
    world.identities.reserve("manager", "")  # no agent beside the controller
    with pytest.raises(ForbiddenError, match="is the controller's own"):
        world.identities.admit_node("here", "manager")
