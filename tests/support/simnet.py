"""The machines and wires of a faulty fleet: clocks, Swarm as harsh as it is, streams that are slow,
cut one way or both. Time goes on by itself only as `tick` is told; nothing here is random.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

from cumulus.controller.platforms.base import LogFrame, NodeSeen
from cumulus.controller.reconcile.actions import ServiceSpec
from cumulus.controller.reconcile.observed import ServiceSeen, ServiceState
from cumulus.crd_like_specs.errors import DriverError

EPOCH = 1_000_000.0
NOTICE = 13.0
"""Seconds until Swarm calls a node down that it does not reach."""

REMOVAL = 15.0
"""At most so long after its removal a service's container runs on, on a node in reach."""


class Time:
    """The true time: seconds that pass everywhere alike."""

    def __init__(self) -> None:
        self.mono = 5000.0


class ControllerClock:
    """`SystemClock` of a controller process: what its machine's wall clock says at its start."""

    def __init__(self, time: Time, wall_off: float, boot: int) -> None:
        self._time, self._boot = time, boot
        self._offset = EPOCH + wall_off

    def now(self) -> float:
        return self._time.mono + self._offset

    def mark(self, at: float) -> str:
        return f"{self._boot}/{at - self._offset}"

    def marked(self, words: str) -> float | None:
        boot, _, mono = words.rpartition("/")
        return float(mono) + self._offset if boot == str(self._boot) else None


@dataclass
class Wire:
    """One direction of one connection: in order, slow where told, cut where told."""

    time: Time
    cut: bool = False
    lag: float = 0.05
    _sent: deque[tuple[float, Any]] = field(default_factory=deque)

    def send(self, frame: Any) -> None:
        after = self._sent[-1][0] if self._sent else 0.0
        self._sent.append((max(after, self.time.mono + self.lag), frame))

    def arrived(self) -> list[Any]:
        found = []
        while self._sent and not self.cut and self._sent[0][0] <= self.time.mono:
            found.append(self._sent.popleft()[1])
        return found

    def drop(self) -> None:
        self._sent.clear()


@dataclass
class Service:
    spec: ServiceSpec
    seen: ServiceSeen
    doomed: bool = False  # Swarm has given its task up


@dataclass
class Node:
    up: bool = True  # the machine
    wired: bool = True  # to the manager
    lost_at: float | None = None
    down: bool = False  # as Swarm says

    @property
    def reached(self) -> bool:
        return self.up and self.wired


class Swarm:
    """A platform whose processes live on their machines, whatever the manager knows of them."""

    name = "swarm"
    notices: tuple[str, ...] = ()

    def __init__(self, time: Time, nodes: list[str]) -> None:
        self._time = time
        self.nodes_ = {node: Node() for node in nodes}
        self.services: dict[str, Service] = {}
        self.home: dict[str, str] = {}  # of every unit there ever was
        self.alive: set[str] = set()
        self.exits: dict[str, int] = {}
        self.starts: Counter[str] = Counter()
        self.started: dict[str, float] = {}
        self.kills: dict[str, float] = {}  # unit → when Swarm's SIGKILL comes
        self._faults: dict[str, list[DriverError]] = {}

    # The port

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def list_owned(self) -> list[ServiceSeen]:
        self._fail("list_owned")
        return [self._shown(service) for service in self.services.values()]

    async def create(self, service: ServiceSpec) -> None:
        await asyncio.sleep(0)
        self._fail("create")
        if service.name not in self.services:
            seen = ServiceSeen(
                service.name,
                service.uid,
                service.attempt,
                ServiceState.PENDING,
                node_id=service.node_id,
            )
            self.services[service.name] = Service(service, seen)
            self.home[service.name] = service.node_id

    async def remove(self, name: str) -> None:
        await asyncio.sleep(0)
        self._fail("remove")
        if self.services.pop(name, None) is not None and name in self.alive:
            self.kills[name] = self._time.mono + REMOVAL

    async def logs(self, name: str) -> list[LogFrame]:
        self._fail("logs")
        ended = self.services[name].seen.exit_code if name in self.services else None
        if ended is None:
            return []
        word = (
            b'"success", "result": 1'
            if ended == 0
            else b'"error", "error_type": "E", "error": "no"'
        )
        return [LogFrame("stdout", 1.0, b'{"status": ' + word + b"}\n")] if ended in (0, 1) else []

    async def nodes(self) -> list[NodeSeen]:
        return [NodeSeen(n, n, not node.down) for n, node in self.nodes_.items()]

    async def remove_node(self, node_id: str) -> None:
        raise NotImplementedError

    async def image_id(self, reference: str) -> str:
        return reference

    async def python_of(self, reference: str) -> str:
        return "3.11" if reference else ""

    def changes(self) -> Any:
        raise NotImplementedError

    # What happens

    def fail_next(self, verb: str, error: DriverError, times: int) -> None:
        self._faults.setdefault(verb, []).extend([error] * times)

    def heal(self) -> None:
        self._faults.clear()

    def tick(self) -> None:
        """Swarm notices, dooms, kills; what it reaches it knows."""
        now = self._time.mono
        for name, node in self.nodes_.items():
            if not node.reached:
                node.lost_at = now if node.lost_at is None else node.lost_at
                if not node.down and now - node.lost_at >= NOTICE:
                    node.down = True
                    for service in self._on(name):
                        service.doomed = service.seen.state is ServiceState.RUNNING
                continue
            node.lost_at, node.down = None, False
            for service in self._on(name):
                if service.doomed and service.spec.name in self.alive:
                    self.kills.setdefault(service.spec.name, now + 1.3)
                self._sync(service)
        for unit, at in list(self.kills.items()):
            if self.nodes_[self.home[unit]].reached and now >= at:
                self.end(unit, 143)
                del self.kills[unit]

    def begin(self, unit: str) -> None:
        """Its node starts the container."""
        service = self.services[unit]
        if self.nodes_[service.spec.node_id].reached and not service.doomed:
            self.alive.add(unit)
            self.starts[unit] += 1
            self.started[unit] = self._time.mono
            service.seen = replace(service.seen, state=ServiceState.RUNNING)

    def pending(self) -> list[str]:
        return [n for n, s in self.services.items() if s.seen.state is ServiceState.PENDING]

    def end(self, unit: str, code: int) -> None:
        """Its process is over, whoever did it."""
        if unit in self.alive:
            self.alive.discard(unit)
            self.exits[unit] = code

    def die(self, node: str) -> None:
        """The machine is gone, with all that ran there."""
        self.nodes_[node].up = False
        for unit in [u for u in self.alive if self.home[u] == node]:
            self.end(unit, 255)

    def on(self, node: str) -> set[str]:
        """Units that run there."""
        return {unit for unit in self.alive if self.home[unit] == node}

    def _on(self, node: str) -> list[Service]:
        return [s for s in self.services.values() if s.spec.node_id == node]

    def _sync(self, service: Service) -> None:
        name, seen = service.spec.name, service.seen
        if seen.state is ServiceState.RUNNING and name not in self.alive:
            code = self.exits[name]
            state = ServiceState.COMPLETE if code == 0 else ServiceState.FAILED
            at = self._time.mono + EPOCH
            service.seen = replace(seen, state=state, exit_code=code, finished_at=at)

    def _shown(self, service: Service) -> ServiceSeen:
        lost = self.nodes_[service.spec.node_id].down and not service.seen.state.ended
        if lost and service.seen.state is ServiceState.RUNNING:
            return replace(service.seen, state=ServiceState.LOST)
        return service.seen

    def _fail(self, verb: str) -> None:
        if self._faults.get(verb):
            raise self._faults[verb].pop()
