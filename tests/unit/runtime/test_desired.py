"""Desired state: names, keys, equal specs, new runs, marks over statuses that move meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import Outcome
from cumulus.controller.runtime.admission import Admission
from cumulus.controller.runtime.desired import Desired
from cumulus.controller.runtime.documents import IDEMPOTENCY
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.packing import digest, pack
from cumulus.crd_like_specs.source import Source, SourceSpec
from make import T, job, lease, spec, worker
from runtime_kit import Kit

FILES = {"main.py": "def main(): return 1\n"}


def asked(name: str = "train", meta: dict[str, Any] | None = None, **fields: Any) -> Job:
    return Job(metadata=ObjectMeta(name=name, **(meta or {})), spec=spec(**fields))


async def test_what_belongs_to_the_server_is_made_anew(kit: Kit) -> None:
    given = job(Phase.SUCCEEDED, meta={"generation": 9, "deletion_timestamp": 5.0})
    stored = (await kit.desired.apply(given, dry_run=False)).resource
    assert isinstance(stored, Job)
    assert stored.metadata.uid not in ("", given.metadata.uid)
    assert stored.metadata.generation == 1
    assert stored.metadata.deletion_timestamp is None
    assert stored.metadata.creation_timestamp == T
    assert stored.status.phase is Phase.PENDING
    assert kit.queue.take(T) == "train"


async def test_a_key_gives_the_job_it_made_under_whatever_name_it_is_asked_again(kit: Kit) -> None:
    first = await kit.submit("one", key="k")
    assert await kit.submit("two", key="k", priority=3) == first
    assert kit.records.job("two") is None


async def test_a_key_that_comes_with_another_run_is_a_conflict_that_names_the_job(
    kit: Kit,
) -> None:
    first = await kit.submit("one", key="k")
    with pytest.raises(ConflictError, match=r"key 'k' was given to another run, of job 'one'") as e:
        await kit.submit("two", key="k", duration=5)
    assert e.value.job_id == first.metadata.uid
    assert kit.records.job("two") is None
    assert await kit.submit("one", key="k") == first


async def test_one_key_used_twice_at_once_makes_one_job(threaded_kit: Kit) -> None:
    kit = threaded_kit
    one, two = await asyncio.gather(kit.submit("one", key="k"), kit.submit("two", key="k"))
    assert one == two
    assert len(kit.store.ids("jobs")) == 1
    assert not kit.desired._keys


async def test_one_name_used_twice_at_once_makes_one_job(threaded_kit: Kit) -> None:
    kit = threaded_kit
    one, two = await asyncio.gather(kit.submit("one"), kit.submit("one"))
    assert one == two
    found = await asyncio.gather(
        kit.submit("x", duration=1), kit.submit("x", duration=2), return_exceptions=True
    )
    assert sorted(type(x).__name__ for x in found) == ["ConflictError", "Job"]


async def test_submitting_what_is_paused_says_so(kit: Kit) -> None:
    old = await kit.submit("train")
    await kit.desired.pause("train", paused=True)
    with pytest.raises(ConflictError, match="'train' is paused: resume it, or") as caught:
        await kit.submit("train")
    assert caught.value.job_id == old.metadata.uid
    with pytest.raises(ConflictError, match="exists with another spec"):
        await kit.submit("train", duration=7)


async def test_a_name_with_another_spec_is_a_conflict_that_names_the_job(kit: Kit) -> None:
    old = await kit.submit("train")
    with pytest.raises(ConflictError, match="exists with another spec") as caught:
        await kit.submit("train", duration=5)
    assert caught.value.job_id == old.metadata.uid


async def test_a_key_in_a_file_got_from_another_job_is_not_taken_over(kit: Kit) -> None:
    first = await kit.submit("one", key="k")
    copy = asked("two", {"annotations": dict(first.metadata.annotations), "labels": {"a": "b"}})
    await kit.desired.apply(copy, dry_run=False)
    assert kit.records.find_job("two").metadata.annotations == {}
    assert kit.records.job_with_key("k") == first


async def test_applying_the_same_again_changes_nothing(kit: Kit) -> None:
    stored = await kit.submit("train", key="k")
    kit.queue.take(T)
    kit.queue.done("train")
    applied = await kit.desired.apply(asked(), dry_run=False)
    assert (applied.outcome, applied.resource, applied.reruns) == (
        Outcome.UNCHANGED,
        stored,
        False,
    )
    assert kit.queue.take(T) is None
    assert stored.metadata.annotations == {IDEMPOTENCY: "k"}


async def test_a_change_that_runs_nothing_anew_keeps_the_cancel(kit: Kit) -> None:
    await kit.submit("train")
    await kit.desired.cancel("train")
    applied = await kit.desired.apply(asked(priority=7), dry_run=False)
    assert (applied.outcome, applied.reruns) == (Outcome.CONFIGURED, False)
    stored = kit.records.find_job("train")
    assert stored.metadata.generation == 2
    assert stored.metadata.cancellation_timestamp == T


async def test_a_change_that_runs_anew_clears_the_cancel(kit: Kit) -> None:
    first = await kit.submit("train", key="k")
    await kit.desired.cancel("train")
    applied = await kit.desired.apply(asked(duration=5), dry_run=False)
    assert (applied.outcome, applied.reruns) == (Outcome.CONFIGURED, True)
    stored = kit.records.find_job("train")
    assert stored.metadata.cancellation_timestamp is None
    assert stored.metadata.uid == first.metadata.uid
    assert kit.records.job_with_key("k") == stored


async def test_only_labels_changed_is_no_new_generation(kit: Kit) -> None:
    await kit.submit("train")
    applied = await kit.desired.apply(asked(meta={"labels": {"a": "b"}}), dry_run=False)
    assert (applied.outcome, applied.reruns) == (Outcome.CONFIGURED, False)
    assert applied.resource.metadata.generation == 1
    assert applied.resource.metadata.labels == {"a": "b"}


async def test_dry_run_writes_nothing(kit: Kit, tmp_path: Path) -> None:
    await kit.report("n1")
    await kit.submit("old")
    version, files = kit.store.version, sorted(tmp_path.rglob("*"))
    created = await kit.desired.apply(asked("new", code={"files": FILES}), dry_run=True)
    changed = await kit.desired.apply(asked("old", duration=5), dry_run=True)
    cordoned = await kit.desired.apply(worker(cordoned=True), dry_run=True)
    assert [x.outcome for x in (created, changed, cordoned)] == [
        Outcome.CREATED,
        Outcome.CONFIGURED,
        Outcome.CONFIGURED,
    ]
    assert changed.reruns
    assert kit.store.version == version
    assert sorted(tmp_path.rglob("*")) == files


async def test_a_job_that_is_being_deleted_is_in_the_way(kit: Kit) -> None:
    old = await kit.submit("train")
    await kit.desired.delete("train")
    for attempt in (kit.submit("train"), kit.desired.apply(asked(duration=5), dry_run=False)):
        with pytest.raises(ConflictError, match="being deleted") as caught:
            await attempt
        assert caught.value.job_id == old.metadata.uid


async def test_marks_are_set_once_and_by_uid_too(kit: Kit) -> None:
    stored = await kit.submit("train")
    first = await kit.desired.cancel(stored.metadata.uid)
    kit.clock.advance(5)
    assert await kit.desired.cancel("train") == first
    assert first.metadata.cancellation_timestamp == T
    assert (await kit.desired.delete("train")).metadata.deletion_timestamp == T + 5
    with pytest.raises(NotFoundError):
        await kit.desired.cancel("other")


async def test_a_finished_job_is_not_cancelled_but_is_deleted(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED))
    assert (await kit.desired.cancel("train")).metadata.cancellation_timestamp is None
    assert (await kit.desired.delete("train")).metadata.deletion_timestamp == T


async def test_a_finished_job_about_to_run_anew_is_cancelled(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED))
    await kit.desired.apply(asked(duration=5), dry_run=False)
    assert (await kit.desired.cancel("train")).metadata.cancellation_timestamp == T


async def test_writes_of_users_and_of_the_plan_cross_and_all_hold(threaded_kit: Kit) -> None:
    """Each reads before any has written: whoever loses makes its change of the newer version."""
    kit = threaded_kit
    await kit.submit("train")
    await asyncio.gather(
        kit.status("train", attempt=1, phase=Phase.LEASING),
        kit.desired.cancel("train"),
        kit.desired.delete("train"),
    )
    marked = kit.records.find_job("train")
    assert marked.status.phase is Phase.LEASING
    assert marked.metadata.cancellation_timestamp == marked.metadata.deletion_timestamp == T
    await kit.submit("other")
    await asyncio.gather(
        kit.status("other", attempt=1, phase=Phase.RUNNING),
        kit.desired.apply(asked("other", duration=5), dry_run=False),
    )
    changed = kit.records.find_job("other")
    assert (changed.status.phase, changed.spec.duration) == (Phase.RUNNING, 5)


async def test_code_files_are_packed_and_named_by_digest(kit: Kit) -> None:
    stored = await kit.submit("train", code={"files": FILES})
    packed = pack({name: text.encode() for name, text in FILES.items()})
    assert stored.spec.code is not None
    assert stored.spec.code.model_dump(exclude_none=True) == {"digest": digest(packed)}
    pieces = [piece async for piece in kit.blobs.read(digest(packed), offset=0)]
    assert b"".join(pieces) == packed
    again = await kit.desired.apply(asked(code={"files": FILES}), dry_run=False)
    assert again.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"code": {"path": "./train"}}, "spec.code.path"),
        ({"code": {"digest": "sha256:" + "b" * 64}}, "spec.code.digest"),
        ({"code": {"files": {**FILES, "../x": ""}}}, "spec.code.files '../x'"),
        ({"env": {"CUMULUS_X": "1"}}, "spec.env.CUMULUS_X"),
        ({"env": {"X": "1" * 131_072}}, "spec.env.X"),
        ({"requirements": ["six", "# why", "-r other.txt"]}, "spec.requirements[2]"),
        ({"requirements": ["no such thing"]}, "spec.requirements[0]"),
        ({"requirements": ["six"] * 1001}, "spec.requirements"),
    ],
)
async def test_what_no_waiting_could_mend_is_refused(
    kit: Kit, fields: dict[str, Any], path: str
) -> None:
    version = kit.store.version
    with pytest.raises(ValidationError) as caught:
        await kit.submit("train", **fields)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert caught.value.job_id == "train"
    assert kit.store.version == version


async def test_the_process_platform_refuses_images(kit: Kit) -> None:
    desired = Desired(
        kit.records, Admission("process", kit.blobs), kit.clock, kit.queue.add, lambda: None
    )
    with pytest.raises(ValidationError, match="runs code jobs only"):
        await desired.submit(asked(image="busybox"), idempotency_key="")


async def test_workers_are_cordoned_and_leases_are_not_applied(kit: Kit) -> None:
    await kit.report("n1")
    rooms = kit.rooms
    assert (await kit.desired.cordon("n1", cordoned=True, drain=True)).spec.drain
    assert kit.rooms == rooms + 1
    applied = await kit.desired.apply(worker(available_until=5.0), dry_run=False)
    assert applied.outcome is Outcome.CONFIGURED
    assert kit.records.workers["n1"].spec.available_until == 5.0
    same = await kit.desired.apply(kit.records.workers["n1"], dry_run=False)
    assert same.outcome is Outcome.UNCHANGED
    for wrong in (worker("n9"), lease()):
        with pytest.raises((NotFoundError, ValidationError)):
            await kit.desired.apply(wrong, dry_run=False)
    source = Source(metadata=ObjectMeta(name="more"), spec=SourceSpec(path="/srv/more"))
    with pytest.raises(ValidationError, match="a Source is an entry of `sources` in the contr"):
        await kit.desired.apply(source, dry_run=False)
    with pytest.raises(NotFoundError, match="n9"):
        await kit.desired.cordon("n9", cordoned=True, drain=False)
