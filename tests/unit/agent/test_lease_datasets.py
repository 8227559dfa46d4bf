"""Datasets in the life of a lease: fetched before it is held, told of, kept until it is over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.chronos_bindings.agent.blob_cache import BlobCache
from cumulus.chronos_bindings.agent.checkpoint_port import Keeping, NothingKept
from cumulus.chronos_bindings.agent.dataset_cache import DatasetCache
from cumulus.chronos_bindings.agent.dataset_folder import DatasetFolder
from cumulus.chronos_bindings.agent.staging import Staging, datasets_in_use
from cumulus.crd_like_specs.job_datasets import DatasetMount
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World, unit
from .fakes import settle
from .test_dataset_cache import Given, dataset, tar


class DataWorld(World):
    """With a cache that holds next to nothing that is not in use."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.given = Given()

    def make_staging(self) -> tuple[Staging, Keeping]:
        root = self.path / "staging"
        self.cache = DatasetCache(
            DatasetFolder(self.path / "datasets", self.clock.wall),
            self.given,
            limit=1,
            in_use=lambda: datasets_in_use(root),
            spare=0,
        )
        blobs = BlobCache(self.path / "blobs", self.blobs)
        return Staging(root, blobs, datasets=self.cache), NothingKept()

    def reads(self, *mounts: DatasetMount, number: int = 1) -> LeaseWanted:
        return replace(self.lease(number), datasets=mounts)

    def link(self, mount: DatasetMount, number: int = 1) -> Path:
        return self.staging.root / unit(number) / "datasets" / mount.link


@pytest.fixture
async def data(tmp_path: Path) -> DataWorld:
    return DataWorld(tmp_path)


async def test_a_lease_is_held_once_its_datasets_are_here(data: DataWorld) -> None:
    photos, words = dataset(data.given, "photos", tar(a=b"one")), b"a b c"
    table = dataset(data.given, "words", words, "file")
    await data.boot()
    data.given.hold = asyncio.Event()
    await data.tell(data.reads(photos, table))
    status = data.status()
    assert status.state is LeaseState.PREPARING
    assert status.message.startswith("dataset photos: ")
    assert not (data.staging.root / unit()).exists()
    data.given.hold.set()
    await settle()
    assert data.status().state is LeaseState.HELD
    assert data.status().message == ""
    assert (data.link(photos) / "a").read_bytes() == b"one"
    assert (data.link(table) / "words.csv").read_bytes() == words
    await data.crash()


async def test_progress_makes_earlier_failures_forgotten(data: DataWorld) -> None:
    photos = dataset(data.given, "photos", tar(a=b"one"))
    await data.boot()
    data.given.broken, data.given.nothing = 1 << 30, True
    await data.tell(data.reads(photos))
    await data.clock.advance(100)
    data.given.broken, data.given.nothing = 1, False
    await data.clock.advance(6)
    assert data.status().state is LeaseState.HELD, "it got on, and broke once more"
    await data.tell()


async def test_a_line_that_brings_nothing_is_given_up(data: DataWorld) -> None:
    photos = dataset(data.given, "photos", tar(a=b"one"))
    await data.boot()
    data.given.broken, data.given.nothing = 1 << 30, True
    await data.tell(data.reads(photos))
    await data.clock.advance(100)
    assert data.status().state is LeaseState.PREPARING
    assert data.status().message == "dataset photos: the line broke"
    await data.clock.advance(30)
    assert data.status().state is LeaseState.FAILED
    assert len(data.given.calls) < 40, "with pauses"
    await data.crash()


async def test_one_that_is_gone_fails_the_lease_and_names_it(data: DataWorld) -> None:
    photos = dataset(data.given, "photos", tar(a=b"one"))
    data.given.contents.clear()
    await data.boot()
    await data.tell(data.reads(photos))
    status = data.status()
    assert (status.state, status.reason) == (LeaseState.FAILED, "DatasetMissing")
    assert status.message.startswith("dataset photos: ")
    await data.crash()


async def test_it_stays_until_the_lease_is_over_also_across_a_restart(data: DataWorld) -> None:
    photos, other = (dataset(data.given, n, tar(a=n.encode())) for n in ("photos", "other"))
    await data.boot()
    await data.tell(data.reads(photos))
    kept = data.link(photos).resolve()
    await data.crash()
    await data.boot()
    await data.tell(data.reads(photos), data.reads(other, number=2))
    assert (kept / "a").read_bytes() == b"photos", "the limit passed, and it is in use"
    await data.tell(data.reads(other, number=2))
    await settle()
    assert not (data.staging.root / unit()).exists()
    tidying = asyncio.ensure_future(data.cache.run())
    await settle()
    assert not kept.exists()
    assert (data.link(other, 2) / "a").read_bytes() == b"other"
    tidying.cancel()
    await data.crash()


async def test_a_lease_that_is_no_longer_wanted_stops_the_download(data: DataWorld) -> None:
    photos = dataset(data.given, "photos", tar(a=b"one"))
    await data.boot()
    data.given.hold = asyncio.Event()
    await data.tell(data.reads(photos))
    await data.tell()
    await settle()
    assert data.keeper.reports() == ()
    data.given.hold.set()
    await data.tell(data.reads(photos, number=2))
    await settle()
    assert data.given.calls == [photos.digest] * 2, "it went on where it was"
    assert (data.link(photos, 2) / "a").read_bytes() == b"one"
    await data.crash()
