"""What applying some documents would do, told without doing anything."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.api.previews import Change, Planned, Preview, Starts
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime import planning
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from make import T, job, spec, worker
from runtime_kit import Kit

HIS = Viewer("his", own_only=True)


def wanted(name: str = "train", labels: dict[str, str] | None = None, **fields: Any) -> Job:
    meta = ObjectMeta(name=name, labels=labels or {})
    return Job(metadata=meta, spec=spec(**{"gpu": {"memory": 1}, **fields}))


async def plan(
    kit: Kit,
    *jobs: Any,
    prune: str = "",
    forecast: bool = True,
    viewer: Viewer = EVERYTHING,
) -> Preview:
    before = kit.store.version, len(kit.events._ring)
    found = await kit.operations.plan(jobs, prune=prune, forecast=forecast, viewer=viewer)
    assert (kit.store.version, len(kit.events._ring)) == before
    return found


def only(found: Preview) -> Planned:
    (one,) = found.changes
    return one


async def test_a_new_job_and_where_it_starts(kit: Kit) -> None:
    await kit.report()
    one = only(await plan(kit, wanted()))
    assert (one.change, one.before) == (Change.CREATED, None)
    assert one.expected is not None
    assert (one.expected.when, one.expected.worker) == (Starts.NOW, "n1")


async def test_jobs_of_one_call_are_lined_up_in_their_order(kit: Kit) -> None:
    await kit.report()
    found = await plan(kit, wanted("b"), wanted("a"))
    whens = [one.expected.when for one in found.changes if one.expected]
    assert whens == [Starts.NOW, Starts.LATER]


async def test_code_need_not_be_uploaded(kit: Kit) -> None:
    digest = "sha256:" + "b" * 64
    assert only(await plan(kit, wanted(code={"digest": digest}))).change is Change.CREATED
    with pytest.raises(ValidationError, match="was not uploaded"):
        await kit.desired.apply(wanted(code={"digest": digest}), dry_run=False)


@pytest.mark.parametrize(
    ("changes", "change"),
    [
        ({}, Change.UNCHANGED),
        ({"priority": 3}, Change.CHANGED),
        ({"duration": 5}, Change.REPLACED),
    ],
)
async def test_what_would_become_of_a_job_that_is_there(
    kit: Kit, changes: dict[str, Any], change: Change
) -> None:
    old = await kit.put(job(Phase.RUNNING, status={"worker": "n1"}, gpu={"memory": 1}))
    one = only(await plan(kit, wanted(**changes)))
    assert (one.change, one.before) == (change, old)
    assert one.after is not None
    assert one.expected is not None
    if change is not Change.REPLACED:
        assert (one.expected.when, one.expected.reason) == (Starts.NOTHING, "it runs on n1")


async def test_a_replaced_job_gives_its_own_room_back(kit: Kit) -> None:
    await kit.report()
    await kit.submit(gpu={"memory": 1})
    await kit.settle()
    found = await plan(kit, wanted(duration=5), wanted("next"))
    first, second = (one.expected for one in found.changes)
    assert first is not None
    assert second is not None
    assert (first.when, second.when) == (Starts.NOW, Starts.LATER)


async def test_what_has_ended_runs_no_second_time(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED, gpu={"memory": 1}))
    one = only(await plan(kit, wanted()))
    assert one.expected is not None
    assert one.expected.reason == "it has ended as Succeeded, and runs no second time"


async def test_a_suspended_job_starts_nothing(kit: Kit) -> None:
    one = only(await plan(kit, wanted(suspend=True)))
    assert one.expected is not None
    assert (one.expected.when, one.expected.reason) == (Starts.NOTHING, "it is suspended")


async def test_what_is_wrong_is_told_with_its_document(kit: Kit) -> None:
    await kit.report()
    bad = wanted("bad", env={"CUMULUS_X": "1"})
    found = await plan(kit, bad, wanted("good"), wanted("two"), wanted("two"))
    assert [one.change for one in found.changes] == [
        Change.REFUSED,
        Change.CREATED,
        Change.REFUSED,
        Change.REFUSED,
    ]
    assert found.changes[0].problems == (
        "spec.env.CUMULUS_X: names beginning so are set by Cumulus",
    )
    assert "given more than once" in found.changes[2].problems[0]
    assert found.changes[0].expected is None


async def test_a_job_of_another_is_taken_and_no_more_is_told(kit: Kit) -> None:
    await kit.put(job(meta={"owner": "hers", "labels": {"a": "b"}}))
    one = only(await plan(kit, wanted(), prune="a=b", viewer=HIS))
    assert (one.change, one.before, one.problems) == (
        Change.REFUSED,
        None,
        ("the name 'train' is taken",),
    )


async def test_names_of_others_are_not_told(kit: Kit) -> None:
    await kit.report()
    await kit.desired.apply(wanted("secret"), dry_run=False, viewer=Viewer("hers"))
    await kit.desired.apply(wanted("secret-too"), dry_run=False, viewer=Viewer("hers"))
    await kit.settle()
    one = only(await plan(kit, wanted("mine"), viewer=HIS))
    assert one.expected is not None
    assert one.expected.when is Starts.LATER
    assert one.expected.reason.endswith("when the lease of another job ends")
    boss = only(await plan(kit, wanted("mine")))
    assert boss.expected is not None
    assert boss.expected.reason.endswith("when the lease of secret-too ends")


async def test_prune_takes_what_no_document_has(kit: Kit) -> None:
    for name, labels in (("a", {"team": "x"}), ("b", {"team": "x"}), ("c", {"team": "y"})):
        await kit.desired.apply(wanted(name, labels), dry_run=False)
    found = await kit.operations.plan(
        [wanted("a", {"team": "x"})], prune="team=x", forecast=True, viewer=EVERYTHING
    )
    assert [(one.change, one.resource.metadata.name) for one in found.changes] == [
        (Change.UNCHANGED, "a"),
        (Change.PRUNED, "b"),
    ]
    with pytest.raises(ValidationError, match="label selector"):
        await plan(kit, prune=",")


async def test_workers_are_compared_too(kit: Kit) -> None:
    await kit.report("n1")
    known = kit.records.workers["n1"]
    one = only(await plan(kit, known.model_copy(update={"spec": worker(cordoned=True).spec})))
    assert one.change is Change.CHANGED
    assert one.expected is None
    assert one.before == known


async def test_a_call_is_bounded(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST", 1)
    with pytest.raises(ValidationError, match="2 documents are given, expected at most 1"):
        await plan(kit, wanted("a"), wanted("b"))


async def test_without_a_forecast_nothing_is_reckoned(kit: Kit) -> None:
    found = await plan(kit, wanted(), forecast=False)
    assert (only(found).expected, found.now) == (None, T)
