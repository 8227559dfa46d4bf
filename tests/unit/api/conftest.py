"""A real grpc.aio server on a free loopback port over the in-memory ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Self, TypeVar

import grpc.aio
import pytest
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc, cumulus_pb2_grpc
from cumulus.api.options import CHANNEL_OPTIONS
from cumulus.api.server import GrpcServer
from cumulus.api.status import from_grpc
from cumulus.crd_like_specs.errors import CumulusError

from .fakes import FakeAgents, FakeBlobs, FakeJobs

T = TypeVar("T")


class World:
    """Fakes, the server over them, stubs of a client beside it."""

    def __init__(self, **server: Any) -> None:
        self.jobs, self.blobs, self.agents = FakeJobs(), FakeBlobs(), FakeAgents()
        self._options: dict[str, Any] = {"listen": "127.0.0.1:0", **server}

    async def __aenter__(self) -> Self:
        self.server = GrpcServer(
            jobs=self.jobs, blobs=self.blobs, agents=self.agents, **self._options
        )
        self.port = await self.server.start()
        await self.server.set_serving(serving=True)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=CHANNEL_OPTIONS)
        self.cumulus: Any = cumulus_pb2_grpc.CumulusStub(self.channel)
        self.agent: Any = agent_pb2_grpc.AgentStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.2)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as one:
        yield one


async def soon(awaitable: Awaitable[T]) -> T:
    """Its value, or a failure instead of a test that hangs."""
    return await asyncio.wait_for(awaitable, 5)


async def error_of(call: Awaitable[Any]) -> CumulusError:
    """The error that a client of ours makes of this call's failure."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(call)
    return from_grpc(caught.value)


async def read_all(call: Any) -> list[Any]:
    """Every message of a stream up to its end."""

    async def read() -> list[Any]:
        return [message async for message in call]

    return await soon(read())
