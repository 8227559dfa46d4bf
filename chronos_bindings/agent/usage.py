"""What this machine's units and devices use now: the frames that `agent` sends. I/O by its parts.

A look costs a few milliseconds: files of the kernel per unit, and one question to NVIDIA's
driver, asked through a process that may hang without harm (`nvml`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, KeysView, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...api.frames import DeviceUsage, NodeUsage, UnitUsage
from .. import rocm
from ..hardware import Card, Hardware
from ..nvml import Gpu, Snapshot
from ..rocm import AmdGpu
from .unit_usage import UnitUse, UnitUses

_REMEMBERED: Final = 1000  # units whose processes are known after their end


@dataclass(frozen=True, slots=True)
class CardUse:
    """One device. used: bytes of all processes, None where unknown; held: bytes by pid (None: of
    unknown size), None where the driver has no list.
    """

    used: int | None = None
    busy_milli: int = -1
    held: Mapping[int, int | None] | None = None


class Cards:
    """What the drivers say of the devices now, by the agent's indexes."""

    def __init__(self, hardware: Hardware) -> None:
        self._cards = hardware.cards
        self._reader = hardware.reader

    @property
    def indexes(self) -> KeysView[int]:
        """Of every device that a driver speaks for, if it is asked."""
        return dict(self._cards).keys()

    def read(self) -> dict[int, CardUse]:
        """Blocks; devices that no driver speaks for are left out."""
        needed = any(isinstance(card, Gpu) for card in self._cards.values())
        told = self._reader.read() if self._reader and needed else Snapshot()
        nvidia = {gpu.uuid: gpu for gpu in told.gpus}
        found = {index: _use(card, nvidia) for index, card in self._cards.items()}
        return {index: use for index, use in found.items() if use is not None}


class Usage:
    """disk: the folder whose free bytes are told. wall: POSIX seconds."""

    def __init__(
        self,
        units: UnitUses,
        cards: Cards,
        disk: Path,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._units = units
        self._cards = cards
        self._disk = disk
        self._wall = wall
        self._pids: OrderedDict[str, frozenset[int]] = OrderedDict()  # of units, ended ones too

    async def read(self) -> NodeUsage:
        """Look once."""
        units = await self._look()
        cards = await asyncio.to_thread(self._cards.read)
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self._disk).free)
        return NodeUsage(
            time=self._wall(),
            disk_free=free,
            units=tuple(_unit(use, cards) for use in sorted(units, key=lambda use: use.unit)),
            devices=tuple(
                DeviceUsage(index, use.used or 0, use.busy_milli)
                for index, use in sorted(cards.items())
            ),
        )

    async def of_unit(self, unit: str) -> int | None:
        """See `ports.DeviceMemory`: the driver frees memory after a process's end, and lists the
        process until then.
        """
        cards = await asyncio.to_thread(self._cards.read)
        if cards.keys() != self._cards.indexes or not cards:
            return None
        await self._look()
        pids = self._pids.get(unit, frozenset())
        total = 0
        for card in cards.values():
            if card.held is None:
                return None
            sizes = [card.held[pid] for pid in pids if pid in card.held]
            if any(size is None for size in sizes):
                return None
            total += sum(size for size in sizes if size is not None)
        return total

    async def _look(self) -> list[UnitUse]:
        units = await self._units.read()
        for use in units:
            self._pids[use.unit] = self._pids.get(use.unit, frozenset()) | frozenset(use.pids)
            self._pids.move_to_end(use.unit)
        while len(self._pids) > _REMEMBERED:
            self._pids.popitem(last=False)
        return units


def _unit(use: UnitUse, cards: Mapping[int, CardUse]) -> UnitUsage:
    held = (card.held.get(pid) for card in cards.values() if card.held for pid in use.pids)
    return UnitUsage(
        unit=use.unit,
        cpu_seconds=use.cpu_seconds,
        memory=use.memory,
        memory_peak=use.memory_peak,
        gpu_memory=sum(size for size in held if size),
    )


def _use(card: Card, nvidia: Mapping[str, Gpu]) -> CardUse | None:
    if isinstance(card, AmdGpu):
        used, busy = rocm.use(card.render)
        return CardUse(used, busy, rocm.processes(card.kfd))
    now = nvidia.get(card.uuid)
    return CardUse(now.used, now.busy_milli, now.processes) if now is not None else None
