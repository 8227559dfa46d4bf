"""The platform and the agents of a simulated fleet: as in `simparts`, but in constant time for each
thing that happens, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from cumulus.api.frames import LeaseReport, NodeReport
from cumulus.controller.platforms.fake import FakePlatform
from cumulus.controller.reconcile.actions import ServiceSpec
from cumulus.controller.reconcile.observed import ServiceSeen
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.crd_like_specs.identity import parse_unit
from cumulus.crd_like_specs.lease import LeaseState
from make import worker
from simparts import HarshPlatform, PlayedAgent

DEVICES = 4


class FleetPlatform(HarshPlatform):
    """As harsh, and it knows what runs on each node without looking at all others."""

    def __init__(self, clock: VirtualClock, nodes: Iterable[str]) -> None:
        super().__init__(clock.now, nodes)
        self.on_node: dict[str, set[str]] = {}
        self.home: dict[str, str] = {}
        self.of_job: dict[str, str] = {}  # uid → its unit that runs
        self.fresh: list[str] = []  # not begun yet

    async def create(self, service: ServiceSpec) -> None:
        await super().create(service)
        if service.name not in self.home:
            self.home[service.name] = service.node_id
            self.fresh.append(service.name)

    async def remove(self, name: str) -> None:
        await asyncio.sleep(0)
        await FakePlatform.remove(self, name)  # what runs of it runs on

    def begin(self, name: str) -> None:
        uid = _uid(name)
        other = self.of_job.setdefault(uid, name)
        assert other == name, f"{name} starts while {other} runs"
        self.on_node.setdefault(self.home[name], set()).add(name)
        super().begin(name)
        assert self.starts[name] == 1, f"{name} was started twice"

    def begin_all(self) -> list[str]:
        """Start what can start now; returns what did."""
        there = [name for name in self.fresh if name in self._units]
        begun = [name for name in there if self._nodes[self.home[name]]]
        for name in begun:
            self.begin(name)
        self.fresh = [name for name in there if not self._nodes[self.home[name]]]
        return begun

    def finish(
        self, name: str, exit_code: int = 0, *, message: str = "", out_of_memory: bool = False
    ) -> None:
        super().finish(name, exit_code, message=message, out_of_memory=out_of_memory)
        self._gone(name)

    def stop(self, name: str, exit_code: int) -> None:
        if name not in self.on_node.get(self.home.get(name, ""), ()):  # or it never came to be
            return
        if name in self._units:
            self.finish(name, exit_code)
        else:
            self._gone(name)

    def die(self, node_id: str) -> None:
        for name in list(self.on_node.get(node_id, ())):
            self._gone(name)
        self.node_down(node_id)

    def seen(self, name: str) -> ServiceSeen | None:
        """The service as it is, if it is there."""
        unit = self._units.get(name)
        return unit.seen if unit else None

    def _gone(self, name: str) -> None:
        on_node = self.on_node.get(self.home[name], set())
        if name in on_node:
            on_node.discard(name)
            del self.of_job[_uid(name)]


def _uid(name: str) -> str:
    parsed = parse_unit(name)
    assert parsed
    return parsed[0]


class FleetAgent(PlayedAgent):
    """One of very many: looks at its own node only."""

    platform: FleetPlatform

    def __init__(self, name: str, platform: FleetPlatform, clock: VirtualClock) -> None:
        super().__init__(name, platform, clock)
        self.node = f"node-{name}"
        self.status = worker(name, devices=DEVICES, cpus=64_000, memory=512 << 30).status

    def due(self, now: float) -> bool:
        """Whether a lease ends, or something it reported goes on."""
        return any(
            status.state is LeaseState.ENDING
            or (status.state is LeaseState.HELD and status.expires_at <= now)
            for status in self.held.values()
        )

    def report(self) -> NodeReport:
        leases = tuple(LeaseReport(name, status) for name, status in self.held.items())
        return NodeReport(worker=self.name, status=self.status, leases=leases)

    def _stop_strays(self) -> None:
        for unit in list(self.platform.on_node.get(self.node, ())):
            over = unit in self.held and self.held[unit].state is LeaseState.ENDED
            if unit not in self.wanted or over:
                self.platform.stop(unit, 137)
