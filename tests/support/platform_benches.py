"""The benches on which `test_platforms` holds every platform to the same promises.

A script is a few lines of `sh` for platforms that run something, and beside it what the fake is
to make of it.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from cumulus.controller.platforms.base import Platform
from cumulus.controller.platforms.fake import FakePlatform, Program
from cumulus.controller.platforms.process import IMAGE as NO_IMAGE
from cumulus.controller.platforms.process import ProcessPlatform
from cumulus.controller.platforms.swarm import SwarmPlatform
from cumulus.controller.reconcile.actions import ServiceSpec
from cumulus.controller.reconcile.observed import ServiceSeen
from cumulus.crd_like_specs.identity import LABEL_OWNED, unit_name

JOB_IMAGE = os.environ.get("CUMULUS_TEST_IMAGE", "cumulus-job:latest")
OWNER = f"test-{os.getpid()}"  # so that no controller on this Swarm takes them for its orphans
SECONDS = 60.0  # no promise, only the end of patience on a busy machine

OK = "exit 0"
THREE = "exit 3"
FOREVER = "while :; do sleep 1; done"
TALK = "echo one; echo two; sleep 0.2; echo oops >&2; sleep 0.2; printf 'three, no newline'"
LONG = "head -c 40000 /dev/zero | tr '\\0' x; echo"
KILLED = "kill -9 $$"
TEN = tuple(f"echo unit {n}; exit {n % 3}" for n in range(10))
PROGRAMS = {
    OK: Program(0),
    THREE: Program(3),
    FOREVER: Program(),
    TALK: Program(
        0,
        (
            ("stdout", b"one\n"),
            ("stdout", b"two\n"),
            ("stderr", b"oops\n"),
            ("stdout", b"three, no newline"),
        ),
    ),
    LONG: Program(0, (("stdout", b"x" * 40000 + b"\n"),)),
    KILLED: Program(137),
    **{text: Program(n % 3, (("stdout", b"unit %d\n" % n),)) for n, text in enumerate(TEN)},
}


@dataclass
class Bench:
    """platform: started. another: a new driver over the same world, not started.
    make_foreign: puts something of this name there that isn't Cumulus's; drop_foreign undoes it.
    """

    platform: Platform
    node_id: str
    image: str
    missing_image_reason: str
    another: Callable[[], Platform]
    make_foreign: Callable[[str], None]
    drop_foreign: Callable[[str], None]
    close: Callable[[], None] = lambda: None

    def spec(self, script: str, image: str = "", **more: object) -> ServiceSpec:
        uid = uuid.uuid4().hex
        return ServiceSpec(
            name=unit_name(uid, 1),
            uid=uid,
            attempt=1,
            job="test",
            node_id=self.node_id,
            worker="w",
            image=image or self.image,
            unit_dir="/nowhere",
            command=("sh", "-c", script),
            **more,  # type: ignore[arg-type] (fields of the dataclass)
        )

    async def seen(self, name: str) -> ServiceSeen | None:
        found = [s for s in await self.platform.list_owned() if s.name == name]
        return found[0] if found else None

    async def until(self, name: str, true: Callable[[ServiceSeen], bool]) -> ServiceSeen:
        deadline = time.monotonic() + SECONDS
        while True:
            seen = await self.seen(name)
            assert seen is not None, f"{name} is not listed"
            if true(seen):
                return seen
            assert time.monotonic() < deadline, f"after {SECONDS} s: {seen}"
            await asyncio.sleep(0.05)

    async def ended(self, name: str) -> ServiceSeen:
        return await self.until(name, lambda seen: seen.state.ended)

    async def run(self, script: str, **more: object) -> tuple[ServiceSeen, bytes]:
        """Its end and its stdout; the service is removed."""
        spec = self.spec(script, **more)
        await self.platform.create(spec)
        try:
            seen = await self.ended(spec.name)
            return seen, await self.output(spec.name)
        finally:
            await self.platform.remove(spec.name)

    async def output(self, name: str, stream: str = "stdout") -> bytes:
        return b"".join(f.data for f in await self.platform.logs(name) if f.stream == stream)


def fake_bench() -> Bench:
    fake = FakePlatform(lambda: 1_000_000.0, programs=lambda spec: PROGRAMS[spec.command[-1]])
    return Bench(
        platform=fake,
        node_id="node-1",
        image="cumulus-job:latest",
        missing_image_reason="ImageMissing",
        another=lambda: fake,
        make_foreign=fake.add_foreign,
        drop_foreign=lambda _: None,
    )


def process_bench(root: Path) -> Bench:
    return Bench(
        platform=ProcessPlatform(root),
        node_id="this-machine",
        image=NO_IMAGE,
        missing_image_reason="Unsupported",
        another=lambda: ProcessPlatform(root),
        make_foreign=lambda name: (root / name).mkdir(),
        drop_foreign=lambda name: (root / name).rmdir(),
    )


def swarm_bench() -> Bench:
    engine = docker.APIClient(version="auto")
    node_id = engine.info()["Swarm"]["NodeID"]
    image_id = engine.inspect_image(JOB_IMAGE)["Id"]

    def make_foreign(name: str) -> None:
        task = docker.types.TaskTemplate(docker.types.ContainerSpec(image_id))
        engine.create_service(task, name=name, mode=docker.types.ServiceMode("replicated", 0))

    def drop_foreign(name: str) -> None:
        engine.remove_service(name)

    return Bench(
        platform=SwarmPlatform(owner=OWNER),
        node_id=node_id,
        image=JOB_IMAGE,
        missing_image_reason="ImageMissing",
        another=lambda: SwarmPlatform(owner=OWNER),
        make_foreign=make_foreign,
        drop_foreign=drop_foreign,
        close=engine.close,
    )


def sweep_volumes() -> None:
    """Delete the volumes of the services that tests made, as soon as their containers are gone."""
    engine = docker.APIClient(version="auto")
    filters = {"label": f"{LABEL_OWNED}={OWNER}"}
    deadline = time.monotonic() + SECONDS
    while volumes := engine.volumes(filters=filters)["Volumes"]:
        assert time.monotonic() < deadline, f"still in use: {volumes}"
        for volume in volumes:
            with suppress(docker.errors.APIError):  # in use: again
                engine.remove_volume(volume["Name"])
        time.sleep(0.2)
    engine.close()
