"""The units of this machine where the Docker Engine runs them. I/O. Called by the agent's core.

Swarm puts a service's container labels on its containers, so a unit's containers are found by
label, never by a remembered id; a container without our labels is never touched.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import docker
import docker.errors

from ...crd_like_specs.errors import DriverError, NotFoundError, Temporary
from ...crd_like_specs.identity import (
    LABEL_ATTEMPT,
    LABEL_FOLDER,
    LABEL_OWNED,
    LABEL_UID,
    parse_unit,
    unit_name,
)
from .cgroups import kill_all, processes
from .docker_logs import missing, parse_time
from .docker_streams import EventStream, LogStream
from .docker_volumes import delete_left
from .engine import Engine
from .ports import RawFrame, UnitSeen
from .threads import pieces

T = TypeVar("T")

_EVENTS: Final = {
    "type": ["container"],
    "event": ["start", "die", "destroy"],
    "label": [f"{LABEL_OWNED}=1"],
}
_SOON: Final = 3.0  # seconds that the engine is given to end a container
_STARTING: Final = 30.0  # seconds from a container's creation to its start, at most
_LEFT: Final = 30.0  # seconds for which an ended container is left to Swarm to remove
_REMEMBERED: Final = 10_000  # units whose containers are known after they were removed
_OVERLAP: Final = 1000  # last frames remembered to find the rest of a log by
# Swarm makes the network again and starts the same container once more, within a second.
_TRIED_AGAIN: Final = re.compile(r"network \S+ not found")
_CODE_MOUNT: Final = "/job"  # only units that run our runner have it


@dataclass(frozen=True, slots=True)
class _Container:
    id: str
    unit: str
    created: float
    status: str
    seen: UnitSeen
    error: str

    @property
    def alive(self) -> bool:
        return self.seen.running

    @property
    def never_started(self) -> bool:
        """Created and about to be started, or left so by an engine that died in between."""
        return self.status == "created" and not self.error and not self.seen.exit_code

    def over_since(self, time: float) -> bool:
        """Whether it ended before that time, or was not started although created before it."""
        if self.never_started:
            return self.created < time
        return not self.alive and max(self.created, self.seen.finished_at) < time


class DockerRuntime:
    """LocalRuntime over the local engine; see `ports` for what each verb promises.

    pause(seconds): waits before the event stream is opened again. wall: POSIX seconds.
    """

    def __init__(
        self,
        engine: Engine,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._wall = wall
        self._pause = pause
        self._known: OrderedDict[str, set[str]] = OrderedDict()  # unit → ids of its containers
        self._ended: dict[str, _Container] = {}  # by id; what has ended does not change any more
        self._running: dict[str, tuple[str, ...]] = {}

    async def list_units(self) -> list[UnitSeen]:
        """See `LocalRuntime`."""
        found = await self._engine.call(lambda client: self._list(client, None))
        self._ended = {c.id: c for c in found if c.status in ("exited", "dead")}
        running: dict[str, tuple[str, ...]] = {}
        for container in found:
            if container.alive:
                running[container.unit] = (*running.get(container.unit, ()), container.id)
        self._running = running
        newest: dict[str, _Container] = {}
        for container in found:  # oldest first: a running one stays, else the last one counts
            if container.unit not in newest or not newest[container.unit].alive:
                newest[container.unit] = container
        return [container.seen for container in newest.values()]

    async def signal(self, unit: str, signum: int) -> None:
        """See `LocalRuntime`."""
        await self._soon(lambda client: self._signal(client, unit, signum))

    async def kill(self, unit: str) -> None:
        """See `LocalRuntime`. One that was created and is about to start is left alone, is not
        gone and so will be killed at the next try: removed in between, Swarm would take its task
        for complete. One that was never started for long is left over by an engine that died
        there, and is removed, so that it cannot hold its lease for ever.

        Where the engine does not answer, the kernel is asked: containers outlive their engine.
        """
        try:
            await self._soon(lambda client: self._kill(client, unit))
        except DriverError:
            if not await asyncio.to_thread(kill_all, self._known.get(unit, ())):
                raise

    async def ensure_gone(self, unit: str) -> bool:
        """See `LocalRuntime`. Asks the kernel too: the engine may believe a container ended whose
        processes are still there.
        """
        return await self._soon(lambda client: self._gone(client, unit))

    async def logs(self, unit: str) -> AsyncIterator[RawFrame]:
        """See `LocalRuntime`. Several containers of one unit follow each other by age."""
        done: set[str] = set()
        while True:
            found = await self._engine.call(lambda client: self._list(client, unit))
            if not found and not done:
                if unit in self._known:
                    raise NotFoundError(f"the containers of {unit} were removed from the engine")
                raise Temporary(f"{unit} has no container here yet", reason="NotStarted")
            left = [container for container in found if container.id not in done]
            if not left:
                return
            last: deque[RawFrame] = deque(maxlen=_OVERLAP)
            async with aclosing(pieces(LogStream(self._engine, left[0].id), "logs")) as stream:
                async for frames in stream:
                    for frame in frames:
                        last.append(frame)
                        yield frame
            for frame in await self._rest(left[0], last):
                yield frame
            done.add(left[0].id)

    async def changes(self) -> AsyncIterator[str]:
        """See `LocalRuntime`. After every (re)connection all units are named once."""
        wait = 0.1
        while True:
            try:
                async with aclosing(pieces(EventStream(self._engine, _EVENTS), "events")) as events:
                    for unit in await self.list_units():
                        yield unit.name
                    wait = 0.1
                    async for event in events:
                        if name := _unit_of(event["Actor"]["Attributes"]):
                            yield name
            except DriverError:
                wait = min(wait * 2, 5.0)  # the engine restarts: units are listed once it is back
            await self._pause(wait)

    async def tidy(self, kept: Collection[str]) -> None:
        """See `LocalRuntime`. Swarm removes a task's container, unless its node lost power between
        the end of the task and that, and its service is gone once the node is back.
        """
        await self._engine.call(lambda client: self._tidy(client, kept))

    def containers(self) -> dict[str, tuple[str, ...]]:
        """Unit → ids of its containers that run, as last listed."""
        return self._running

    async def close(self) -> None:
        """See `LocalRuntime`. The engine's connection belongs to whoever made it."""

    async def _soon(self, work: Callable[[docker.DockerClient], T]) -> T:
        """For what ends leases: an engine that hangs must not hold up the next step."""
        try:
            async with asyncio.timeout(_SOON):
                return await self._engine.call(work)
        except TimeoutError as e:
            raise Temporary(
                f"the engine has not answered for {_SOON:.0f} s", reason="EngineUnreachable"
            ) from e

    async def _rest(self, container: _Container, last: deque[RawFrame]) -> list[RawFrame]:
        """What the engine's following stream left out of an ended container's log.

        It ends with the container, and then misses what is written at that very moment: a last
        line without a line end was seen to be lost. So the end of the log is read once more.
        """
        now = await self._engine.call(
            lambda client: _read(client.api.inspect_container(container.id))
        )
        if now is not None and (now.alive or now.never_started):
            raise _broken(container.unit, f"while the container was {now.status}")
        for size in (1, _OVERLAP):  # nearly always the last frame was delivered
            tail = await self._engine.call(partial(_tail, self._engine, container.id, size))
            found = missing(list(last)[-size:], tail)
            if found is not None:
                return found
            if not last and len(tail) < size:
                return tail  # nothing was delivered, and this is all there is
        raise _broken(container.unit, f"more than {_OVERLAP} frames before the end")

    def _list(self, client: docker.DockerClient, unit: str | None) -> list[_Container]:
        """Containers of this unit or of all, the oldest first."""
        labels = [f"{LABEL_OWNED}=1"]
        if unit is not None:
            labels += _labels(unit)
        rows = client.api.containers(all=True, filters={"label": labels})
        found = []
        for row in rows:
            if not _unit_of(row["Labels"]):
                continue
            try:
                container = self._ended.get(row["Id"]) or _read(
                    client.api.inspect_container(row["Id"])
                )
            except docker.errors.NotFound:
                continue  # removed since it was listed
            if container is not None:
                found.append(container)
                self._remember(container)
        return sorted(found, key=lambda c: (c.created, c.id))

    def _tidy(self, client: docker.DockerClient, kept: Collection[str]) -> None:
        before = self._wall() - _LEFT
        for container in self._list(client, None):
            if container.unit not in kept and container.over_since(before):
                _remove(client, container.id)
        delete_left(client, kept)

    def _remember(self, container: _Container) -> None:
        self._known.setdefault(container.unit, set()).add(container.id)
        self._known.move_to_end(container.unit)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _signal(self, client: docker.DockerClient, unit: str, signum: int) -> None:
        for container in self._list(client, unit):
            if container.alive:
                _send(client, container.id, signum)

    def _kill(self, client: docker.DockerClient, unit: str) -> None:
        for container in self._list(client, unit):
            if container.status == "paused":
                client.api.unpause(container.id)  # the engine signals no frozen container
            if container.alive:
                _send(client, container.id, signal.SIGKILL)
            elif container.never_started and self._wall() - container.created > _STARTING:
                _remove(client, container.id)

    def _gone(self, client: docker.DockerClient, unit: str) -> bool:
        self._ended = {key: c for key, c in self._ended.items() if c.unit != unit}
        if any(c.alive or c.never_started for c in self._list(client, unit)):
            return False
        return not any(processes(container) for container in self._known.get(unit, ()))


def _read(attrs: Mapping[str, Any]) -> _Container | None:
    """An inspected container of ours; None where its labels name no unit.

    One that could not be started for want of its network is only about to start.
    """
    unit = _unit_of(attrs["Config"]["Labels"] or {})
    if unit is None:
        return None
    state = attrs["State"]
    running = state["Running"] or state["Paused"] or state["Restarting"]
    status: str = state["Status"]
    tried_again = status == "created" and _TRIED_AGAIN.search(state["Error"])
    failed = status == "created" and state["ExitCode"] != 0 and not tried_again
    known = status in ("exited", "dead") or failed
    seen = UnitSeen(
        name=unit,
        running=running,
        exit_code=state["ExitCode"] if known and not running else None,
        started_at=parse_time(state["StartedAt"]),
        finished_at=0.0 if running else parse_time(state["FinishedAt"]),
        is_code=any(mount["Destination"] == _CODE_MOUNT for mount in attrs["Mounts"]),
        folder=str((attrs["Config"]["Labels"] or {}).get(LABEL_FOLDER, "")),
    )
    created = parse_time(attrs["Created"])
    error = "" if tried_again else state["Error"]
    return _Container(attrs["Id"], unit, created, status, seen, error)


def _unit_of(labels: Mapping[str, str]) -> str | None:
    """The unit that a container's labels name, None if they are not all ours."""
    if labels.get(LABEL_OWNED) != "1":
        return None
    try:
        name = unit_name(labels[LABEL_UID], int(labels[LABEL_ATTEMPT]))
    except (KeyError, ValueError):
        return None
    return name if parse_unit(name) else None


def _tail(engine: Engine, container: str, size: int, _: docker.DockerClient) -> list[RawFrame]:
    return [frame for frames in LogStream(engine, container, size) for frame in frames]


def _broken(unit: str, when: str) -> Temporary:
    return Temporary(f"the engine ended the log stream of {unit} {when}", reason="LogBroken")


def _labels(unit: str) -> list[str]:
    parsed = parse_unit(unit)
    if parsed is None:
        raise NotFoundError(f"{unit!r} is no name of a unit")
    return [f"{LABEL_UID}={parsed[0]}", f"{LABEL_ATTEMPT}={parsed[1]}"]


def _send(client: docker.DockerClient, container: str, signum: int) -> None:
    try:
        client.api.kill(container, signal=signum)
    except docker.errors.APIError as e:
        if e.status_code not in (404, 409):  # gone, or not running any more: nothing to signal
            raise


def _remove(client: docker.DockerClient, container: str) -> None:
    try:
        client.api.remove_container(container, force=True)
    except docker.errors.APIError as e:
        if e.status_code not in (404, 409):  # gone, or being removed by someone else
            raise
