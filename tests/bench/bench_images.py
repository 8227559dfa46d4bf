"""The job image from this machine's engine to an empty one on a machine of its own, beside what
`docker save | docker load` takes between the same two.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
from cumulus.api.frames import ImageWanted
from cumulus.chronos_bindings.agent.clock import SystemClock
from cumulus.chronos_bindings.agent.engine import Engine
from cumulus.chronos_bindings.agent.image_store import DockerImages
from cumulus.chronos_bindings.agent.images import Images
from cumulus.controller.platforms.swarm_images import SwarmImages
from image_kit import client, serving
from netns import Lan
from node import Node
from system import IMAGE


def run(folder: Path) -> list[dict[str, Any]]:
    """One row for each way."""
    with Lan() as lan:
        node = Node(lan, "bench", folder / "bench")
        try:
            node.start_engine()
            image = str(docker.from_env().images.get(IMAGE).id)
            piped = _timed(lambda: node.load(IMAGE))
            _forget(node, image)
            first, transfer, later, size = asyncio.run(_ours(node, folder, image))
        finally:
            node.remove()
    rows = {
        "docker save, docker load": piped,
        "first worker: export, transfer, load": first,
        "every other worker: transfer, load": later,
        "of which transfer, checked": transfer,
    }
    return [
        {
            "what": what,
            "seconds": seconds,
            "MB_per_second": size / 1e6 / seconds,
            "ratio": seconds / piped,
        }
        for what, seconds in rows.items()
    ]


async def _ours(node: Node, folder: Path, image: str) -> tuple[float, float, float, int]:
    """Seconds of the first time, of the transfer alone, of the second time; bytes."""
    async with serving(SwarmImages(), folder / "spool") as (served, _, port):
        served.wanted["w"] = (ImageWanted(image, (IMAGE,)),)
        first, _ = await _brought(served.wanted["w"], node, port, folder / "parts")
        await asyncio.to_thread(_forget, node, image)
        later, transfer = await _brought(served.wanted["w"], node, port, folder / "parts")
        archive = served.spool.archive(image)
        assert archive is not None
        return first, transfer, later, sum(part.size for part in archive.parts)


async def _brought(
    wanted: tuple[ImageWanted, ...], node: Node, port: int, folder: Path
) -> tuple[float, float]:
    said: dict[str, float] = {}
    local = Engine(node.url)
    async with client(port, "w") as source:
        images = Images(
            DockerImages(local),
            source,
            folder,
            SystemClock(),
            changed=lambda: said.setdefault(_stage(images), time.perf_counter()) and None,
        )
        running = asyncio.ensure_future(images.run())
        begun = time.perf_counter()
        images.set_wanted(wanted)
        await images.ensure(wanted[0].id, "")
        ended = time.perf_counter()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await local.close()
    return ended - begun, said["Loading"] - said["0 %"]


def _stage(images: Images) -> str:
    condition = images.condition()
    return "0 %" if ": 0 %" in condition.message else condition.reason


def _forget(node: Node, image: str) -> None:
    node.docker.images.remove(image, force=True)
    subprocess.run(["sync"], check=True)


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
