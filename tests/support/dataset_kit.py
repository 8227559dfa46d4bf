"""The controller's datasets over a store in memory and a folder, with two users and an admin."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cumulus.api.datasets import DatasetsPort, DatasetWanted
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.dataset_settings import BucketConfig, RootConfig
from cumulus.controller.runtime.dataset_imports import Origins
from cumulus.controller.runtime.dataset_making import Parts
from cumulus.controller.runtime.dataset_records import DatasetRecords
from cumulus.controller.runtime.dataset_store import DatasetStore
from cumulus.controller.runtime.dataset_upkeep import DatasetUpkeep
from cumulus.controller.runtime.dataset_uploads import Uploads
from cumulus.controller.runtime.datasets import Datasets
from cumulus.controller.runtime.records import Records, open_records
from cumulus.crd_like_specs.dataset import Dataset
from cumulus.crd_like_specs.errors import QuotaExceededError
from cumulus.crd_like_specs.job import Job

ANN = Viewer("ann", own_only=True, who="ann")
BOB = Viewer("bob", own_only=True, who="bob")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Quota:
    """limit: bytes that every owner may have."""

    def __init__(self) -> None:
        self.limit = 1 << 40

    def check_dataset_bytes(self, owner: str, used: int, more: int) -> None:
        if used + more > self.limit:
            raise QuotaExceededError(f"{owner} may have {self.limit} bytes, and has {used}")


class DatasetKit:
    """now: POSIX seconds, set by tests; free: bytes that the disk has free."""

    def __init__(
        self,
        folder: Path,
        *,
        records: Records | None = None,
        buckets: Sequence[BucketConfig] = (),
        roots: Sequence[RootConfig] = (),
    ) -> None:
        self.now = 1_000_000.0
        self.free = 1 << 40
        self.records = records or open_records(None)
        self.quota = Quota()
        self.store = DatasetStore(folder, free=lambda _: self.free)
        self.parts = Parts(
            DatasetRecords(self.records.store),
            self.store,
            Uploads(self.store.uploads),
            lambda: self.now,
            self.quota,
        )
        self.all = Datasets(self.parts, Origins(buckets, roots), EVERYTHING)
        self.ann: DatasetsPort = self.all.seen_by(ANN)
        self.bob: DatasetsPort = self.all.seen_by(BOB)
        self.upkeep = DatasetUpkeep(self.records, self.parts, keep=1000)

    async def read_by(self, dataset: Dataset, name: str = "reader") -> Job:
        """A job of the dataset's owner that needs it."""
        job = Job.model_validate(
            {
                "metadata": {"name": name, "uid": "a" * 32, "owner": dataset.metadata.owner},
                "spec": {
                    "image": "alpine",
                    "datasets": [{"digest": dataset.spec.digest, "format": "file"}],
                },
            }
        )
        return await self.records.put_job(job, 0)


async def put(
    datasets: DatasetsPort, data: bytes, name: str = "", *, known: bool = True, **wanted: Any
) -> Dataset:
    """Upload it in two pieces; known: its digest and size are announced."""
    if known:
        wanted |= {"digest": digest(data), "size": len(data)}
    begun = await datasets.begin(DatasetWanted(name, **wanted))
    if begun.dataset is not None:
        return begun.dataset
    writer = await datasets.receive(begun.id, begun.received)
    try:
        left = data[begun.received :]
        await writer.write(left[: len(left) // 2])
        await writer.write(left[len(left) // 2 :])
        return await writer.commit()
    finally:
        await writer.abort()


async def content(datasets: DatasetsPort, name: str, offset: int = 0) -> bytes:
    return b"".join([piece async for piece in datasets.read(name, offset=offset)])
