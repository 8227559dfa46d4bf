"""Workers with their devices and conditions, and the numbers at the top of the page. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ....crd_like_specs.meta import Condition
from ....crd_like_specs.units import format_cpus, show_bytes
from ....crd_like_specs.worker import Worker
from ...frames import DeviceUsage, WorkerUse
from ...overview import Board, WorkerNow
from .words import percent

WHOLE = 1000


@dataclass(frozen=True, slots=True)
class DeviceCell:
    """One device. used: percent set aside; memory, in_use: bytes as words, "" where unknown; busy:
    percent, -1 where unknown.
    """

    index: int
    name: str
    type: str
    memory: str
    used: int
    in_use: str
    busy: int
    enforcement: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker. words: Ready or NotReady, and what an operator wants; tone: good, wait or bad;
    note: why it takes no jobs; conditions: those that say anything unusual; until: end of the
    rental, 0.0 for none. Its age is not here: a silent worker is not ready.
    """

    id: str
    sort: str
    name: str
    words: str
    tone: str
    note: str
    cpus: str
    memory: str
    free_disk: str
    partitioner: str
    until: float
    devices: tuple[DeviceCell, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Tiles:
    """The numbers at the top. used, total: thousandths of devices; hidden: workers that the page has
    no room for, and that are in none of these numbers.
    """

    running: int
    waiting: int
    used: int
    total: int
    ready: int
    workers: int
    hidden: int = 0

    @property
    def percent(self) -> int:
        """Of all devices, what is set aside."""
        return percent(self.used, self.total)

    @property
    def devices_used(self) -> str:
        """`3.5`, in whole devices."""
        return f"{self.used / WHOLE:g}"

    @property
    def devices_total(self) -> str:
        """See `devices_used`."""
        return f"{self.total / WHOLE:g}"


def tiles(board: Board) -> Tiles:
    """The numbers of the page."""
    free = [milli for one in board.workers for milli in one.free.values()]
    return Tiles(
        running=board.running,
        waiting=board.waiting,
        used=sum(WHOLE - milli for milli in free),
        total=WHOLE * len(free),
        ready=sum(is_ready(one.worker) for one in board.workers),
        workers=len(board.workers),
        hidden=board.hidden,
    )


def is_ready(worker: Worker) -> bool:
    """Whether its condition says so."""
    ready = worker.status.condition("Ready")
    return ready is not None and ready.status


def worker_row(one: WorkerNow) -> WorkerRow:
    """The row of a worker."""
    worker, use = one.worker, one.use
    name, status = worker.metadata.name, worker.status
    ready = status.condition("Ready")
    closed = worker.spec.cordoned or worker.spec.drain or worker.spec.fenced
    tone = "bad" if not is_ready(worker) else "wait" if closed else "good"
    known = {device.index: device for device in use.devices} if use else {}
    return WorkerRow(
        id=f"worker-{name}",
        sort=name,
        name=name,
        words=worker_words(worker),
        tone=tone,
        note=ready.message if ready is not None and not ready.status else "",
        cpus=format_cpus(status.cpus) if status.cpus else "",
        memory=show_bytes(status.memory) if status.memory else "",
        free_disk=_rounded(use),
        partitioner=status.partitioner,
        until=worker.spec.available_until or 0.0,
        devices=tuple(
            DeviceCell(
                index=device.index,
                name=device.name,
                type=device.type,
                memory=show_bytes(device.memory) if device.memory else "",
                used=percent(WHOLE - one.free.get(device.index, WHOLE), WHOLE),
                in_use=_in_use(known.get(device.index)),
                busy=_busy(known.get(device.index)),
                enforcement=device.enforcement,
                reason=device.reason,
            )
            for device in status.devices
        ),
        conditions=tuple(c for c in status.conditions if c.message or not c.status),
    )


def worker_words(worker: Worker) -> str:
    """`Ready`, `NotReady, Fenced`, `Ready, Draining`, …"""
    ready = worker.status.condition("Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.status else "NotReady"]
    if worker.spec.fenced:
        words.append("Fenced")
    if worker.spec.drain:
        words.append("Draining")
    elif worker.spec.cordoned:
        words.append("Cordoned")
    return ", ".join(words)


def _in_use(device: DeviceUsage | None) -> str:
    return show_bytes(device.memory_used) if device else ""


def _busy(device: DeviceUsage | None) -> int:
    return -1 if device is None or device.utilization_milli < 0 else device.utilization_milli // 10


def _rounded(use: WorkerUse | None) -> str:
    """To whole gibibytes: a busy disk must not be news each second."""
    return show_bytes(use.disk_free >> 30 << 30) if use and use.disk_free >> 30 else ""
