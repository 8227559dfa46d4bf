"""Images between two real engines: this machine's, as the controller has it, and one that is empty
on a machine of its own, as a new worker's is; and from a real registry with passwords.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import registry_kit
from cumulus.api.frames import ImageWanted
from cumulus.chronos_bindings.agent.clock import SystemClock
from cumulus.chronos_bindings.agent.engine import Engine
from cumulus.chronos_bindings.agent.image_store import DockerImages
from cumulus.chronos_bindings.agent.images import Images
from cumulus.controller.platforms.registries import Registries, Registry, credentials
from cumulus.controller.platforms.swarm import SwarmPlatform
from cumulus.controller.platforms.swarm_images import SwarmImages
from cumulus.controller.reconcile.actions import ServiceSpec
from cumulus.controller.reconcile.observed import ServiceSeen
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.identity import unit_name
from image_kit import Cable, Served, client, noise, serving
from netns import Lan
from node import Node, Program
from registry_kit import PASSWORD, REGISTRY
from system import IMAGE

DERIVED = "cumulus-test-derived:1"
PRIVATE = f"{REGISTRY}/team/tool:1"
MIB = 1 << 20

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A worker's machine, as bare as one comes."""
    with Lan() as lan:
        one = Node(lan, "bare", tmp_path_factory.mktemp("bare"))
        try:
            one.start_engine()
            yield one
        finally:
            one.remove()


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The controller's, with an image that adds little to the job image."""
    client = docker.from_env()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in (
            ("Dockerfile", f"FROM {IMAGE}\nCOPY noise /noise\n".encode()),
            ("noise", noise(7, 100_000)),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=DERIVED, rm=True)
    yield client
    client.images.remove(DERIVED)
    client.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, Cable, int]]:
    async with serving(SwarmImages(), tmp_path / "spool") as parts:
        yield parts


async def brought(
    parts: tuple[Served, Cable, int], node: Node, folder: Path, reference: str, ours: Any
) -> tuple[str, list[str]]:
    """The image's id once it is on the node, and what was said on the way."""
    served, _, port = parts
    image = str(ours.images.get(reference).id)
    served.wanted["w"] = (ImageWanted(image, (reference,)),)
    said: list[str] = []
    local = Engine(node.url)
    async with client(port, "w") as source:
        images = Images(
            DockerImages(local),
            source,
            folder,
            SystemClock(),
            changed=lambda: said.append(images.condition().reason),
        )
        running = asyncio.ensure_future(images.run())
        images.set_wanted(served.wanted["w"])
        try:
            async with asyncio.timeout(300):
                while not images.condition().status:
                    with suppress(Temporary):
                        await images.ensure(image, "")
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await local.close()
    assert list(folder.iterdir()) == []
    return image, said


async def test_the_job_image_reaches_a_bare_worker_although_the_connection_breaks(
    served: tuple[Served, Cable, int], node: Node, engine: Any, tmp_path: Path
) -> None:
    _, cable, _ = served
    size = 300 * MIB
    cable.break_after = size
    image, said = await brought(served, node, tmp_path / "parts", IMAGE, engine)
    archive = served[0].spool.archive(image)
    assert archive is not None
    whole = sum({part.digest: part.size for part in archive.parts}.values())
    assert whole > size
    # What was in buffers is lost with the connection, and what came before it is not sent again.
    assert cable.breaks == 1
    assert whole < cable.down < whole + 64 * MIB
    assert said[-1] == "AllPresent"
    found = node.docker.images.get(IMAGE)
    assert found.id == image
    assert found.attrs["RootFS"] == engine.images.get(IMAGE).attrs["RootFS"]
    assert node.docker.containers.run(image, ["-c", "print(6 * 7)"], entrypoint="python3",
                                      remove=True) == b"42\n"  # fmt: skip


async def test_an_image_above_one_that_is_there_sends_only_what_is_new(
    served: tuple[Served, Cable, int], node: Node, engine: Any, tmp_path: Path
) -> None:
    assert node.docker.images.list(IMAGE), "the test before brings it"
    image, _ = await brought(served, node, tmp_path / "parts", DERIVED, engine)
    assert served[1].down < 2 * MIB
    assert node.docker.images.get(DERIVED).id == image
    script = "import pathlib; print(len(pathlib.Path('/noise').read_bytes()))"
    assert node.docker.containers.run(image, ["-c", script], entrypoint="python3",
                                      remove=True) == b"100000\n"  # fmt: skip


# With a registry


@pytest.fixture(scope="module")
def registry(node: Node) -> Iterator[Program]:
    """On the worker's loopback; it holds `PRIVATE`."""
    with registry_kit.registry(node, PRIVATE, lambda: _make_tool(node)) as program:
        yield program


def _make_tool(node: Node) -> None:
    """A small image: one static file that runs nowhere is enough to be pulled."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        info = tarfile.TarInfo("data")
        info.size = 50_000
        out.addfile(info, io.BytesIO(noise(9, 50_000)))
    node.docker.api.import_image_from_data(tar.getvalue(), repository=PRIVATE[:-2], tag="1")


@pytest.fixture
async def store(node: Node, registry: Program) -> AsyncIterator[DockerImages]:
    assert registry.running
    local = Engine(node.url)
    yield DockerImages(local)
    await local.close()


def auth(username: str = "", password: str = "") -> str:
    return credentials(Registry(REGISTRY, username, password))


async def test_a_private_image_is_pulled_with_the_credentials(store: DockerImages) -> None:
    assert await store.find(PRIVATE) is None
    await store.pull(PRIVATE, auth("cumulus", PASSWORD))
    assert (await store.find(PRIVATE) or "").startswith("sha256:")


@pytest.mark.parametrize(
    ("name", "username", "password", "words"),
    [
        (PRIVATE, "cumulus", "wrong", "does not give image"),
        (PRIVATE, "nobody", PASSWORD, "does not give image"),
        (PRIVATE, "", "", "does not give image"),
        (f"{REGISTRY}/team/tool:2", "cumulus", PASSWORD, "has no image"),
        (f"{REGISTRY}/team/other", "cumulus", PASSWORD, "has no image"),
    ],
)
async def test_a_refusal_says_who_refused_what(
    store: DockerImages, name: str, username: str, password: str, words: str
) -> None:
    with pytest.raises(Permanent, match=f"registry {REGISTRY} {words}") as caught:
        await store.pull(name, auth(username, password))
    assert caught.value.reason == "ImageMissing"
    assert PASSWORD not in caught.value.message


async def test_a_registry_that_is_away_is_asked_again_later(store: DockerImages) -> None:
    with pytest.raises(Temporary, match=r"cannot be pulled from registry 127\.0\.0\.1:5999") as c:
        await store.pull("127.0.0.1:5999/x:1", auth())
    assert c.value.reason == "RegistryUnreachable"


async def test_credentials_are_tried_at_start(node: Node, registry: Program) -> None:
    images = SwarmImages(node.url)
    await images.open()
    assert await images.refuses(auth("cumulus", PASSWORD)) == ""
    assert "401 Unauthorized" in await images.refuses(auth("cumulus", "wrong"))
    images.close()
    assert registry.running


async def test_a_service_is_pulled_with_the_credentials_too(node: Node, registry: Program) -> None:
    assert registry.running
    node.docker.swarm.init(advertise_addr=node.address)
    with suppress(docker.errors.ImageNotFound):
        node.docker.images.remove(PRIVATE, force=True)
    told = {}
    for number, password in enumerate(("wrong", PASSWORD), 1):
        registries = Registries([Registry(REGISTRY, "cumulus", password)])
        platform = SwarmPlatform(node.url, registries=registries)
        await platform.start()
        name = unit_name(f"{number:032x}", 1)
        await platform.create(_service(name, node))
        told[password] = await _ended(platform, name)
        inspected = json.dumps(node.docker.api.inspect_service(name))
        assert PRIVATE in inspected
        assert password not in inspected
        await platform.remove(name)
        await platform.close()
    assert "no such image" in told["wrong"].message.lower()
    # It was pulled, or nobody could know that there is no such command in it.
    assert told[PASSWORD].exit_code == 127


def _service(name: str, node: Node) -> ServiceSpec:
    info = node.docker.info()
    return ServiceSpec(
        name=name,
        uid=name.split("-")[1],
        attempt=1,
        job="test",
        node_id=info["Swarm"]["NodeID"],
        worker="bare",
        image=PRIVATE,
        unit_dir="/nowhere",
        command=("no-such-command",),
        args=(),
        env={},
        mounts=(),
        cpus=100,
        memory=64 << 20,
        pids=16,
        shm=1 << 20,
        data=0,
        isolated=False,
        stop_grace=1.0,
    )


async def _ended(platform: SwarmPlatform, name: str) -> ServiceSeen:
    async with asyncio.timeout(60):
        while True:
            for seen in await platform.list_owned():
                if seen.name == name and seen.state.ended:
                    return seen
            await asyncio.sleep(0.1)
