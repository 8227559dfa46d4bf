"""A controller's front on real sockets with real certificates: both listeners, joining, identities.

Behind it are the runtime's own parts over a store in memory (`runtime_kit`). TLS goes by the
machine's clock; `now` is that clock and what a test adds to it, for whatever takes a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
import pytest
from cumulus.api import keys
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.convert_agent import agent_frame_to_proto
from cumulus.api.frames import NodeReport
from cumulus.api.gen.cumulus.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    cumulus_pb2_grpc,
    join_pb2,
    join_pb2_grpc,
)
from cumulus.api.joining import JoinToken
from cumulus.api.options import CHANNEL_OPTIONS
from cumulus.api.server import Fleet, GrpcServer, TlsFiles
from cumulus.api.status import from_grpc
from cumulus.controller.platforms.base import WorkerJoin
from cumulus.controller.runtime.service import JobsService
from cumulus.controller.security.authority import Authority
from cumulus.controller.security.identities import Identities
from cumulus.controller.security.joining import Joining, Place
from cumulus.crd_like_specs.errors import CumulusError
from cumulus.crd_like_specs.worker import WorkerStatus
from runtime_kit import Kit

T = TypeVar("T")

ADMIN = "an-admin-token-of-some-length"
NAMES = ("localhost", "127.0.0.1")


class Now:
    """The machine's clock and what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Machine:
    """One machine that may become a worker: its key, and its certificate once it has one."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.key = keys.new_key()
        self.certificate = b""

    @property
    def csr(self) -> bytes:
        return keys.request_pem(self.key, self.worker)


class FleetKit:
    """An async context manager. swarm: what the engine says, None where there is no Swarm."""

    def __init__(self, folder: Path, swarm: WorkerJoin | None = None) -> None:
        self.now = Now()
        self.kit = Kit(folder)
        store = self.kit.store
        self.authority = Authority.open(folder / "pki", self.now())
        self.authority.ensure_server(NAMES, self.now())
        self.identities = Identities(store, self.authority, self.kit.records.workers, self.now)
        self.swarm = swarm
        self.joining = Joining(store, self.authority, self.identities, self._place, self.now)
        file = self.authority.server_file
        self.server = GrpcServer(
            jobs=JobsService(
                self.kit.desired,
                self.kit.views,
                self.kit.streams,
                self.kit.workers,
                self.kit.operations,
            ),
            blobs=self.kit.blobs,
            agents=self.kit.agents,
            listen="127.0.0.1:0",
            tls=TlsFiles(file, file),
            tokens=Tokens({ADMIN: Holder(Role.ADMIN)}),
            fleet=Fleet("127.0.0.1:0", TlsFiles(file, file, self.authority.path), self.identities),
            join=self.joining,
        )
        self._channels: list[grpc.aio.Channel] = []
        self.port = 0

    def _place(self) -> Place:
        return Place(
            agents=f":{self.server.agents_port}",
            controller=f"127.0.0.1:{self.port}",
            platform="swarm" if self.swarm else "process",
            image="sha256:image",
            version="1",
            swarm=self._ask if self.swarm else None,
        )

    async def _ask(self) -> WorkerJoin:
        assert self.swarm
        return self.swarm

    async def __aenter__(self) -> Self:
        self.port = await self.server.start()
        await self.server.set_serving(serving=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()
        self.kit.agents.close()
        await self.server.stop(grace=0.2)
        self.kit.close()

    @property
    def clients(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def agents(self) -> str:
        return f"127.0.0.1:{self.server.agents_port}"

    async def token(self, **wanted: Any) -> JoinToken:
        made = await self.joining.create_token(wanted.get("ttl", 0), wanted.get("worker", ""))
        return JoinToken.parse(made.token)

    async def joined(self, worker: str) -> Machine:
        """A machine with its certificate."""
        machine = Machine(worker)
        token = await self.token()
        machine.certificate = (await self.joining.join(token.text, worker, machine.csr)).certificate
        return machine

    def channel(
        self,
        port: int,
        *,
        trust: bytes | None = None,
        as_: Machine | None = None,
        plain: bool = False,
    ) -> grpc.aio.Channel:
        """Closed with the kit. trust: None for our authority."""
        target = f"127.0.0.1:{port}"
        if plain:
            channel = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        else:
            roots = trust or self.authority.certificate
            own = (keys.key_pem(as_.key), as_.certificate) if as_ else (None, None)
            credentials = grpc.ssl_channel_credentials(roots, *own)
            channel = grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
        self._channels.append(channel)
        return channel

    def agent(self, as_: Machine | None, **how: Any) -> Any:
        """Stub of the agents' service, on the agents' port."""
        channel = self.channel(self.server.agents_port, as_=as_, **how)
        return agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]

    def cumulus(self, **how: Any) -> Any:
        """Stub of the clients' service, on the clients' port."""
        return cumulus_pb2_grpc.CumulusStub(self.channel(self.port, **how))  # type: ignore[no-untyped-call]

    def join(self, **how: Any) -> Any:
        """Stub of Join, on the clients' port."""
        return join_pb2_grpc.JoinStub(self.channel(self.port, **how))  # type: ignore[no-untyped-call]

    async def ask_to_join(self, machine: Machine, token: str) -> join_pb2.JoinResponse:
        request = join_pb2.JoinRequest(worker=machine.worker, csr=machine.csr)
        answer: join_pb2.JoinResponse = await soon(
            self.join().Join(request, metadata=bearer(token))
        )
        return answer

    async def connect(self, as_: Machine, *, worker: str = "", node_id: str = "") -> Any:
        """An open stream, past its first answer; raises what reading it raises."""
        call = self.agent(as_).Connect()
        await call.write(state(worker or as_.worker, node_id))
        await soon(call.read())
        return call


def state(worker: str, node_id: str = "") -> agent_pb2.AgentMessage:
    """The first message of an agent."""
    return agent_frame_to_proto(NodeReport(worker, WorkerStatus(node_id=node_id)))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def soon(awaitable: Awaitable[T]) -> T:
    """Its value, or a failure instead of a test that hangs."""
    return await asyncio.wait_for(awaitable, 10)


async def error_of(call: Awaitable[Any]) -> CumulusError:
    """The error that a client of ours makes of this call's failure."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(call)
    return from_grpc(caught.value)
