"""What an attempt left, from the agent's client through the real server to the disk, and back."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cumulus.api.gen.cumulus.v1 import agent_pb2 as pb
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc
from cumulus.api.server import GrpcServer
from cumulus.chronos_bindings.agent.artifact_client import GrpcArtifacts
from cumulus.controller.runtime.artifact_gate import ArtifactGate
from cumulus.controller.runtime.left import Left
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, lease
from runtime_kit import Kit

DATA = bytes(range(256)) * 10_000  # several messages
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
UNIT, NEXT = unit_name(UID, 1), unit_name(UID, 2)


class Both:
    """The agents' ends of `workers`, and the controller's."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.left = Left(folder)
        self.artifacts = self.left.checkpoints
        jobs: Any = None  # nothing here asks for them
        self.server = GrpcServer(
            jobs=jobs,
            blobs=kit.blobs,
            agents=kit.agents,
            artifacts=ArtifactGate(kit.records, self.left),
            listen="127.0.0.1:0",
        )
        self.file = folder / "left"
        self.file.write_bytes(DATA)

    async def start(self) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{await self.server.start()}")
        self.stub: Any = agent_pb2_grpc.AgentStub(self.channel)
        self.mine, self.other = (GrpcArtifacts(self.channel, name) for name in ("n1", "n2"))

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.1)


@pytest.fixture
async def both(kit: Kit, tmp_path: Path) -> AsyncIterator[Both]:
    two = Both(kit, tmp_path)
    await two.start()
    await kit.records.put_lease(lease(LeaseState.SAVING, checkpoint_size=8 << 20, released=True))
    yield two
    await two.stop()


async def test_there_and_back(both: Both, tmp_path: Path) -> None:
    arrived: list[int] = []
    await both.mine.send(UNIT, DIGEST, both.file, arrived.append)
    assert both.artifacts.size(UID, DIGEST) == len(DATA)
    assert (arrived[0], arrived[-1]) == (0, len(DATA))
    await both.mine.send(UNIT, DIGEST, both.file, arrived.append)
    assert arrived[-1] == len(DATA), "what is there is not sent again"
    await both.kit.records.put_lease(lease(attempt=2, worker="n2", checkpoint=DIGEST))
    await both.other.fetch(NEXT, DIGEST, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == DATA


async def test_a_broken_upload_goes_on_where_it_was(both: Both) -> None:
    async def part() -> AsyncIterator[pb.PutArtifactRequest]:
        wanted = pb.FindArtifactRequest(worker="n1", unit=UNIT, digest=DIGEST, size=len(DATA))
        yield pb.PutArtifactRequest(start=pb.PutArtifactRequest.Start(artifact=wanted))
        yield pb.PutArtifactRequest(data=DATA[:1000])

    answer = await both.stub.PutArtifact(part())
    assert (answer.size, answer.complete) == (1000, False)
    arrived: list[int] = []
    await both.mine.send(UNIT, DIGEST, both.file, arrived.append)
    assert arrived[0] == 1000
    assert both.artifacts.size(UID, DIGEST) == len(DATA)


async def test_who_may_not_is_told_once(both: Both, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="is not on worker n2"):
        await both.other.send(UNIT, DIGEST, both.file)
    with pytest.raises(Permanent, match="is over"):
        await both.mine.send(NEXT, DIGEST, both.file)
    with pytest.raises(Temporary, match="is not wanted on worker n1"):
        await both.mine.fetch(UNIT, DIGEST, tmp_path / "here")


async def test_what_was_damaged_on_its_way_is_not_kept(both: Both) -> None:
    both.file.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(Permanent, match="were announced"):
        await both.mine.send(UNIT, DIGEST, both.file)
    both.file.write_bytes(DATA)
    await both.mine.send(UNIT, DIGEST, both.file)
    assert both.artifacts.size(UID, DIGEST) == len(DATA)
