"""What this machine is and has, as the agent reports it. I/O. Called by the agent's core.

Everything but `since` is the same from one reading to the next while nothing changed, so that a
report is sent only when there is news.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import docker
import psutil

from ...crd_like_specs.errors import DriverError
from ...crd_like_specs.identity import NODE_THIS_MACHINE
from ...crd_like_specs.meta import Condition
from ...crd_like_specs.worker import DISK_PRESSURE, WorkerStatus
from .docker_streams import EventStream
from .engine import Engine
from .isolation import Verdict
from .threads import pieces

NETWORK_ISOLATED: Final = "NetworkIsolated"
_IMAGE_EVENTS: Final = {"type": ["image"]}
_CHECK: Final = 30.0  # seconds between looks at the firewall
_DISK_CHECK: Final = 5.0  # and at the disk: jobs fill it fast
_ENGINE_PAUSE: Final = 0.25  # between questions whether an engine that went away is back
_LEAST_DISK: Final = 2 << 30  # bytes free below which a worker is short of disk

Pause = Callable[[float], Awaitable[None]]


class Isolates(Protocol):
    """What `isolation.Isolation` is to this file."""

    async def ensure_node_config(self) -> int:
        """Set what is missing; how much was."""

    async def verify(self) -> Verdict:
        """Set and check from inside a container."""


class Conditions:
    """Keeps since when each condition is what it is. wall: POSIX seconds."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._last: dict[str, Condition] = {}

    def of(self, kind: str, status: bool, reason: str, message: str) -> Condition:
        """The condition as it is now."""
        last = self._last.get(kind)
        since = last.since if last and last.status == status else self._wall()
        now = Condition(type=kind, status=status, reason=reason, message=message, since=since)
        self._last[kind] = now
        return now

    def disk(self, folder: Path) -> Condition:
        """Whether the disk of `folder` is nearly full."""
        if short_of_disk(folder):
            least = f"{_LEAST_DISK >> 30} GiB"
            return self.of(DISK_PRESSURE, True, "DiskNearlyFull", f"less than {least} free")
        return self.of(DISK_PRESSURE, False, "EnoughDisk", "")


def short_of_disk(folder: Path) -> bool:
    """Whether the disk of `folder` is nearly full."""
    return shutil.disk_usage(folder).free < _LEAST_DISK


async def disk_turns(folder: Path, pause: Pause) -> AsyncIterator[None]:
    """Whenever the disk has become nearly full, and when it no longer is. Endless."""
    was = await asyncio.to_thread(short_of_disk, folder)
    while True:
        await pause(_DISK_CHECK)
        now = await asyncio.to_thread(short_of_disk, folder)
        if now != was:
            was = now
            yield


class DockerFacts:
    """NodeFacts of a Docker worker. data: the agent's folder; own_labels: an operator's."""

    def __init__(
        self,
        engine: Engine,
        isolation: Isolates,
        data: Path,
        own_labels: Mapping[str, str] | None = None,
        *,
        wall: Callable[[], float] = time.time,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._isolation = isolation
        self._data = data
        self._own_labels = dict(own_labels or {})
        self._conditions = Conditions(wall)
        self._pause = pause
        self._verdict: Verdict | None = None
        self._lock = asyncio.Lock()

    async def read(self) -> WorkerStatus:
        """See `NodeFacts`. The first reading takes a few seconds: isolation is checked for real."""
        info, images = await self._engine.call(_ask)
        verdict = await self._isolated()
        kernel = await asyncio.to_thread(kernel_facts, self._data)
        disk = await asyncio.to_thread(self._conditions.disk, self._data)
        return WorkerStatus(
            node_id=info["Swarm"]["NodeID"],
            platform="swarm",
            cpus=int(info["NCPU"]) * 1000,
            memory=int(info["MemTotal"]),
            pids=kernel.pids,
            disk=kernel.disk,
            boot_id=kernel.boot_id,
            images=image_names(images),
            network_isolation=verdict.ok,
            conditions=(
                self._conditions.of(NETWORK_ISOLATED, verdict.ok, verdict.reason, verdict.message),
                disk,
            ),
        )

    async def labels(self) -> Mapping[str, str]:
        """See `NodeFacts`: this machine's, the engine's own (daemon.json), the operator's."""
        info, _ = await self._engine.call(_ask)
        engine = dict(label.partition("=")[::2] for label in info.get("Labels") or ())
        return {**machine_labels(str(info["Name"])), **engine, **self._own_labels}

    async def changes(self) -> AsyncIterator[None]:
        """See `NodeFacts`."""
        news = asyncio.Event()
        watchers = [
            asyncio.create_task(self._watch_images(news)),
            asyncio.create_task(self._watch_rules(news)),
            asyncio.create_task(self._watch_disk(news)),
        ]
        for watcher in watchers:
            watcher.add_done_callback(lambda _: news.set())
        try:
            while True:
                await news.wait()
                news.clear()
                for watcher in watchers:
                    if watcher.done():
                        watcher.result()  # they are endless: raises what ended it
                yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _isolated(self) -> Verdict:
        async with self._lock:
            if self._verdict is None:
                self._verdict = await self._isolation.verify()
            return self._verdict

    async def _watch_images(self, news: asyncio.Event) -> None:
        while True:
            with suppress(DriverError):
                async with aclosing(
                    pieces(EventStream(self._engine, _IMAGE_EVENTS), "images")
                ) as s:
                    async for _ in s:
                        if self._verdict is not None and self._verdict.reason == "ImageMissing":
                            self._verdict = None  # it may be there now: check at the next reading
                        news.set()
            # The engine restarts, perhaps with another address, other labels, without its networks.
            await self._answers()
            self._verdict = None
            news.set()

    async def _answers(self) -> None:
        """Return once the engine does again."""
        while True:
            await self._pause(_ENGINE_PAUSE)
            with suppress(DriverError):
                await self._engine.call(_ping)
                return

    async def _watch_disk(self, news: asyncio.Event) -> None:
        async for _ in disk_turns(self._data, self._pause):
            news.set()

    async def _watch_rules(self, news: asyncio.Event) -> None:
        """Sets rules again that someone flushed, and checks then and after a failure."""
        while True:
            await self._pause(_CHECK)
            if self._verdict is None or not self._verdict.ok:
                self._verdict = None
                news.set()
                continue
            try:
                if await self._isolation.ensure_node_config():
                    self._verdict = None
                    news.set()
            except DriverError as e:
                self._verdict = Verdict(ok=False, reason=e.reason, message=e.message)
                news.set()


class ProcessFacts:
    """NodeFacts of a machine without Docker: jobs are processes and are not isolated."""

    def __init__(
        self,
        data: Path,
        own_labels: Mapping[str, str] | None = None,
        *,
        wall: Callable[[], float] = time.time,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._data = data
        self._own_labels = dict(own_labels or {})
        self._conditions = Conditions(wall)
        self._pause = pause

    async def read(self) -> WorkerStatus:
        """See `NodeFacts`."""
        disk = await asyncio.to_thread(self._conditions.disk, self._data)
        kernel = await asyncio.to_thread(kernel_facts, self._data)
        return WorkerStatus(
            node_id=NODE_THIS_MACHINE,
            platform="process",
            cpus=len(os.sched_getaffinity(0)) * 1000,
            memory=int(psutil.virtual_memory().total),
            pids=kernel.pids,
            disk=kernel.disk,
            boot_id=kernel.boot_id,
            network_isolation=False,
            conditions=(
                self._conditions.of(
                    NETWORK_ISOLATED, False, "ProcessPlatform", "processes are not isolated"
                ),
                disk,
            ),
        )

    async def labels(self) -> Mapping[str, str]:
        """See `NodeFacts`."""
        return {**machine_labels(socket.gethostname()), **self._own_labels}

    async def changes(self) -> AsyncIterator[None]:
        """See `NodeFacts`: only the disk can change."""
        async for _ in disk_turns(self._data, self._pause):
            yield


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """pids: processes that the machine can have, 0 where unknown; disk: bytes in all."""

    pids: int
    disk: int
    boot_id: str


def kernel_facts(data: Path, proc: Path = Path("/proc")) -> KernelFacts:
    """Of this machine, and of the disk that holds `data`."""
    known = [_line(proc / "sys" / "kernel" / name) for name in ("pid_max", "threads-max")]
    return KernelFacts(
        pids=min((int(limit) for limit in known if limit.isdecimal()), default=0),
        disk=shutil.disk_usage(data).total,
        boot_id=_line(proc / "sys" / "kernel" / "random" / "boot_id"),
    )


def _line(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def image_names(images: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Ids and tags from the engine's list, sorted; dangling tags left out."""
    found: set[str] = set()
    for image in images:
        found.add(str(image["Id"]))
        found.update(str(tag) for tag in image["RepoTags"] or () if tag != "<none>:<none>")
    return tuple(sorted(found))


def machine_labels(hostname: str) -> dict[str, str]:
    """Labels that every worker has."""
    return {"hostname": hostname, "arch": platform.machine(), "os": platform.system().lower()}


def _ask(client: docker.DockerClient) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    return client.api.info(), client.api.images()


def _ping(client: docker.DockerClient) -> object:
    return client.ping()
