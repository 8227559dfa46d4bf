"""The parts of a simulated world that are not the controller: a harsh platform, played agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from cumulus.api.frames import LeaseReport, LeaseWanted, LogStream, NodeReport, UnitRecord, Wanted
from cumulus.controller.platforms.fake import FakePlatform
from cumulus.controller.reconcile.actions import ServiceSpec
from cumulus.controller.reconcile.observed import ServiceSeen
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.crd_like_specs.lease import LeaseState, LeaseStatus
from make import worker

ENVELOPE = b'{"status": "success", "result": 1}\n'
ERROR = b'{"status": "error", "error": "no", "error_type": "ValueError"}\n'


def output_of(exit_code: int | None) -> tuple[UnitRecord, ...]:
    """All that a unit which ended so has said: a line, and its result."""
    return (
        UnitRecord(0, LogStream.STDOUT, 1.0, b"hello\n"),
        UnitRecord(1, LogStream.RESULT, 1.0, ENVELOPE if exit_code == 0 else ERROR),
    )


class HarshPlatform(FakePlatform):
    """The fake, as harsh as Swarm: a removed service's container runs on until someone stops it,
    and a container whose machine died is gone although its task still says Running.
    """

    def __init__(self, now: Callable[[], float], nodes: Iterable[str]) -> None:
        super().__init__(now, nodes=nodes)
        self.hold_starts = True
        self.lingering: set[str] = set()
        self.dead: set[str] = set()

    async def create(self, service: ServiceSpec) -> None:
        await asyncio.sleep(0)  # others run meanwhile
        await super().create(service)

    async def remove(self, name: str) -> None:
        await asyncio.sleep(0)
        if name in self.alive():
            self.lingering.add(name)
        await super().remove(name)

    def units(self) -> dict[str, ServiceSeen]:
        return {name: unit.seen for name, unit in self._units.items()}

    def alive(self) -> set[str]:
        """Names of attempts whose process really runs."""
        return (self.running - self.dead) | self.lingering

    def stop(self, name: str, exit_code: int) -> None:
        """What an agent or engine does to a container, whatever Swarm knows of it."""
        self.lingering.discard(name)
        if name in self.running and name not in self.dead:
            self.finish(name, exit_code)

    def die(self, node_id: str) -> None:
        """The machine is gone, with all that ran on it."""
        self.dead |= {n for n in self.running if self._units[n].spec.node_id == node_id}
        self.lingering = {n for n in self.lingering if self.homes()[n] != node_id}
        self.node_down(node_id)

    def homes(self) -> dict[str, str]:
        return {spec_.name: spec_.node_id for spec_ in self.created}

    def heal(self) -> None:
        self._faults.clear()


class PlayedAgent:
    """One worker's agent, as the design describes it, without a process."""

    def __init__(self, name: str, platform: HarshPlatform, clock: VirtualClock) -> None:
        self.name = name
        self.platform = platform
        self.clock = clock
        self.specs: dict[str, LeaseWanted] = {}  # of all it ever held
        self.wanted: dict[str, LeaseWanted] = {}
        self.held: dict[str, LeaseStatus] = {}
        self.informed = False

    def receive(self, wanted: Wanted) -> None:
        self.wanted = {lease.name: lease for lease in wanted.leases}
        self.informed = True
        for name, lease in self.wanted.items():
            status = self.held.get(name)
            if status is None or status.state is not LeaseState.HELD:
                continue
            longer = lease.spec.duration - self.specs[name].spec.duration
            if longer > 0:
                self.specs[name] = lease
                ends = {"expires_at": status.expires_at + longer}
                self.held[name] = status.model_copy(update=ends)

    def restart(self) -> None:
        self.wanted, self.held, self.informed = {}, {}, False

    def used(self) -> dict[int, int]:
        """Thousandths held, per device."""
        used: dict[int, int] = {}
        for name, status in self.held.items():
            if status.state in (LeaseState.HELD, LeaseState.ENDING):
                for device in self.specs[name].spec.devices:
                    used[device] = used.get(device, 0) + self.specs[name].spec.memory_milli
        return used

    def step(self) -> None:
        """Enforce ends, drop what is unwanted, take what is wanted and fits."""
        now = self.clock.now()
        for name, status in list(self.held.items()):
            wanted = self.wanted.get(name)
            over = status.expires_at and now >= status.expires_at
            revoked = wanted is not None and wanted.spec.revoked
            if status.state is LeaseState.HELD and (over or revoked):
                self.held[name] = status.model_copy(update={"state": LeaseState.ENDING})
            elif status.state is LeaseState.ENDING:
                self.platform.stop(name, 143)
                self.held[name] = status.model_copy(update={"state": LeaseState.ENDED})
            elif wanted is None and self.informed:
                self.platform.stop(name, 137)
                del self.held[name]
        if self.informed:
            self._stop_strays()
            self._take(now)

    def _stop_strays(self) -> None:
        """What runs here under our label without a lease, as after a restart."""
        homes = self.platform.homes()
        for unit in self.platform.alive():
            over = unit in self.held and self.held[unit].state is LeaseState.ENDED
            if homes[unit] == f"node-{self.name}" and (unit not in self.wanted or over):
                self.platform.stop(unit, 137)

    def _take(self, now: float) -> None:
        used = self.used()
        for name, wanted in self.wanted.items():
            spec_ = wanted.spec
            if name in self.held or spec_.revoked:
                continue
            if any(used.get(d, 0) + spec_.memory_milli > 1000 for d in spec_.devices):
                continue
            self.specs[name] = wanted
            for device in spec_.devices:
                used[device] = used.get(device, 0) + spec_.memory_milli
            self.held[name] = LeaseStatus(
                state=LeaseState.HELD,
                backend="ledger",
                held_at=now,
                expires_at=spec_.not_after or now + spec_.duration,
            )

    def report(self) -> NodeReport:
        return NodeReport(
            worker=self.name,
            status=worker(self.name).status,
            leases=tuple(LeaseReport(name, status) for name, status in self.held.items()),
        )
