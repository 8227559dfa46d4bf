"""Jobs of a source that read datasets: their files name them, what runs is the content."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.api.viewer import Viewer
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.desired import Desired
from cumulus.crd_like_specs.source import FileState
from dataset_kit import DatasetKit, digest, put
from runtime_kit import Kit
from source_kit import SourceKit

FLEET = Viewer("fleet", own_only=True)
A, B = b"one", b"two"


@pytest.fixture
def datasets(kit: Kit, tmp_path: Path) -> DatasetKit:
    return DatasetKit(tmp_path / "datasets", records=kit.records)


def source_of(kit: Kit, datasets: DatasetKit, folder: Path, *, everybody: bool) -> SourceKit:
    admission = Admission("swarm", kit.blobs, datasets.all, everybody=everybody)
    kit.desired = Desired(kit.records, admission, kit.clock, kit.queue.add, lambda: None)
    return SourceKit(kit, folder, owner="fleet")


@pytest.fixture
def source(kit: Kit, datasets: DatasetKit, tmp_path: Path) -> SourceKit:
    return source_of(kit, datasets, tmp_path / "specs", everybody=False)


async def test_a_file_is_as_its_record_until_the_content_is_another(
    source: SourceKit, datasets: DatasetKit
) -> None:
    fleet = datasets.all.seen_by(FLEET)
    await put(fleet, A, "photos")
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    shown = await source.settle()
    assert shown.status.files[0].state is FileState.SYNCED
    first = source.kit.records.job("train")
    assert first is not None
    assert first.spec.datasets[0].digest == digest(A)
    await source.settle()
    assert source.kit.records.job("train") == first
    await put(fleet, B, "photos", replace=True)
    await source.settle()
    again = source.kit.records.job("train")
    assert again is not None
    assert again.metadata.generation == first.metadata.generation + 1
    assert again.spec.datasets[0].digest == digest(B)


async def test_a_file_that_names_what_there_is_not_says_so_and_keeps_its_job(
    source: SourceKit, datasets: DatasetKit
) -> None:
    await put(datasets.all.seen_by(FLEET), A, "photos")
    await put(datasets.ann, B, "labels")
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    await source.settle()
    source.jobs("a.yaml", "train", "more", datasets=[{"name": "photos"}, {"name": "labels"}])
    shown = await source.settle()
    (file,) = shown.status.files
    assert file.state is FileState.INVALID
    assert "there is no dataset 'labels'" in file.message
    assert source.kit.records.job("train") is not None
    records = datasets.parts.records
    await records.delete(records.find("photos", FLEET))
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    shown = await source.settle()
    assert shown.status.files[0].state is FileState.SYNCED, "nothing new is to run"


async def test_without_tokens_it_may_name_what_anybody_brought(
    kit: Kit, datasets: DatasetKit, tmp_path: Path
) -> None:
    source = source_of(kit, datasets, tmp_path / "specs", everybody=True)
    await put(datasets.all, A, "photos")
    source.jobs("a.yaml", "train", datasets=[{"name": "photos"}])
    shown = await source.settle()
    assert shown.status.files[0].state is FileState.SYNCED
    assert (job := kit.records.job("train")) is not None
    assert job.spec.datasets[0].digest == digest(A)
