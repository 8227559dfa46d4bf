"""What the controller knows of images: by id or name, held, to be had, or neither; and registries."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cumulus.api.frames import ImageWanted
from cumulus.controller.platforms.registries import Registries, Registry
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.image_spool import ImageSpool
from cumulus.controller.runtime.images import Images
from cumulus.crd_like_specs.errors import ForbiddenError, NotFoundError, Permanent
from cumulus.crd_like_specs.images import familiar, is_id, is_reference, registry_of, split_tag
from image_kit import MemoryEngine, saved
from runtime_kit import until

JOB = saved(b"job" * 1000, name="cumulus-job")
TOOL = saved(b"tool" * 1000, name="gpu.example.org:5000/tool:2")
ELSEWHERE = "sha256:" + "e" * 64
REGISTRIES = Registries([Registry("gpu.example.org:5000", "me", "s3cret"), Registry("docker.io")])


class Kit:
    def __init__(self, folder: Path) -> None:
        self.engine = MemoryEngine(JOB, TOOL)
        self.clock = VirtualClock(100.0)
        self.changes = 0
        self.wanted: tuple[ImageWanted, ...] = ()
        self.images = Images(
            self.engine,
            ImageSpool(folder, 1 << 30, 0),
            REGISTRIES,
            self.clock,
            wanted=lambda _: self.wanted,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    one = Kit(tmp_path)
    await one.images.open()
    yield one
    await one.images.close()


@pytest.mark.parametrize(
    "name",
    ["cumulus-job", "cumulus-job:latest", "docker.io/library/cumulus-job", "library/cumulus-job"],
)
async def test_a_name_that_is_held_becomes_its_id(kit: Kit, name: str) -> None:
    seen = kit.images.seen(name)
    assert (seen.reference, seen.obtainable) == (JOB.id, True)
    assert kit.images.auth(seen.reference) == ""


async def test_what_is_not_held_comes_from_a_registry_or_from_nowhere(kit: Kit) -> None:
    listed = kit.images.seen("gpu.example.org:5000/tool:3")
    assert (listed.reference, listed.obtainable) == ("gpu.example.org:5000/tool:3", True)
    assert kit.images.seen("ubuntu").obtainable
    unlisted = kit.images.seen("other.example.org/tool")
    assert (unlisted.obtainable, unlisted.looked_at) == (False, 100.0)
    assert not kit.images.seen(ELSEWHERE).obtainable


async def test_credentials_go_where_their_registry_is_asked(kit: Kit) -> None:
    assert json.loads(kit.images.auth("gpu.example.org:5000/tool:3")) == {
        "username": "me",
        "password": "s3cret",
        "serveraddress": "gpu.example.org:5000",
    }
    assert json.loads(kit.images.auth("ubuntu")) == {"serveraddress": "docker.io"}
    assert kit.images.auth("gpu.example.org/tool:3") == ""
    assert kit.images.auth(ELSEWHERE) == ""
    header = REGISTRIES.header("gpu.example.org:5000/tool:3")
    assert json.loads(base64.urlsafe_b64decode(header))["password"] == "s3cret"
    assert REGISTRIES.header("nowhere.org/x") == ""
    assert "s3cret" not in repr(REGISTRIES.of("gpu.example.org:5000/x"))


async def test_workers_should_have_what_is_held_under_the_names_asked_for(kit: Kit) -> None:
    given = kit.images.given({JOB.id: "cumulus-job", TOOL.id: TOOL.id, ELSEWHERE: "x"})
    assert given == (ImageWanted(JOB.id, ("cumulus-job:latest",)), ImageWanted(TOOL.id))


async def test_a_listing_that_differs_is_told_once(kit: Kit) -> None:
    assert kit.changes == 1
    await kit.images.look()
    assert kit.changes == 1
    new = saved(b"new", name="new")
    kit.engine.held[new.id] = new
    assert not kit.images.seen(new.id).obtainable
    kit.clock.advance(7)
    await kit.images.look()
    assert kit.changes == 2
    assert kit.images.seen("new").reference == new.id


async def test_a_name_that_is_missing_is_looked_for_at_once(kit: Kit) -> None:
    running = asyncio.ensure_future(kit.images.run())
    await asyncio.sleep(0)
    kit.clock.advance(1)
    kit.images.seen("nowhere.org/x")
    await until(lambda: kit.images.seen("nowhere.org/x").looked_at == 101.0)
    running.cancel()


async def test_an_image_that_the_engine_lost_leaves_the_spool(kit: Kit) -> None:
    kit.wanted = (ImageWanted(JOB.id),)
    archive = await kit.images.archive("w", JOB.id)
    digest = archive.parts[0].digest
    assert await kit.images.part("w", digest) == archive.parts[0].size
    del kit.engine.held[JOB.id]
    await kit.images.look()
    with pytest.raises(NotFoundError, match="not hold image"):
        await kit.images.archive("w", JOB.id)
    with pytest.raises(NotFoundError, match="ask for its image again"):
        await kit.images.part("w", digest)


async def test_whoever_should_not_have_it_does_not_get_it(kit: Kit) -> None:
    with pytest.raises(ForbiddenError, match="is not wanted on worker w"):
        await kit.images.archive("w", JOB.id)
    with pytest.raises(ForbiddenError, match="no image wanted on worker w"):
        await kit.images.part("w", JOB.id)
    assert kit.engine.exports == []


async def test_a_caller_who_leaves_ends_nobody_elses_export(kit: Kit) -> None:
    kit.wanted = (ImageWanted(JOB.id),)
    kit.engine.gate.clear()
    one, other = (asyncio.ensure_future(kit.images.archive("w", JOB.id)) for _ in range(2))
    await until(lambda: kit.engine.exports)
    one.cancel()
    kit.engine.gate.set()
    assert (await other).parts
    assert kit.engine.exports == [JOB.id]


async def test_an_export_that_fails_is_tried_again(kit: Kit) -> None:
    kit.wanted = (ImageWanted(JOB.id),)
    kit.engine.held[JOB.id] = replace(JOB, archive=JOB.archive[:700])
    with pytest.raises(Permanent, match="archive"):
        await kit.images.archive("w", JOB.id)
    kit.engine.held[JOB.id] = JOB
    assert (await kit.images.archive("w", JOB.id)).parts


async def test_a_platform_without_images_knows_none(tmp_path: Path) -> None:
    none = Images(
        None,
        ImageSpool(tmp_path, 1, 0),
        Registries(),
        VirtualClock(),
        wanted=lambda _: (),
        changed=lambda: None,
    )
    await none.open()
    assert none.seen("x").reference == "x"
    assert none.seen("x").obtainable
    assert none.given({JOB.id: "x"}) == ()
    await none.close()


@pytest.mark.parametrize(
    ("reference", "registry", "name", "parts"),
    [
        ("ubuntu", "docker.io", "ubuntu:latest", ("ubuntu", "latest")),
        ("library/ubuntu:22.04", "docker.io", "ubuntu:22.04", ("library/ubuntu", "22.04")),
        ("docker.io/me/x", "docker.io", "me/x:latest", ("docker.io/me/x", "latest")),
        ("index.docker.io/me/x:1", "docker.io", "me/x:1", ("index.docker.io/me/x", "1")),
        ("index.org/x", "index.org", "index.org/x:latest", ("index.org/x", "latest")),
        ("localhost/x", "localhost", "localhost/x:latest", ("localhost/x", "latest")),
        ("r:5000/x", "r:5000", "r:5000/x:latest", ("r:5000/x", "latest")),
        ("r.org/a/b:1", "r.org", "r.org/a/b:1", ("r.org/a/b", "1")),
        (f"r.org/b:1@{ELSEWHERE}", "r.org", f"r.org/b@{ELSEWHERE}", ("r.org/b", ELSEWHERE)),
    ],
)
def test_references(reference: str, registry: str, name: str, parts: tuple[str, str]) -> None:
    assert registry_of(reference) == registry
    assert familiar(reference) == name
    assert split_tag(reference) == parts
    assert is_reference(reference)
    assert not is_id(reference)
