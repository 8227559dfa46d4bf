"""A clock that is moved by hand, and a machine in memory: what the agent's core is tested on."""

from __future__ import annotations

import asyncio
import heapq
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

from cumulus.chronos_bindings.agent.ports import RawFrame, UnitSeen
from cumulus.crd_like_specs.errors import DriverError, NotFoundError, Temporary
from cumulus.crd_like_specs.worker import WorkerStatus

TERM, USR1 = int(signal.SIGTERM), int(signal.SIGUSR1)


async def settle(rounds: int = 150) -> None:
    """Let everything that can go on go on; nothing here waits for real time or threads."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def inline_threads() -> None:
    """Work for threads is done at once, so that `settle` settles it too."""
    loop = asyncio.get_running_loop()

    def at_once(_executor: Any, work: Any, *args: Any) -> asyncio.Future[Any]:
        done = loop.create_future()
        try:
            done.set_result(work(*args))
        except Exception as e:  # noqa: BLE001 (a future carries it to whoever waits)
            done.set_exception(e)
        return done

    loop.run_in_executor = at_once  # type: ignore[method-assign]


class FakeClock:
    """Monotonic and wall seconds, moved by `advance` from timer to timer."""

    def __init__(self, mono: float = 5000.0, wall: float = 1_000_000.0) -> None:
        self._mono, self._offset = mono, wall - mono
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self._mono

    def wall(self) -> float:
        return self._mono + self._offset

    def step_wall(self, seconds: float) -> None:
        self._offset += seconds

    async def sleep_until(self, deadline: float) -> None:
        if deadline <= self._mono:
            await asyncio.sleep(0)
            return
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (deadline, self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        await settle()
        end = self._mono + seconds
        while self._timers and self._timers[0][0] <= end:
            deadline, _, future = heapq.heappop(self._timers)
            if future.done():
                continue
            self._mono = max(self._mono, deadline)
            future.set_result(None)
            await settle()
        self._mono = end
        await settle()


class FakeUnit:
    def __init__(self, started_at: float) -> None:
        self.running = True
        self.started_at = started_at
        self.exit_code: int | None = None
        self.frames: list[RawFrame] = []
        self.folder = ""


class FakeMemory:
    """What devices hold of units, in bytes; None where nobody can tell. `asked` counts."""

    def __init__(self) -> None:
        self.held: dict[str, int | None] = {}
        self.asked: list[str] = []

    async def of_unit(self, unit: str) -> int | None:
        self.asked.append(unit)
        return self.held.get(unit, 0)


class FakeRuntime:
    """Units that start and end as told. `did` lists (seconds, verb, unit, …) of what was asked.

    obeys: seconds from SIGTERM to the end of a unit, None: it ignores the signal.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.units: dict[str, FakeUnit] = {}
        self.left: set[str] = set()  # units that left something on the machine
        self.did: list[tuple[Any, ...]] = []
        self.obeys: float | None = None
        self.immortal = False
        self.mute = False
        self._fail: defaultdict[str, list[DriverError]] = defaultdict(list)
        self._hints: asyncio.Queue[str] = asyncio.Queue()
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.readings = 0

    def fail_next(self, verb: str, *errors: DriverError) -> None:
        self._fail[verb] += errors

    def start(self, unit: str) -> None:
        self.units[unit] = FakeUnit(self.clock.wall())
        self._changed(unit)

    def end(self, unit: str, code: int = 0) -> None:
        if self.units[unit].running:
            self.units[unit].running, self.units[unit].exit_code = False, code
            self._changed(unit)

    def write(self, unit: str, *frames: RawFrame) -> None:
        self.units[unit].frames += frames
        self._news[unit].set()

    def running(self) -> set[str]:
        return {name for name, unit in self.units.items() if unit.running}

    def verbs(self, *wanted: str) -> list[tuple[Any, ...]]:
        return [entry for entry in self.did if not wanted or entry[1] in wanted]

    async def list_units(self) -> list[UnitSeen]:
        self._maybe_fail("list")
        return [
            UnitSeen(name, unit.running, unit.exit_code, unit.started_at, folder=unit.folder)
            for name, unit in self.units.items()
        ]

    async def signal(self, unit: str, signum: int) -> None:
        self._note("signal", unit, signum)
        if unit in self.units and signum == TERM and self.obeys is not None:
            self._later = asyncio.ensure_future(self._end_later(unit, self.obeys))

    async def kill(self, unit: str) -> None:
        self._note("kill", unit)
        if unit in self.units and not self.immortal:
            self.end(unit, 137)

    async def ensure_gone(self, unit: str) -> bool:
        self._note("verify", unit)
        return unit not in self.running()

    async def tidy(self, kept: Collection[str]) -> None:
        self._maybe_fail("tidy")
        self.left -= {name for name in self.left if name not in kept}

    async def logs(self, unit: str) -> AsyncIterator[RawFrame]:
        self.readings += 1
        at = 0
        while True:
            if unit not in self.units:
                if at:
                    raise NotFoundError(f"{unit} was removed")
                raise Temporary(f"{unit} has not started")
            for frame in self.units[unit].frames[at:]:
                self._maybe_fail("logs")
                at += 1
                yield frame
            if at == len(self.units[unit].frames):
                if not self.units[unit].running:
                    return
                self._news[unit].clear()
                await self._news[unit].wait()

    async def changes(self) -> AsyncIterator[str]:
        while True:
            yield await self._hints.get()

    async def close(self) -> None:
        pass

    async def _end_later(self, unit: str, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.monotonic() + seconds)
        self.end(unit, 143)

    def _changed(self, unit: str) -> None:
        self._news[unit].set()
        if not self.mute:
            self._hints.put_nowait(unit)

    def _note(self, verb: str, unit: str, *more: Any) -> None:
        self.did.append((self.clock.monotonic(), verb, unit, *more))
        self._maybe_fail(verb)

    def _maybe_fail(self, verb: str) -> None:
        if self._fail[verb]:
            raise self._fail[verb].pop(0)


class FakePreparer:
    """Gives the folder it was told to give, after as many seconds as it was told."""

    def __init__(self, clock: FakeClock, env: Path) -> None:
        self.clock, self.env = clock, env
        self.seconds = 0.0
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.cancelled = 0
        self.errors: list[DriverError] = []

    async def prepare(self, image: str, requirements: tuple[str, ...]) -> Path | None:
        self.asked.append((image, requirements))
        if self.errors:
            raise self.errors.pop(0)
        try:
            await self.clock.sleep_until(self.clock.monotonic() + self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.env


class FakeBlobs:
    """Blobs by digest; `fetched` counts."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.errors: list[DriverError] = []

    async def fetch(self, digest: str, dest: Path) -> None:
        self.fetched.append(digest)
        if self.errors:
            raise self.errors.pop(0)
        dest.write_bytes(self.blobs[digest])


class FakeFacts:
    """A machine with two cores."""

    def __init__(self) -> None:
        self.errors: list[DriverError] = []

    async def read(self) -> WorkerStatus:
        if self.errors:
            raise self.errors.pop(0)
        return WorkerStatus(node_id="node", platform="process", cpus=2000, memory=4 << 30)

    async def labels(self) -> dict[str, str]:
        return {"zone": "here"}

    async def changes(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield
