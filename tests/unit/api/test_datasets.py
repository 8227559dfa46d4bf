"""Datasets on the wire: frames in their order, what of them is checked, and both ways of each value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cumulus.api import convert_datasets as convert
from cumulus.api.datasets import DatasetUpload, DatasetWanted, ImportProgress, ImportWanted
from cumulus.api.gen.cumulus.v1 import datasets_pb2 as pb
from cumulus.api.gen.cumulus.v1 import datasets_pb2_grpc
from cumulus.api.server import GrpcServer
from cumulus.api.status import from_grpc
from cumulus.controller.runtime.dataset_upkeep import DatasetGauges
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.archives.entries import Format
from cumulus.crd_like_specs.dataset import Dataset
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from dataset_kit import DatasetKit, digest, put
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from runtime_kit import Kit

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
sizes = st.integers(0, (1 << 63) - 1)
forms = st.none() | st.sampled_from(Format)
DATASET = Dataset.model_validate(
    {"metadata": {"name": "a"}, "spec": {"digest": digest(b"a"), "size": 1}}
)


@given(
    st.builds(
        DatasetWanted,
        name=texts,
        digest=texts,
        size=st.none() | sizes,
        filename=texts,
        format=forms,
        pinned=st.booleans(),
        replace=st.booleans(),
    )
)
def test_what_is_wanted_comes_back_equal(wanted: DatasetWanted) -> None:
    sent = convert.wanted_to_proto(wanted).SerializeToString()
    assert convert.wanted_from_proto(pb.BeginDatasetRequest.FromString(sent)) == wanted


@given(st.builds(ImportWanted, url=texts, name=texts, format=forms, pinned=st.booleans()))
def test_what_is_imported_comes_back_equal(wanted: ImportWanted) -> None:
    sent = convert.import_to_proto(wanted).SerializeToString()
    assert convert.import_from_proto(pb.ImportDatasetRequest.FromString(sent)) == wanted


@given(sizes, st.none() | sizes, st.none() | st.just(DATASET))
def test_how_far_it_is_comes_back_equal(
    received: int, size: int | None, dataset: Dataset | None
) -> None:
    upload = DatasetUpload("x", received, dataset)
    sent = convert.upload_to_proto(upload).SerializeToString()
    assert convert.upload_from_proto(pb.DatasetUpload.FromString(sent)) == upload
    progress = ImportProgress(received, size, dataset)
    sent = convert.progress_to_proto(progress).SerializeToString()
    assert convert.progress_from_proto(pb.ImportDatasetProgress.FromString(sent)) == progress


class House:
    """A server, and a stub of its service."""

    def __init__(self, folder: Path) -> None:
        self.kit = Kit(folder)
        kit = self.kit
        self.datasets = DatasetKit(folder / "sets", records=kit.records)
        self.server = GrpcServer(
            jobs=JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations),
            blobs=kit.blobs,
            agents=kit.agents,
            datasets=self.datasets.all,
            listen="127.0.0.1:0",
        )

    async def start(self) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{await self.server.start()}")
        self.stub: Any = datasets_pb2_grpc.DatasetsStub(self.channel)  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.2)
        self.kit.close()

    async def refused(self, method: str, request: Any) -> Exception:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await getattr(self.stub, method)(request)
        return from_grpc(error.value)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.stop()


def frames(upload: str, offset: int, *data: bytes, complete: bool) -> list[pb.PutDatasetRequest]:
    start = pb.PutDatasetRequest.Start(upload=upload, offset=offset)
    return [
        pb.PutDatasetRequest(start=start),
        *(pb.PutDatasetRequest(data=piece) for piece in data),
        *([pb.PutDatasetRequest(complete=True)] if complete else []),
    ]


async def test_an_upload_ends_where_that_is_said_and_not_before(house: House) -> None:
    begun = await house.stub.Begin(pb.BeginDatasetRequest(name="a"))
    left = await house.stub.Put(frames(begun.upload, 0, b"12", b"3", complete=False))
    assert (left.upload, left.received, left.HasField("dataset")) == (begun.upload, 3, False)
    assert (await house.stub.Find(pb.FindDatasetRequest(upload=begun.upload))).received == 3
    done = await house.stub.Put(frames(begun.upload, 3, b"4", complete=True))
    assert done.dataset.spec.digest == digest(b"1234")
    read = [chunk async for chunk in house.stub.Read(pb.ReadDatasetRequest(name="a", offset=1))]
    assert [(chunk.data, chunk.total) for chunk in read] == [(b"234", 4), (b"", 4)]


async def test_what_is_wrong_is_refused_before_anything_is_kept(house: House) -> None:
    assert isinstance(await house.refused("Put", []), ValidationError)
    assert isinstance(
        await house.refused("Put", [pb.PutDatasetRequest(data=b"1")]), ValidationError
    )
    assert isinstance(
        await house.refused("Put", frames("../../etc", 0, complete=True)), NotFoundError
    )
    begun = await house.stub.Begin(pb.BeginDatasetRequest(name="a"))
    assert isinstance(
        await house.refused("Put", frames(begun.upload, -1, complete=True)), ValidationError
    )
    assert isinstance(
        await house.refused("Put", frames(begun.upload, 7, complete=True)), ConflictError
    )
    for request in (
        pb.BeginDatasetRequest(name="a", format="rar"),
        pb.BeginDatasetRequest(name="../a"),
        pb.BeginDatasetRequest(digest="md5:1"),
        pb.BeginDatasetRequest(filename="a\nb"),
    ):
        assert isinstance(await house.refused("Begin", request), ValidationError)
    for name in ("../a", "sha256:1", ""):
        assert isinstance(
            await house.refused("Delete", pb.NamedDatasetRequest(name=name)), ValidationError
        )
    await house.stub.Discard(pb.FindDatasetRequest(upload=begun.upload))
    assert list(house.datasets.store.uploads.iterdir()) == []


async def test_gauges_count_bytes_once(house: House) -> None:
    for name in ("a", "b"):
        await put(house.datasets.ann, b"12345", name)
    registry = CollectorRegistry()
    registry.register(DatasetGauges(house.datasets.parts))
    assert registry.get_sample_value("cumulus_datasets") == 2
    assert registry.get_sample_value("cumulus_dataset_bytes") == 5
    assert registry.get_sample_value("cumulus_dataset_uploads") == 0
