"""A dataset from the controller's disk through the real server into a worker's cache."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cumulus.api.gen.cumulus.v1 import agent_pb2 as pb
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc
from cumulus.api.server import GrpcServer
from cumulus.chronos_bindings.agent.dataset_cache import DatasetCache
from cumulus.chronos_bindings.agent.dataset_client import GrpcDatasets
from cumulus.chronos_bindings.agent.dataset_folder import DatasetFolder
from cumulus.controller.runtime.dataset_gate import DatasetGate
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.job_datasets import DatasetMount
from make import UID, job, lease
from runtime_kit import Kit

NOISE = os.urandom(3 << 20)
UNIT = unit_name(UID, 1)


class Held:
    """Bytes by digest; `breaks_at` ends the next reading there, `asked` are the offsets."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.breaks_at = 0
        self.asked: list[int] = []

    def size(self, digest: str) -> int | None:
        return len(self.contents[digest]) if digest in self.contents else None

    async def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        self.asked.append(offset)
        data, broken = self.contents[digest], self.breaks_at
        self.breaks_at = 0
        for start in range(offset, broken or len(data), 1 << 18):
            yield data[start : start + (1 << 18)]
        if broken:
            raise OSError("the disk went away")


class Both:
    """The controller's end, and the caches of two workers."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.held = Held()
        self.folder = folder
        jobs: Any = None  # nothing here asks for them
        self.server = GrpcServer(
            jobs=jobs,
            blobs=kit.blobs,
            agents=kit.agents,
            dataset_files=DatasetGate(kit.records, self.held),
            listen="127.0.0.1:0",
        )

    async def start(self) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{await self.server.start()}")
        self.stub: Any = agent_pb2_grpc.AgentStub(self.channel)
        self.mine, self.other = self.cache("n1"), self.cache("n2")

    def cache(self, worker: str) -> DatasetCache:
        source = GrpcDatasets(self.channel, worker)
        folder = DatasetFolder(self.folder / worker)
        return DatasetCache(folder, source, limit=1 << 30, spare=0)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.1)


@cache
def photos() -> tuple[DatasetMount, bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("deep/noise")
        info.size = len(NOISE)
        archive.addfile(info, io.BytesIO(NOISE))
    data = out.getvalue()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    known = {"size": len(data), "extracted": len(NOISE), "format": "tar.gz"}
    return DatasetMount(name="photos", digest=digest, **known), data


@pytest.fixture
async def both(kit: Kit, tmp_path: Path) -> AsyncIterator[Both]:
    two = Both(kit, tmp_path)
    await two.start()
    mount, data = photos()
    two.held.contents[mount.digest] = data
    await kit.records.put_job(job(Phase.LEASING, datasets=(mount,)), 0)
    await kit.records.put_lease(lease())
    yield two
    await two.stop()


async def test_it_comes_whole_and_once(both: Both, kit: Kit) -> None:
    (wanted,) = kit.agents.wanted("n1").leases
    (mount,) = wanted.datasets
    path = await both.mine.get(UNIT, mount)
    assert (path / "deep" / "noise").read_bytes() == NOISE
    assert await both.mine.get(unit_name(UID, 2), mount) == path
    assert both.held.asked == [0]


async def test_a_break_costs_only_what_was_on_its_way(both: Both) -> None:
    mount, _ = photos()
    both.held.breaks_at = 2 << 20
    path = await both.mine.get(UNIT, mount)
    assert (path / "deep" / "noise").read_bytes() == NOISE
    assert both.held.asked == [0, 2 << 20]


async def test_what_comes_damaged_is_fetched_anew(both: Both) -> None:
    mount, data = photos()
    part = both.folder / "n1" / "incoming" / f"{mount.digest.removeprefix('sha256:')}.part"
    part.write_bytes(b"x" * 1000)
    path = await both.mine.get(UNIT, mount)
    assert (path / "deep" / "noise").read_bytes() == NOISE
    assert both.held.asked == [1000, 0]
    assert len(data) > 1000


async def test_who_may_not_read_it_is_told(both: Both, kit: Kit) -> None:
    mount, _ = photos()
    with pytest.raises(Temporary, match=f"dataset photos: .*{UNIT} is not wanted on worker n2"):
        await both.other.get(UNIT, mount)
    request = pb.GetBlobRequest(digest=f"sha256:{'0' * 64}", worker="n1", unit=UNIT)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await both.stub.GetDataset(request).read()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    both.held.contents.clear()
    with pytest.raises(Permanent, match=r"dataset photos: .*is not here any more"):
        await both.mine.get(UNIT, mount)
    await kit.records.put_lease(lease(released=True))
    with pytest.raises(Temporary, match="is not wanted on worker n1"):
        await both.mine.get(UNIT, mount)
