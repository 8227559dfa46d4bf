"""A controller that is played over a real gRPC server, and an agent that talks with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
from cumulus.api.convert_agent import agent_frame_from_proto, controller_frame_to_proto
from cumulus.api.frames import (
    ControllerFrame,
    Heartbeat,
    LeaseWanted,
    LogAck,
    LogBatch,
    NodeReport,
    NodeUsage,
    UnitRecord,
    Wanted,
)
from cumulus.api.gen.cumulus.v1 import agent_pb2 as pb
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc
from cumulus.chronos_bindings.agent.agent import Agent, Machine
from cumulus.chronos_bindings.agent.clock import SystemClock
from cumulus.chronos_bindings.agent.stream import channel_options
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.crd_like_specs.lease import LeaseSpec, LeaseState
from cumulus.crd_like_specs.worker import Device

from .conftest import digest_of, unit, zipped
from .fakes import FakeClock, FakeFacts, FakePreparer, FakeRuntime

CODE = zipped()


class Controller(agent_pb2_grpc.AgentServicer):
    """Records what an agent says, says what it is told to say, keeps logs as the spool does."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.sessions = 0
        self.metadata: dict[str, Any] = {}
        self.wanted = Wanted()
        self.kept: list[UnitRecord] = []
        self.complete = False
        self.blobs = {digest_of(CODE): CODE}
        self.break_blobs_after = 0
        self.asked: list[tuple[str, int, str]] = []
        self.acking = True
        self.echoing = True
        self.deaf = False  # it speaks, but says to have heard nothing
        self.refuse = ""
        self.news = asyncio.Condition()
        self._out: asyncio.Queue[pb.ControllerMessage | None] = asyncio.Queue()

    async def Connect(  # noqa: N802 (gRPC names methods like this)
        self, requests: Any, context: Any
    ) -> AsyncIterator[pb.ControllerMessage]:
        self.sessions += 1
        if self.refuse:
            async with self.news:
                self.news.notify_all()
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, self.refuse)
        self.metadata = dict(context.invocation_metadata())
        out = self._out = asyncio.Queue()
        reader = asyncio.ensure_future(self._read(requests))
        try:
            self.tell_wanted(self.wanted)
            while (message := await out.get()) is not None:
                yield message
        finally:
            reader.cancel()

    async def GetBlob(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[pb.BlobChunk]:
        self.asked.append((request.digest, request.offset, request.worker))
        data = self.blobs.get(request.digest)
        if data is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "it is not here")
            return
        at = request.offset
        while at < len(data) or at == request.offset:
            if self.break_blobs_after and at - request.offset >= self.break_blobs_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield pb.BlobChunk(data=data[at : at + 100], total=len(data))
            at += 100

    def tell(self, frame: ControllerFrame | pb.ControllerMessage) -> None:
        raw = isinstance(frame, pb.ControllerMessage)
        self._out.put_nowait(frame if raw else controller_frame_to_proto(frame))

    def tell_wanted(self, wanted: Wanted) -> None:
        self.wanted = wanted
        leases = tuple(
            LeaseWanted(
                lease.name,
                lease.spec,
                lease.code_digest,
                lease.requirements,
                lease.args_json,
                lease.image,
                len(self.kept),
            )
            for lease in wanted.leases
        )
        self.tell(Wanted(leases))

    def cut(self) -> None:
        self._out.put_nowait(None)

    def of(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.said if isinstance(frame, kind)]

    def state(self) -> LeaseState | None:
        reports = self.of(NodeReport)
        return reports[-1].leases[0].status.state if reports and reports[-1].leases else None

    async def until(self, true: Callable[[], Any]) -> None:
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(true), 10)

    async def _read(self, requests: Any) -> None:
        async for message in requests:
            frame = agent_frame_from_proto(message)
            self.said.append(frame)
            if isinstance(frame, Heartbeat) and (self.echoing or self.deaf):
                self.tell(Heartbeat(1.0, 0.0 if self.deaf else frame.time))
            if isinstance(frame, LogBatch) and self.acking:
                for record in frame.records:
                    if record.sequence == len(self.kept):
                        self.kept.append(record)
                self.complete = self.complete or frame.total == len(self.kept)
                self.tell(LogAck(frame.unit, len(self.kept)))
            async with self.news:
                self.news.notify_all()


class Place:
    """A controller's server and an agent on a machine in memory, on the real clock."""

    def __init__(self, path: Path, clock: SystemClock | None = None) -> None:
        self.path = path
        self.controller = Controller()
        self.clock = clock or SystemClock()
        self.runtime = FakeRuntime(FakeClock())
        self.partitioner = LedgerPartitioner([0])
        self.looks = 0

    async def use(self) -> NodeUsage:
        """The first look fails, as on a disk that is gone for a moment."""
        self.looks += 1
        if self.looks == 1:
            raise FileNotFoundError(2, "No such file or directory", "data")
        return NodeUsage(1.0, disk_free=self.looks)

    async def open(self, port: int = 0) -> None:
        self.server = grpc.aio.server()
        agent_pb2_grpc.add_AgentServicer_to_server(self.controller, self.server)  # type: ignore[no-untyped-call]
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        await self.server.start()

    def connect(self) -> None:
        target = f"127.0.0.1:{self.port}"
        self.channel = grpc.aio.insecure_channel(target, options=channel_options(target))
        machine = Machine(
            runtime=self.runtime,
            preparer=FakePreparer(FakeClock(), self.path),
            partitioner=self.partitioner,
            facts=FakeFacts(),
            devices=(Device(index=0, name="ledger", type="cpu"),),
            env_of=lambda _devices, _milli: {},
            usage=self.use,
        )
        self.agent = Agent(
            "w",
            machine,
            self.channel,
            self.path,
            self.clock,
            version="9",
            pause_ceiling=0.2,
            metadata=(("authorization", "Bearer secret"),),
        )
        self.running = asyncio.ensure_future(self.agent.run())

    async def close(self) -> None:
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running
        await self.channel.close()
        await self.server.stop(None)

    def wanted(self, **spec: Any) -> Wanted:
        given = {"devices": (0,), "memory_milli": 500, "duration": 600, **spec}
        lease = LeaseSpec(job=f"{1:032x}", job_name="j", attempt=1, worker="w", **given)
        return Wanted((LeaseWanted(unit(), lease, digest_of(CODE)),))


class HastyClock(SystemClock):
    """A hundred seconds a second."""

    def monotonic(self) -> float:
        return super().monotonic() * 100

    async def sleep_until(self, deadline: float) -> None:
        await super().sleep_until(deadline / 100)
