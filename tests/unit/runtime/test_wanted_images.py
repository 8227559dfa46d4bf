"""What workers are told of images: which they should have, what their leases use, what they pull."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cumulus.api.frames import ImageWanted
from cumulus.controller.platforms.registries import Registries, Registry
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.agents import Agents
from cumulus.controller.runtime.desired import Desired
from cumulus.controller.runtime.image_spool import ImageSpool
from cumulus.controller.runtime.images import Images
from cumulus.controller.runtime.world import World
from cumulus.crd_like_specs.images import FETCHING, IMAGES_PRESENT
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.meta import Condition
from image_kit import MemoryEngine, saved
from make import T, lease, worker
from runtime_kit import Kit

JOB = saved(b"job", name="cumulus-job")
TOOL = saved(b"tool", name="tool:1")
PRIVATE = "r.example.org/private:1"


class ImageKit(Kit):
    """The kit with images: of an engine in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine = MemoryEngine(JOB, TOOL)
        self.images = Images(
            self.engine,
            ImageSpool(folder / "images", 1 << 30, 0),
            Registries([Registry("r.example.org", "me", "s3cret")]),
            self.clock,
            wanted=self._wanted,
            changed=self._changed,
        )
        self.world = World(
            self.records,
            self.logs,
            self.blobs,
            platform="swarm",
            default_image=JOB.id,
            started=T,
            images=self.images.seen,
            runtimes={"tools": "tool:1"},
        )
        self.desired = Desired(
            self.records,
            Admission("swarm", self.blobs, runtimes={"tools": "tool:1"}),
            self.clock,
            self.queue.add,
            self._changed,
        )
        self.agents = Agents(
            self.records,
            self.world,
            self.logs,
            self.clock,
            look=self.looked.append,
            add=self.queue.add,
            room=self.workers_changed,
            overrun=self.overruns.append,
            images=self.images,
            job_image="cumulus-job:latest",
        )

    def _wanted(self, worker_name: str) -> tuple[ImageWanted, ...]:
        return self.agents.wanted_images(worker_name)

    def _changed(self) -> None:
        self.agents.all_wanted_changed()


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[ImageKit]:
    one = ImageKit(tmp_path)
    await one.images.open()
    yield one
    await one.images.close()
    one.close()


async def leased(kit: ImageKit, name: str, image: str | None, runtime: str = "") -> None:
    """A job with a lease wanted on n1."""
    job = await kit.submit(name, runtime=runtime, **({} if image is None else {"image": image}))
    of = lease(LeaseState.PENDING, uid=job.metadata.uid)
    spec = of.spec.model_copy(update={"job_name": name})
    await kit.records.put_lease(of.model_copy(update={"spec": spec}))
    kit.world.lease_changed(of.metadata.name, of.spec.job)


async def test_every_worker_should_have_the_job_image(kit: ImageKit) -> None:
    wanted = kit.agents.wanted("n1")
    assert wanted.images == (ImageWanted(JOB.id, ("cumulus-job:latest",)),)


async def test_a_worker_should_have_the_images_of_its_leases(kit: ImageKit) -> None:
    await leased(kit, "one", "tool:1")
    await leased(kit, "two", None)
    wanted = kit.agents.wanted("n1")
    assert {image.id for image in wanted.images} == {JOB.id, TOOL.id}
    assert {lease.image for lease in wanted.leases} == {JOB.id, TOOL.id}
    assert {lease.registry_auth for lease in wanted.leases} == {""}
    assert {image.id for image in kit.agents.wanted("n2").images} == {JOB.id}


async def test_the_image_of_a_runtime_is_one_like_any_other(kit: ImageKit) -> None:
    await leased(kit, "one", None, "tools")
    wanted = kit.agents.wanted("n1")
    assert {image.id for image in wanted.images} == {JOB.id, TOOL.id}
    (code,) = wanted.leases
    assert (code.image, bool(code.code_digest)) == (TOOL.id, True)


async def test_what_is_in_a_registry_is_pulled_with_its_password_until_it_is_there(
    kit: ImageKit,
) -> None:
    await leased(kit, "one", PRIVATE)
    (wanted,) = kit.agents.wanted("n1").leases
    assert wanted.image == PRIVATE
    assert json.loads(wanted.registry_auth)["password"] == "s3cret"
    assert "s3cret" not in repr(wanted)
    await kit.records.change_lease(
        wanted.name,
        lambda x: x.model_copy(
            update={"status": x.status.model_copy(update={"state": LeaseState.HELD})}
        ),
    )
    (wanted,) = kit.agents.wanted("n1").leases
    assert wanted.registry_auth == ""


async def test_what_nobody_can_give_is_left_to_the_worker(kit: ImageKit) -> None:
    await leased(kit, "one", "elsewhere.org/x:1")
    (wanted,) = kit.agents.wanted("n1").leases
    assert (wanted.image, wanted.registry_auth) == ("elsewhere.org/x:1", "")


async def test_an_image_that_comes_to_the_engine_reaches_the_workers(kit: ImageKit) -> None:
    session = await kit.agents.session("n1", "peer")
    outgoing = session.outgoing()
    await anext(outgoing)
    await leased(kit, "one", "new:1")
    new = saved(b"new", name="new:1")
    kit.engine.held[new.id] = new
    await kit.images.look()
    frame = await anext(outgoing)
    assert new.id in str(frame)
    await session.close()


async def test_a_worker_that_lacks_the_job_image_awaits_it(kit: ImageKit) -> None:
    said = Condition(type=IMAGES_PRESENT, status=False, reason=FETCHING, message="20 %")
    for images, awaits in (
        ((), "does not have the job image yet: 20 %"),
        ((JOB.id,), ""),
    ):
        status = {"images": images, "conditions": (said,)}
        await kit.report("n1", status=status)
        assert worker("n1", status=status).status.images == images
        (seen,) = kit.world.workers(T)
        assert seen.awaits == awaits
