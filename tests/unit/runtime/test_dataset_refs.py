"""What a job's datasets stand for: whose they are, when they are looked up, what becomes of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from cumulus.api.frames import Outcome
from cumulus.api.viewer import Viewer
from cumulus.controller.runtime.dataset_gate import DatasetGate
from cumulus.controller.runtime.dataset_refs import as_known, settled
from cumulus.controller.runtime.desired import Admission, Desired
from cumulus.crd_like_specs.archives.entries import Format
from cumulus.crd_like_specs.dataset import Dataset, DatasetSpec, DatasetStatus
from cumulus.crd_like_specs.errors import ForbiddenError, NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.job_datasets import DatasetMount
from cumulus.crd_like_specs.meta import ObjectMeta
from make import job, lease, spec
from runtime_kit import Kit

ANNA, BOB = Viewer("anna", own_only=True), Viewer("bob", own_only=True)
CODE = {"files": {"main.py": "def main(): return 1\n"}}
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@dataclass
class Known:
    """The port, as far as names are looked up."""

    all: list[Dataset] = field(default_factory=list)
    viewer: Viewer = field(default_factory=Viewer)

    def put(self, name: str, digest: str, owner: str = "anna", **given: Any) -> None:
        self.all = [d for d in self.all if d.metadata.name != name]
        self.all.append(
            Dataset(
                metadata=ObjectMeta(name=name, owner=owner),
                spec=DatasetSpec(digest=digest, size=10, format=Format.TAR_XZ, **given),
                status=DatasetStatus(files=2, extracted_bytes=99),
            )
        )

    def seen_by(self, viewer: Viewer) -> Any:
        return Known(self.all, viewer)

    async def get(self, name: str) -> Dataset:
        for one in self.all:
            if name in (one.metadata.name, one.spec.digest) and self.viewer.sees(one.metadata):
                return one
        raise NotFoundError(f"dataset {name!r} not found")


def asked(*mounts: dict[str, str], name: str = "train", **fields: Any) -> Job:
    datasets = tuple(DatasetMount.model_validate(mount) for mount in mounts)
    return Job(metadata=ObjectMeta(name=name), spec=spec(datasets=datasets, code=CODE, **fields))


@pytest.fixture
def known() -> Known:
    found = Known()
    found.put("photos", ONE)
    return found


@pytest.fixture
def desired(kit: Kit, known: Known) -> Desired:
    admission = Admission("swarm", kit.blobs, known)  # type: ignore[arg-type]
    return Desired(kit.records, admission, kit.clock, kit.queue.add, lambda: None)


async def test_a_name_becomes_content(desired: Desired) -> None:
    stored = await desired.submit(asked({"name": "photos"}), idempotency_key="", viewer=ANNA)
    assert stored.spec.datasets == (
        DatasetMount(
            name="photos",
            digest=ONE,
            path="/datasets/photos",
            size=10,
            extracted=99,
            format="tar.xz",
            filename="data",
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
    desired: Desired, known: Known
) -> None:
    lie = {"digest": ONE, "format": "file", "filename": "../x", "size": "1", "path": "/d"}
    stored = await desired.submit(asked(lie), idempotency_key="", viewer=ANNA)
    assert stored.spec.datasets[0].format == "tar.xz"
    assert stored.spec.datasets[0].size == 10
    known.put("again", ONE, filename="other")
    named = await desired.submit(
        asked({"name": "again", "digest": ONE}, name="two"), idempotency_key="", viewer=ANNA
    )
    assert named.spec.datasets[0].filename == "other"


async def test_the_same_again_changes_nothing_and_another_content_is_another_run(
    desired: Desired, known: Known
) -> None:
    given = asked({"name": "photos"})
    assert (await desired.apply(given, dry_run=False, viewer=ANNA)).outcome is Outcome.CREATED
    assert (await desired.apply(given, dry_run=True, viewer=ANNA)).outcome is Outcome.UNCHANGED
    known.put("photos", TWO)
    planned = await desired.apply(given, dry_run=True, viewer=ANNA)
    assert (planned.outcome, planned.reruns) == (Outcome.CONFIGURED, True)
    known.put("pictures", ONE)
    same = asked({"name": "pictures", "path": "/datasets/photos"})
    renamed = await desired.apply(same, dry_run=True, viewer=ANNA)
    assert (renamed.outcome, renamed.reruns) == (Outcome.CONFIGURED, False)


async def test_a_dataset_that_went_keeps_nobody_from_saying_the_same_again(
    desired: Desired, known: Known
) -> None:
    given = asked({"name": "photos"})
    stored = (await desired.apply(given, dry_run=False, viewer=ANNA)).resource
    known.all.clear()
    again = await desired.apply(given, dry_run=False, viewer=ANNA)
    assert (again.outcome, again.resource) == (Outcome.UNCHANGED, stored)
    with pytest.raises(ValidationError, match="there is no dataset 'photos'"):
        await desired.apply(asked({"name": "photos"}, duration=7), dry_run=False, viewer=ANNA)
    with pytest.raises(ValidationError, match="there is no dataset 'photos'"):
        await desired.apply(given, dry_run=False, viewer=BOB)


async def test_a_key_stands_for_the_content_there_was(desired: Desired, known: Known) -> None:
    given = asked({"name": "photos"})
    first = await desired.submit(given, idempotency_key="k", viewer=ANNA)
    known.put("photos", TWO)
    assert await desired.submit(given, idempotency_key="k", viewer=ANNA) == first


async def test_nothing_is_asked_for_a_job_without_datasets() -> None:
    plain = asked()
    assert await settled(plain, None, ANNA) is plain
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
    mount = DatasetMount(name="photos", digest=ONE, format="tar.xz")
    reads = job(Phase.LEASING, datasets=(mount,))
    held = lease()
    await kit.records.put_job(reads, 0)
    await kit.records.put_lease(held)
    unit, worker = held.metadata.name, held.spec.worker
    gate = DatasetGate(kit.records, Held({ONE: 10, TWO: 20}))
    assert await gate.size(worker, unit, ONE) == 10
    for who, what, digest in ((worker, unit, TWO), ("other", unit, ONE), (worker, "none", ONE)):
        with pytest.raises(ForbiddenError):
            await gate.size(who, what, digest)
    with pytest.raises(NotFoundError, match="not here any more"):
        await DatasetGate(kit.records, Held({})).size(worker, unit, ONE)
