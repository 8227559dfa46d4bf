"""What the machine is gets read when it changed and every half minute, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import grpc.aio
from cumulus.chronos_bindings.agent.agent import FACTS_SECONDS, Agent, Machine
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.crd_like_specs.worker import WorkerStatus

from .fakes import FakeClock, FakeFacts, FakePreparer, FakeRuntime, inline_threads, settle


class CountedFacts(FakeFacts):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.changed: asyncio.Queue[None] = asyncio.Queue()

    async def read(self) -> WorkerStatus:
        self.reads += 1
        return await super().read()

    async def changes(self) -> AsyncIterator[None]:
        while True:
            yield await self.changed.get()


async def test_a_change_is_read_once_and_does_not_start_a_loop_of_readings(tmp_path: Path) -> None:
    inline_threads()
    clock, facts = FakeClock(), CountedFacts()
    machine = Machine(
        runtime=FakeRuntime(clock),
        preparer=FakePreparer(clock, tmp_path),
        partitioner=LedgerPartitioner([0]),
        facts=facts,
        devices=(),
        env_of=lambda _devices, _milli: {},
    )
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nobody:
        agent = Agent("w", machine, nobody, tmp_path, clock, version="9", pause_ceiling=0.2)
        running = asyncio.ensure_future(agent.run())
        await settle()
        assert facts.reads == 1

        facts.changed.put_nowait(None)
        await settle()
        assert facts.reads == 2

        await clock.advance(FACTS_SECONDS)
        assert facts.reads == 3

        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
