"""A LocalRuntime in memory, held to the same suite as the real ones (test_local_runtimes.py)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace

from cumulus.chronos_bindings.agent.ports import RawFrame, UnitSeen
from cumulus.crd_like_specs.errors import NotFoundError, Temporary
from cumulus.crd_like_specs.identity import parse_unit


@dataclass
class FakeUnit:
    seen: UnitSeen
    frames: list[RawFrame] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    ignores: frozenset[int] = frozenset()


class FakeLocalRuntime:
    """Tests start units and write their output; `ignores` are signals a unit survives."""

    def __init__(self) -> None:
        self.units: dict[str, FakeUnit] = {}
        self.removed: set[str] = set()
        self._changed = asyncio.Event()
        self._watchers: list[asyncio.Queue[str]] = []
        self._errors: dict[str, list[Exception]] = {}

    def fail_next(self, verb: str, error: Exception) -> None:
        self._errors.setdefault(verb, []).append(error)

    def start(self, name: str, *, ignores: frozenset[int] = frozenset(), now: float = 1.0) -> None:
        seen = UnitSeen(name, running=True, started_at=now, is_code=True)
        self.units[name] = FakeUnit(seen, ignores=ignores)
        self._tell(name)

    def write(self, name: str, data: bytes, stream: str = "stdout", now: float = 1.0) -> None:
        kind = "stderr" if stream == "stderr" else "stdout"
        self.units[name].frames.append(RawFrame(kind, now, data))
        self._wake()

    def end(self, name: str, exit_code: int, now: float = 2.0) -> None:
        unit = self.units[name]
        unit.seen = replace(unit.seen, running=False, exit_code=exit_code, finished_at=now)
        self._tell(name)

    def remove(self, name: str) -> None:
        del self.units[name]
        self.removed.add(name)
        self._tell(name)

    async def list_units(self) -> list[UnitSeen]:
        self._fail("list_units")
        return [unit.seen for unit in self.units.values()]

    async def signal(self, unit: str, signum: int) -> None:
        self._fail("signal")
        found = self.units.get(unit)
        if found is None or not found.seen.running:
            return
        found.signals.append(signum)
        if signum in found.ignores:
            return
        if signum == signal.SIGKILL:
            self.end(unit, 137)
        elif signum == signal.SIGTERM:
            self.end(unit, 143)

    async def kill(self, unit: str) -> None:
        self._fail("kill")
        await self.signal(unit, signal.SIGKILL)

    async def ensure_gone(self, unit: str) -> bool:
        self._fail("ensure_gone")
        return unit not in self.units or not self.units[unit].seen.running

    async def tidy(self, kept: Collection[str]) -> None:
        self._fail("tidy")
        assert all(map(parse_unit, kept))

    async def logs(self, unit: str) -> AsyncIterator[RawFrame]:
        position = 0
        while True:
            self._fail("logs")
            if unit not in self.units:
                if unit in self.removed:
                    raise NotFoundError(f"{unit} was removed")
                raise Temporary(f"{unit} was not started yet", reason="NotStarted")
            found = self.units[unit]
            for frame in found.frames[position:]:
                position += 1
                yield frame
            if position == len(found.frames):
                if not found.seen.running:
                    return
                await self._changed.wait()

    async def changes(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)

    async def close(self) -> None:
        pass

    def _tell(self, name: str) -> None:
        for queue in self._watchers:
            queue.put_nowait(name)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _fail(self, verb: str) -> None:
        if self._errors.get(verb):
            raise self._errors[verb].pop(0)
