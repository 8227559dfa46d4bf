"""Jobs of a source that read datasets: their files name them, what runs is the content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cumulus.api.viewer import Viewer
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.desired import Desired
from cumulus.crd_like_specs.archives.entries import Format
from cumulus.crd_like_specs.dataset import Dataset, DatasetSpec
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.source import FileState
from runtime_kit import Kit
from source_kit import SourceKit

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


class Photos:
    """The port with one dataset, or none."""

    digest: str = ONE
    owner: str = ""

    def seen_by(self, viewer: Viewer) -> Any:
        self.viewer = viewer
        return self

    async def get(self, name: str) -> Dataset:
        meta = ObjectMeta(name="photos", owner=self.owner)
        if name not in ("photos", self.digest) or not self.digest:
            raise NotFoundError(f"dataset {name!r} not found")
        return Dataset(metadata=meta, spec=DatasetSpec(digest=self.digest, format=Format.TAR))


@pytest.fixture
def photos() -> Photos:
    return Photos()


@pytest.fixture
def source(kit: Kit, photos: Photos, tmp_path: Path) -> SourceKit:
    admission = Admission("swarm", kit.blobs, photos)  # type: ignore[arg-type]
    kit.desired = Desired(kit.records, admission, kit.clock, kit.queue.add, lambda: None)
    return SourceKit(kit, tmp_path / "specs", owner="nightly")


async def test_a_file_is_as_its_record_until_the_content_is_another(
    source: SourceKit, photos: Photos
) -> None:
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    shown = await source.settle()
    assert shown.status.files[0].state is FileState.SYNCED
    first = source.kit.records.job("train")
    assert first is not None
    assert first.spec.datasets[0].digest == ONE
    await source.settle()
    assert source.kit.records.job("train") == first
    assert photos.viewer == Viewer("nightly", own_only=True, who="source nightly")
    photos.digest = TWO
    await source.settle()
    again = source.kit.records.job("train")
    assert again is not None
    assert again.metadata.generation == first.metadata.generation + 1
    assert again.spec.datasets[0].digest == TWO


async def test_a_file_that_names_what_there_is_not_says_so_and_keeps_its_job(
    source: SourceKit, photos: Photos
) -> None:
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    await source.settle()
    source.jobs("a.yaml", "train", "more", datasets=[{"name": "photos"}, {"name": "labels"}])
    shown = await source.settle()
    (file,) = shown.status.files
    assert file.state is FileState.INVALID
    assert "there is no dataset 'labels'" in file.message
    assert source.kit.records.job("train") is not None
    photos.digest = ""
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    shown = await source.settle()
    assert shown.status.files[0].state is FileState.SYNCED, "nothing new is to run"
