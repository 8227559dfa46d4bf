"""A lease and its image: waited for before it is held, named for the service, never lost a job by."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World
from .fakes import settle


class Images:
    """ImageGiver that gives what is put into `ids`, and waits for the rest."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.fail: Exception | None = None
        self.asked: list[tuple[str, str]] = []
        self.news = asyncio.Event()

    def give(self, image: str, its_id: str) -> None:
        self.ids[image] = its_id
        self.news.set()

    async def ensure(self, image: str, auth: str) -> str:
        self.asked.append((image, auth))
        if self.fail is not None:
            raise self.fail
        while image not in self.ids:
            await self.news.wait()
            self.news.clear()
        return self.ids[image]

    async def present(self, image: str) -> str:
        return self.ids.get(image, "")


@pytest.fixture
async def images(world: World) -> Images:
    """The world's, whose agent starts anew with them."""
    giver = Images()
    await restart(world, giver)
    return giver


async def restart(world: World, giver: Images) -> None:
    await world.crash()
    world.images = giver  # type: ignore[attr-defined]
    await world.boot()
    tools = world.keeper._tools
    world.keeper._tools = replace(tools, images=giver)


async def test_a_lease_is_held_once_its_image_is_there(world: World, images: Images) -> None:
    await world.tell(world.lease(image="tool:1", registry_auth='{"username": "me"}'))
    assert world.state() is LeaseState.PREPARING
    await world.clock.advance(1000)  # a large image over a slow line
    assert world.state() is LeaseState.PREPARING
    images.give("tool:1", "sha256:1")
    await settle()
    assert world.state() is LeaseState.HELD
    assert world.status().image == "sha256:1"
    assert world.status().expires_at - world.clock.wall() == pytest.approx(100)
    assert images.asked == [("tool:1", '{"username": "me"}')]


async def test_one_that_cannot_be_had_fails_the_lease(world: World, images: Images) -> None:
    images.fail = Permanent("image tool:1 is nowhere", reason="ImageMissing")
    await world.tell(world.lease(image="tool:1"))
    assert world.state() is LeaseState.FAILED
    assert (world.status().reason, world.status().message) == (
        "ImageMissing",
        "image tool:1 is nowhere",
    )


async def test_a_full_disk_is_waited_for_before_the_lease_is_given_back(
    world: World, images: Images
) -> None:
    images.fail = Temporary("no room for tool:1", reason="DiskTooFull")
    await world.tell(world.lease(image="tool:1"))
    await world.clock.advance(60)
    assert world.state() is LeaseState.PREPARING
    assert world.status().message == "no room for tool:1"
    await world.clock.advance(90)
    assert (world.state(), world.status().reason) == (LeaseState.FAILED, "DiskTooFull")


async def test_a_lease_that_is_revoked_waits_for_no_image(world: World, images: Images) -> None:
    await world.tell(world.lease(image="tool:1"))
    await world.tell(world.lease(image="tool:1", revoked="Cancelled"))
    await world.clock.advance(1)
    assert world.state() is LeaseState.ENDED
    assert images.ids == {}


async def test_a_lease_that_was_held_needs_its_image_no_more(world: World, images: Images) -> None:
    images.give("tool:1", "sha256:1")
    lease = world.lease(image="tool:1")
    await world.tell(lease)
    world.runtime.start(lease.name)
    await settle()
    images.ids.clear()  # the name moved on; the container has what it runs
    images.fail = Permanent("gone", reason="ImageMissing")
    await restart(world, images)
    spec = lease.spec.model_copy(update={"not_after": world.clock.wall() + 100})
    await world.tell(replace(lease, spec=spec))
    assert world.state() is LeaseState.HELD
    assert lease.name in world.runtime.running()
