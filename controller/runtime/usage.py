"""What workers said they use, newest only; in memory. On the event loop.

Fed by agents' sessions; read by the API's Usage and by `/metrics`. A look is told as a rate by the
one before it, so that two are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...api.frames import JobUse, NodeUsage, WorkerUse
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.identity import parse_unit
from .records import Records

STALE: Final = 30.0
"""Seconds after which a look says nothing any more (an agent looks every five)."""


@dataclass(frozen=True, slots=True)
class Look:
    """at: POSIX seconds of this machine when it came; earlier: cpu seconds by unit, and when, of
    the one before.
    """

    usage: NodeUsage
    at: float
    earlier: dict[str, float]
    earlier_time: float

    def cpus(self, unit: str, cpu_seconds: float) -> float:
        """Cores in use between the two looks; -1 where it was not there before."""
        before, passed = self.earlier.get(unit), self.usage.time - self.earlier_time
        if before is None or passed <= 0:
            return -1.0
        return max(0.0, cpu_seconds - before) / passed


class Usage:
    """See the module docstring."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}

    def put(self, worker: str, usage: NodeUsage, now: float) -> None:
        """What the worker uses now."""
        before = self._looks.get(worker)
        earlier = {u.unit: u.cpu_seconds for u in before.usage.units} if before else {}
        self._looks[worker] = Look(usage, now, earlier, before.usage.time if before else 0.0)

    def forget(self, worker: str) -> None:
        """It is out of contact."""
        self._looks.pop(worker, None)

    def looks(self, now: float) -> dict[str, Look]:
        """By worker, of those heard of lately."""
        return {name: look for name, look in self._looks.items() if now - look.at < STALE}

    def shown(
        self, records: Records, now: float, worker: str = "", viewer: Viewer = EVERYTHING
    ) -> tuple[WorkerUse, ...]:
        """For people; worker "": all, by name. Of jobs only those that the viewer sees."""
        return tuple(
            WorkerUse(
                worker=name,
                seen_at=look.at,
                disk_free=look.usage.disk_free,
                jobs=_jobs(look, records, viewer),
                devices=look.usage.devices,
            )
            for name, look in sorted(self.looks(now).items())
            if worker in ("", name)
        )


def _jobs(look: Look, records: Records, viewer: Viewer) -> tuple[JobUse, ...]:
    """Units whose lease is on record: others are ending, or another controller's."""
    found = []
    for unit in look.usage.units:
        lease, parsed = records.leases.get(unit.unit), parse_unit(unit.unit)
        if lease is None or parsed is None or not viewer.sees(lease.metadata):
            continue
        found.append(
            JobUse(
                unit=unit.unit,
                job=lease.spec.job_name,
                attempt=parsed[1],
                cpus=look.cpus(unit.unit, unit.cpu_seconds),
                cpu_seconds=unit.cpu_seconds,
                memory=unit.memory,
                memory_peak=unit.memory_peak,
                gpu_memory=unit.gpu_memory,
            )
        )
    return tuple(found)
