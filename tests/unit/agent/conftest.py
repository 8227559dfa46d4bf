"""One worker without a controller: the keeper over a machine in memory and a clock moved by hand."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import LeaseWanted, Wanted
from cumulus.chronos_bindings.agent.blob_cache import BlobCache
from cumulus.chronos_bindings.agent.checkpoint_port import Keeping, NothingKept
from cumulus.chronos_bindings.agent.deadlines import Deadlines
from cumulus.chronos_bindings.agent.keeper import Keeper
from cumulus.chronos_bindings.agent.lease_task import Tools
from cumulus.chronos_bindings.agent.shares import Shares
from cumulus.chronos_bindings.agent.staging import Staging
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.lease import LeaseSpec, LeaseState

from .fakes import (
    FakeBlobs,
    FakeClock,
    FakeMemory,
    FakePreparer,
    FakeRuntime,
    inline_threads,
    settle,
)


def unit(number: int = 1) -> str:
    return unit_name(f"{number:032x}", 1)


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (files or {"main.py": "def main(): return 1"}).items():
            archive.writestr(name.replace("__", "."), text)
    return out.getvalue()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Rebirths(LedgerPartitioner):
    """A ledger that can lose everything at once, as Chronos's child does."""

    epoch = 0

    def die(self) -> None:
        self.close()
        self.epoch += 1


class World:
    def __init__(self, tmp_path: Path) -> None:
        inline_threads()
        self.path = tmp_path
        self.clock = FakeClock()
        self.runtime = FakeRuntime(self.clock)
        self.blobs = FakeBlobs()
        self.env = tmp_path / "env"
        self.env.mkdir(exist_ok=True)
        self.preparer = FakePreparer(self.clock, self.env)
        self.code = zipped()
        self.blobs.blobs[digest_of(self.code)] = self.code
        self.said: dict[str, str] = {}
        self.memory = FakeMemory()
        self._tasks: list[asyncio.Task[Any]] = []

    async def boot(self, boot: str = "b1") -> None:
        """A new agent on the same machine and folder."""
        self.partitioner = Rebirths([0, 1], now=self.clock.monotonic)
        self.staging, checkpoints = self.make_staging()
        self.reports = 0
        self.listed = 0
        self.keeper = Keeper(
            Tools(
                self.runtime,
                self.staging,
                self.preparer,
                Shares(self.partitioner),
                self.clock,
                lambda devices, milli: {"SHARE": f"{len(devices)}x{milli}"},
                self.said.__setitem__,
                memory=self.memory,
                checkpoints=checkpoints,
            ),
            Deadlines(self.path / "deadlines.json", self.clock, boot=boot),
            changed=self._changed,
            listed=self._listed,
        )
        await self.keeper.start()
        self._tasks = [
            asyncio.ensure_future(self.keeper.watch()),
            asyncio.ensure_future(self._hints()),
            *(asyncio.ensure_future(work) for work in self.also()),
        ]
        await settle()

    def make_staging(self) -> tuple[Staging, Keeping]:
        blobs = BlobCache(self.path / "blobs", self.blobs)
        return Staging(self.path / "staging", blobs), NothingKept()

    def also(self) -> list[Coroutine[Any, Any, None]]:
        """What else the agent does by itself."""
        return []

    async def crash(self) -> None:
        """The agent is gone; units and files stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.stop()
        self.partitioner.close()

    async def tell(self, *leases: LeaseWanted) -> None:
        """The controller, in contact, wants exactly these."""
        self.keeper.set_wanted(Wanted(leases))
        self.keeper.set_contact(contact=True)
        self.keeper.set_heard(self.clock.monotonic())
        await settle()

    async def heard(self, seconds: float) -> None:
        """Time goes by, in contact."""
        for _ in range(round(seconds)):
            await self.clock.advance(1)
            self.keeper.set_heard(self.clock.monotonic())
        await settle()

    async def lose_contact(self) -> None:
        self.keeper.set_contact(contact=False)
        await settle()

    def lease(self, number: int = 1, **spec: Any) -> LeaseWanted:
        given = {
            "job": f"{number:032x}",
            "job_name": f"job-{number}",
            "attempt": 1,
            "worker": "w",
            "devices": (0,),
            "memory_milli": 500,
            "duration": 100,
            **{k: v for k, v in spec.items() if k in LeaseSpec.model_fields},
        }
        rest = {k: v for k, v in spec.items() if k not in LeaseSpec.model_fields}
        return LeaseWanted(
            unit(number),
            LeaseSpec(**given),
            **{"code_digest": digest_of(self.code), "args_json": "[1]", "image": "img", **rest},
        )

    def status(self, number: int = 1) -> Any:
        return {r.name: r.status for r in self.keeper.reports()}.get(unit(number))

    def state(self, number: int = 1) -> LeaseState | None:
        status = self.status(number)
        return status.state if status else None

    def since(self, start: float, *verbs: str) -> list[tuple[Any, ...]]:
        """What the runtime was asked: (seconds since start, verb, …) without the unit's name."""
        return [
            (round(at - start, 3), verb, *more)
            for at, verb, _, *more in self.runtime.did
            if not verbs or verb in verbs
        ]

    def held_milli(self, device: int = 0) -> int:
        return 1000 - self.partitioner.available(device)

    def _changed(self, _urgent: bool) -> None:
        self.reports += 1

    def _listed(self) -> None:
        self.listed += 1

    async def _hints(self) -> None:
        async for name in self.runtime.changes():
            self.keeper.look(name)
            await self.keeper.refresh_units()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    await one.boot()
    yield one
    await one.crash()
