"""What a job's datasets stand for: whose they are, when they are looked up, what becomes of runs."""

from __future__ import annotations

import io
import tarfile
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import Outcome, WatchType
from cumulus.api.viewer import EVERYTHING
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.dataset_gate import DatasetGate
from cumulus.controller.runtime.dataset_refs import as_known, settled
from cumulus.controller.runtime.desired import Desired
from cumulus.crd_like_specs.dataset import Dataset
from cumulus.crd_like_specs.errors import ForbiddenError, NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.job_datasets import DatasetMount
from cumulus.crd_like_specs.meta import ObjectMeta
from dataset_kit import ANN, BOB, DatasetKit, digest, put
from make import job, lease, spec
from runtime_kit import Kit

CODE = {"files": {"main.py": "def main(): return 1\n"}}


def packed(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


A, B = packed(b"one"), packed(b"two")
ONE, TWO = digest(A), digest(B)


def asked(*mounts: dict[str, str], name: str = "train", **fields: Any) -> Job:
    datasets = tuple(DatasetMount.model_validate(mount) for mount in mounts)
    return Job(metadata=ObjectMeta(name=name), spec=spec(datasets=datasets, code=CODE, **fields))


@pytest.fixture
async def known(kit: Kit, tmp_path: Path) -> DatasetKit:
    """Ann has photos."""
    found = DatasetKit(tmp_path / "datasets", records=kit.records)
    await put(found.ann, A, "photos")
    return found


@pytest.fixture
def desired(kit: Kit, known: DatasetKit) -> Desired:
    admission = Admission("swarm", kit.blobs, known.all)
    return Desired(kit.records, admission, kit.clock, kit.queue.add, lambda: None)


async def drop(known: DatasetKit, name: str) -> None:
    """As gc does, or an admin by hand."""
    records = known.parts.records
    await records.delete(records.find(name, EVERYTHING))


async def test_a_name_becomes_content(desired: Desired) -> None:
    stored = await desired.submit(asked({"name": "photos"}), idempotency_key="", viewer=ANN)
    assert stored.spec.datasets == (
        DatasetMount(
            name="photos",
            digest=ONE,
            path="/datasets/photos",
            size=len(A),
            extracted=3,
            format="tar",
            filename="photos",
        ),
    )


@pytest.mark.parametrize("mount", [{"name": "photos"}, {"digest": ONE}, {"name": "none"}])
async def test_what_is_somebody_elses_is_not_there(desired: Desired, mount: dict[str, str]) -> None:
    given = asked({"name": "x", "digest": TWO}, mount)
    with pytest.raises(ValidationError) as refused:
        await desired.submit(given, idempotency_key="", viewer=BOB)
    paths = [problem.path for problem in refused.value.problems]
    assert paths == ["spec.datasets[0].digest", f"spec.datasets[1].{next(iter(mount))}"]
    assert next(iter(mount.values())) in refused.value.message


async def test_a_controller_without_datasets_says_so(kit: Kit) -> None:
    with pytest.raises(ValidationError, match="there is no dataset 'photos'"):
        await kit.desired.submit(asked({"name": "photos"}), idempotency_key="")


async def test_what_clients_claim_of_a_dataset_counts_for_nothing(
    desired: Desired, known: DatasetKit
) -> None:
    lie = {"digest": ONE, "format": "file", "filename": "../x", "size": "1", "path": "/d"}
    stored = await desired.submit(asked(lie), idempotency_key="", viewer=ANN)
    assert stored.spec.datasets[0].format == "tar"
    assert stored.spec.datasets[0].size == len(A)
    await put(known.ann, A, "again", filename="other")
    named = await desired.submit(
        asked({"name": "again", "digest": ONE}, name="two"), idempotency_key="", viewer=ANN
    )
    assert named.spec.datasets[0].filename == "other"


async def test_the_same_again_changes_nothing_and_another_content_is_another_run(
    desired: Desired, known: DatasetKit
) -> None:
    given = asked({"name": "photos"})
    assert (await desired.apply(given, dry_run=False, viewer=ANN)).outcome is Outcome.CREATED
    assert (await desired.apply(given, dry_run=True, viewer=ANN)).outcome is Outcome.UNCHANGED
    await put(known.ann, B, "photos", replace=True)
    planned = await desired.apply(given, dry_run=True, viewer=ANN)
    assert (planned.outcome, planned.reruns) == (Outcome.CONFIGURED, True)
    await put(known.ann, A, "pictures")
    same = asked({"name": "pictures", "path": "/datasets/photos"})
    renamed = await desired.apply(same, dry_run=True, viewer=ANN)
    assert (renamed.outcome, renamed.reruns) == (Outcome.CONFIGURED, False)


async def test_a_dataset_that_went_keeps_nobody_from_saying_the_same_again(
    desired: Desired, known: DatasetKit
) -> None:
    given = asked({"name": "photos"})
    stored = (await desired.apply(given, dry_run=False, viewer=ANN)).resource
    await drop(known, "photos")
    again = await desired.apply(given, dry_run=False, viewer=ANN)
    assert (again.outcome, again.resource) == (Outcome.UNCHANGED, stored)
    with pytest.raises(ValidationError, match="there is no dataset 'photos'"):
        await desired.apply(asked({"name": "photos"}, duration=7), dry_run=False, viewer=ANN)
    with pytest.raises(ValidationError, match="there is no dataset 'photos'"):
        await desired.apply(given, dry_run=False, viewer=BOB)


async def test_a_key_stands_for_the_content_there_was(desired: Desired, known: DatasetKit) -> None:
    given = asked({"name": "photos"})
    first = await desired.submit(given, idempotency_key="k", viewer=ANN)
    await put(known.ann, B, "photos", replace=True)
    assert await desired.submit(given, idempotency_key="k", viewer=ANN) == first


async def test_nothing_is_asked_for_a_job_without_datasets() -> None:
    plain = asked()
    assert await settled(plain, None, ANN) is plain
    assert as_known(plain, plain) is plain


@dataclass
class Held:
    """Bytes by digest."""

    sizes: dict[str, int]

    def size(self, digest: str) -> int | None:
        return self.sizes.get(digest)

    def read(self, digest: str, *, offset: int) -> Any:
        raise AssertionError(f"{digest} is read from {offset}")


async def test_a_worker_reads_what_its_own_leases_name(kit: Kit) -> None:
    mount = DatasetMount(name="photos", digest=ONE, format="tar")
    reads = job(Phase.LEASING, datasets=(mount,))
    held = lease()
    await kit.records.put_job(reads, 0)
    await kit.records.put_lease(held)
    unit, worker = held.metadata.name, held.spec.worker
    gate = DatasetGate(kit.records, Held({ONE: 10, TWO: 20}))
    assert await gate.size(worker, unit, ONE) == 10
    for who, what, bytes_of in ((worker, unit, TWO), ("other", unit, ONE), (worker, "none", ONE)):
        with pytest.raises(ForbiddenError):
            await gate.size(who, what, bytes_of)
    with pytest.raises(NotFoundError, match="not here any more"):
        await DatasetGate(kit.records, Held({})).size(worker, unit, ONE)


async def test_a_watch_tells_the_jobs_that_need_a_dataset_as_get_does(
    kit: Kit, known: DatasetKit, desired: Desired
) -> None:
    await desired.submit(asked({"name": "photos"}), idempotency_key="", viewer=ANN)
    got = await kit.views.get("Dataset", "photos")
    assert isinstance(got, Dataset)
    assert got.status.used_by == ("train",)
    async with aclosing(kit.views.watch("Dataset", name="", label_selector="", since=0)) as items:
        first = await anext(items)
        assert first.resource == got
        assert (await anext(items)).type is WatchType.BOOKMARK
        await put(known.ann, B, "more")
        added = await anext(items)
        assert isinstance(added.resource, Dataset)
        assert (added.type, added.resource.status.used_by) == (WatchType.ADDED, ())
        await drop(known, "photos")
        gone = await anext(items)
        assert isinstance(gone.resource, Dataset)
        assert (gone.type, gone.resource.status.used_by) == (WatchType.DELETED, ())
