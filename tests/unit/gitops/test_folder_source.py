"""A plain folder as the truth."""

from __future__ import annotations

import pytest
from cumulus.crd_like_specs.errors import ConflictError
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.source import LABEL_SOURCE
from make import job, worker
from prometheus_client import CollectorRegistry, generate_latest
from source_kit import SourceKit, spec


async def test_specs_become_jobs_of_the_sources_own(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one", "two")
    folder.jobs("deep/b.json", "three")
    found = await folder.settle()
    assert folder.names() == ["one", "three", "two"]
    assert folder.states() == {"a.yaml": "Synced", "deep/b.json": "Synced"}
    made = folder.kit.records.find_job("one")
    assert made.metadata.owner == found.metadata.owner == "source-nightly"
    assert made.metadata.labels == {LABEL_SOURCE: "nightly"}
    assert (found.status.synced, found.status.jobs, found.status.commit) == (2, 3, "")
    version = folder.kit.store.version
    await folder.look()
    assert folder.kit.store.version == version, "an unchanged folder writes nothing"


async def test_a_file_is_taken_once_it_stays_as_it_is(folder: SourceKit) -> None:
    folder.jobs("old.yaml", "old")
    await folder.settle()
    folder.jobs("new.yaml", "half")
    await folder.look()
    assert folder.names() == ["old"]
    assert "being written" in folder.files()["new.yaml"].message
    folder.jobs("new.yaml", "half", "whole")
    assert await folder.look() < 2  # it is looked at again soon
    assert folder.names() == ["old"]
    await folder.look()
    assert folder.names() == ["half", "old", "whole"]


async def test_what_a_file_no_longer_says_is_pruned(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one", "two")
    folder.jobs("b.yaml", "three")
    await folder.settle()
    folder.jobs("a.yaml", "one")
    (folder.folder / "b.yaml").unlink()
    await folder.look()
    assert folder.names() == ["one", "three", "two"], "neither change has settled"
    await folder.settle()
    assert folder.names() == ["one"]
    assert folder.states() == {"a.yaml": "Synced", "b.yaml": "Pruned"}
    folder.kit.clock.advance(25 * 3600)
    await folder.settle()
    assert folder.states() == {"a.yaml": "Synced"}


async def test_without_prune_what_is_gone_is_shown(folder: SourceKit) -> None:
    folder.restart(prune=False)
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    (folder.folder / "b.yaml").unlink()
    await folder.settle()
    assert folder.names() == ["one", "two"]
    assert "prune is off" in folder.files()["b.yaml"].message
    folder.restart(prune=True)
    await folder.settle()
    assert folder.names() == ["one"]


async def test_drift_is_put_right(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one", "two")
    await folder.settle()
    before = folder.kit.records.find_job("one")
    changed = job(name="one", duration=5, code={"files": {"main.py": "def main(): pass\n"}})
    await folder.kit.desired.apply(changed, dry_run=False)
    await folder.kit.desired.delete("two")
    await folder.kit.settle()
    assert folder.names() == ["one"]
    await folder.settle()
    after = folder.kit.records.find_job("one")
    assert (after.spec, after.metadata.labels) == (before.spec, before.metadata.labels)
    assert after.metadata.uid == before.metadata.uid
    assert folder.names() == ["one", "two"]


async def test_a_pause_by_hand_holds_where_the_file_does_not_speak_of_it(
    folder: SourceKit,
) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two", suspend=False)
    await folder.settle()
    for name in ("one", "two"):
        await folder.kit.desired.pause(name, paused=True)
    await folder.settle()
    assert [folder.kit.records.find_job(n).spec.suspend for n in ("one", "two")] == [True, False]
    assert set(folder.states().values()) == {"Synced"}
    folder.jobs("a.yaml", "one", priority=3)
    await folder.settle()
    paused = folder.kit.records.find_job("one").spec
    assert (paused.priority, paused.suspend) == (3, True)


async def test_a_suspended_source_shows_differences_only(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    folder.restart(suspend=True)
    folder.jobs("a.yaml", "one", priority=5)
    folder.jobs("c.yaml", "three")
    (folder.folder / "b.yaml").unlink()
    found = await folder.settle()
    assert folder.names() == ["one", "two"]
    assert folder.kit.records.find_job("one").spec.priority == 0
    assert set(folder.states().values()) == {"OutOfSync"}
    assert "suspended" in found.status.message
    folder.restart(suspend=False)
    await folder.settle()
    assert folder.names() == ["one", "three"]
    assert folder.kit.records.find_job("one").spec.priority == 5


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT])
async def test_finished_work_never_runs_again(folder: SourceKit, phase: Phase) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    await folder.end("one", phase)
    await folder.collect("one")
    folder.restart()
    await folder.settle()
    assert folder.names() == ["two"]
    assert folder.states() == {"a.yaml": "Synced", "b.yaml": "Synced"}
    assert "finished before" in folder.files()["a.yaml"].message
    (folder.folder / "a.yaml").rename(folder.folder / "renamed.yaml")
    await folder.settle()
    assert folder.names() == ["two"]
    (folder.folder / "renamed.yaml").unlink()
    await folder.settle()
    folder.jobs("back.yaml", "one")
    await folder.settle()
    assert folder.names() == ["two"]
    folder.jobs("back.yaml", "one", duration=61)
    await folder.settle()
    assert folder.names() == ["one", "two"], "a changed spec is another run"


async def test_an_edit_that_is_taken_back_reruns_nothing(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    await folder.end("one")
    folder.jobs("a.yaml", "one", duration=61)
    await folder.settle()
    second = folder.kit.records.find_job("one")
    assert (second.spec.duration, second.metadata.generation) == (61, 2)
    assert not second.status.phase.terminal
    folder.jobs("a.yaml", "one")
    await folder.settle()
    assert folder.names() == [], "what runs instead is stopped, and what ran is not run again"
    assert folder.states() == {"a.yaml": "Synced"}


async def test_a_job_that_was_stopped_by_its_removal_runs_when_it_is_back(
    folder: SourceKit,
) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    first = folder.kit.records.find_job("two")
    (folder.folder / "b.yaml").unlink()
    await folder.settle()
    folder.jobs("b.yaml", "two")
    await folder.settle()
    assert folder.kit.records.find_job("two").metadata.uid != first.metadata.uid


async def test_renaming_a_file_changes_nothing(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    before = folder.kit.records.find_job("one")
    (folder.folder / "a.yaml").rename(folder.folder / "b.yaml")
    await folder.settle()
    assert folder.kit.records.find_job("one") == before
    assert folder.states()["b.yaml"] == "Synced"


async def test_an_invalid_file_stops_nothing_else(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    folder.write("a.yaml", spec("one").replace('"duration": 60', '"duration": "soon"'))
    folder.write("c.yaml", "apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {name: x\n")
    (folder.folder / "b.yaml").unlink()
    await folder.settle()
    assert folder.names() == ["one"], "what an invalid file was about stays as it is"
    assert folder.states() == {"a.yaml": "Invalid", "b.yaml": "Pruned", "c.yaml": "Invalid"}
    assert folder.files()["a.yaml"].message.startswith("1:")
    assert "spec.duration" in folder.files()["a.yaml"].message


async def test_files_that_define_the_same_job_are_all_invalid(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    folder.jobs("b.yaml", "one", "two")
    await folder.settle()
    assert folder.names() == ["one"]
    assert folder.states() == {"a.yaml": "Invalid", "b.yaml": "Invalid"}
    assert "b.yaml:1" in folder.files()["a.yaml"].message
    assert "a.yaml:1" in folder.files()["b.yaml"].message


async def test_a_folder_that_is_empty_or_gone_prunes_nothing(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    (folder.folder / "a.yaml").unlink()
    found = await folder.settle()
    assert folder.names() == ["one"]
    assert "allowEmpty" in found.status.message
    folder.folder.rmdir()
    found = await folder.settle()
    assert folder.names() == ["one"]
    ready = found.status.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (False, "NoFolder")
    folder.folder.mkdir()
    folder.restart(allowEmpty=True)
    await folder.settle()
    assert folder.names() == []


async def test_what_it_did_not_make_is_not_touched(folder: SourceKit) -> None:
    await folder.kit.submit("one", when_unschedulable="Wait")
    await folder.kit.put(job(name="two", uid="2" * 32, meta={"labels": {LABEL_SOURCE: "nightly"}}))
    await folder.kit.settle()
    theirs = {name: folder.kit.records.find_job(name) for name in ("one", "two")}
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "three")
    await folder.settle()
    assert "did not make" in folder.files()["a.yaml"].message
    (folder.folder / "a.yaml").unlink()
    await folder.settle()
    assert {name: folder.kit.records.find_job(name) for name in theirs} == theirs


async def test_a_job_that_a_user_made_its_own_is_not_pruned(folder: SourceKit) -> None:
    """Applied by hand it lost the label: what is left of the source's claim is not enough."""
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()
    (folder.folder / "a.yaml").unlink()
    await folder.look()
    bare = folder.kit.records.find_job("one")
    meta = bare.metadata.model_copy(update={"labels": {}})
    await folder.kit.put(bare.model_copy(update={"metadata": meta}))
    await folder.settle()
    assert folder.names() == ["one", "two"]


async def test_killed_between_the_entry_and_the_job(folder: SourceKit) -> None:
    """The job is known for its own by its label, owner and the entry made before."""
    folder.jobs("a.yaml", "one")
    await folder.look()

    async def killed(*_: object, **__: object) -> None:
        raise ConflictError("killed here")

    apply, folder.kit.desired.apply = folder.kit.desired.apply, killed  # type: ignore[method-assign,assignment]
    await folder.look()
    folder.kit.desired.apply = apply  # type: ignore[method-assign]
    assert folder.names() == []
    assert "killed here" in folder.files()["a.yaml"].message
    folder.restart()
    await folder.settle()
    assert folder.names() == ["one"]


async def test_nothing_is_handed_in_before_there_is_a_worker(folder: SourceKit) -> None:
    """It would fail for want of one, and what has failed does not run again."""
    folder.jobs("a.yaml", "one")
    await folder.kit.records.delete_worker("n0")
    found = await folder.settle()
    assert folder.names() == []
    assert found.status.message == "waiting: no worker has joined yet"
    await folder.kit.records.put_worker(worker("n0", cordoned=True))
    found = await folder.settle()
    assert (folder.names(), found.status.message) == (["one"], "")


async def test_sources_are_measured(folder: SourceKit) -> None:
    registry = CollectorRegistry()
    registry.register(folder.sources.gauges)
    folder.jobs("a.yaml", "one")
    folder.write("b.yaml", "kind: Job\n")
    await folder.settle()
    shown = generate_latest(registry).decode()
    for line in (
        'cumulus_source_files{source="nightly",state="Synced"} 1.0',
        'cumulus_source_files{source="nightly",state="Invalid"} 1.0',
        'cumulus_source_ready{source="nightly"} 1.0',
        f'cumulus_source_last_sync_seconds{{source="nightly"}} {folder.kit.clock.now()}',
    ):
        assert line in shown
