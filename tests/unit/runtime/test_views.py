"""Views: pages in order from one version, watches that miss nothing, and why a job waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cumulus.api.frames import WatchItem
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime import views as views_module
from cumulus.controller.runtime.documents import INDEXES, SOURCES, document
from cumulus.controller.runtime.views import Views
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import ExpiredError, NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.source import Source, SourceSpec
from make import T, job, lease
from runtime_kit import Kit, take


async def fill(kit: Kit, *names: str, phase: Phase = Phase.PENDING, **meta: Any) -> None:
    for name in names:
        await kit.put(job(phase, name=name, uid=name * 32, meta=meta))


async def names(
    kit: Kit, *, kind: str = "Job", selector: str = "", phase: str = "", limit: int = 500
) -> list[list[str]]:
    """Names, page by page."""
    pages, token = [], ""
    while True:
        page = await kit.views.list(
            kind, label_selector=selector, phase=phase, limit=limit, continue_token=token
        )
        pages.append([item.metadata.name for item in page.items])
        token = page.continue_token
        if not token:
            return pages


async def test_get_by_name_and_uid(kit: Kit) -> None:
    await fill(kit, "a")
    await kit.records.put_lease(lease())
    await kit.report("n1")
    assert (await kit.views.get("Job", "a" * 32)).metadata.name == "a"
    assert (await kit.views.get("Worker", "n1")).kind == "Worker"
    assert (await kit.views.get("Lease", lease().metadata.name)).kind == "Lease"
    for kind in ("Job", "Lease", "Worker"):
        with pytest.raises(NotFoundError, match="nobody"):
            await kit.views.get(kind, "nobody")
    with pytest.raises(ValidationError, match="unknown kind 'Pod'"):
        await kit.views.get("Pod", "x")


async def test_pages_follow_each_other_by_name(kit: Kit) -> None:
    await fill(kit, "e", "b", "d", "a", "c")
    assert await names(kit, limit=2) == [["a", "b"], ["c", "d"], ["e"]]
    assert await names(kit, limit=5) == [["a", "b", "c", "d", "e"]]
    assert await names(kit, kind="Worker") == [[]]


async def test_lists_choose_by_labels_and_phase(kit: Kit) -> None:
    await fill(kit, "a", labels={"team": "x"})
    await fill(kit, "b", labels={"team": "y"}, phase=Phase.RUNNING)
    await fill(kit, "c", phase=Phase.FAILED)
    assert await names(kit, selector="team=x") == [["a"]]
    assert await names(kit, selector="team!=x") == [["b", "c"]]
    assert await names(kit, selector="team") == [["a", "b"]]
    assert await names(kit, selector="!team, team!=z") == [["c"]]
    assert await names(kit, phase="Active") == [["a", "b"]]
    assert await names(kit, phase="Active", limit=1) == [["a"], ["b"]]
    assert await names(kit, phase="Failed") == [["c"]]
    with pytest.raises(ValidationError, match="expected one of Active, Pending"):
        await names(kit, phase="Sleeping")
    with pytest.raises(ValidationError, match="'a=b=c' is not understood"):
        await names(kit, selector="a=b=c")


async def test_pages_end_before_they_get_too_large(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(kit, "a", "b", "c")
    size = len(kit.store.list("jobs")[0][0].raw)
    monkeypatch.setattr(views_module, "PAGE_BYTES", size * 2)
    assert await names(kit) == [["a", "b"], ["c"]]
    monkeypatch.setattr(views_module, "PAGE_BYTES", 1)
    assert await names(kit) == [["a"], ["b"], ["c"]]  # one at least, however large


async def test_a_watch_from_the_last_page_sees_what_changed_between_pages(kit: Kit) -> None:
    await fill(kit, "a", "b")
    asked = {"label_selector": "", "phase": "", "limit": 1}
    first = await kit.views.list("Job", continue_token="", **asked)  # type: ignore[arg-type]
    await kit.status("a", message="changed")
    last = await kit.views.list("Job", continue_token=first.continue_token, **asked)  # type: ignore[arg-type]
    assert last.continue_token == ""
    items = watch(kit, since=last.resource_version)
    assert shown(await take(items, 2)) == ["bookmark", "modified a"]
    await items.aclose()


async def test_tokens_too_old_are_expired_and_others_refused(tmp_path: Any) -> None:
    kit = Kit(tmp_path, Store.open(None, indexes=INDEXES, ring_events=3))
    await fill(kit, "a", "b")
    asked = {"label_selector": "", "phase": "", "limit": 1}
    first = await kit.views.list("Job", continue_token="", **asked)  # type: ignore[arg-type]
    for n in range(5):
        await kit.status("a", message=str(n))
    with pytest.raises(ExpiredError):
        await kit.views.list("Job", continue_token=first.continue_token, **asked)  # type: ignore[arg-type]
    for wrong in ("a", ":a", "x:a", "1:"):
        with pytest.raises(ValidationError, match="continue token"):
            await kit.views.list("Job", continue_token=wrong, **asked)  # type: ignore[arg-type]
    kit.close()


def watch(
    kit: Kit, *, kind: str = "Job", name: str = "", selector: str = "", since: int = 0
) -> Any:
    return kit.views.watch(kind, name=name, label_selector=selector, since=since)


def shown(items: list[WatchItem]) -> list[str]:
    return [
        f"{i.type.value} {i.resource.metadata.name}" if i.resource else i.type.value for i in items
    ]


async def test_a_watch_gives_all_there_is_then_every_change(kit: Kit) -> None:
    await fill(kit, "a")
    items = watch(kit)
    first = await take(items, 2)
    assert shown(first) == ["added a", "bookmark"]
    assert first[1].resource_version == kit.store.version
    waiting = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0)
    await fill(kit, "b")
    assert shown([await waiting]) == ["added b"]
    await kit.status("b", message="x")
    await kit.records.delete_job("b", "b" * 32)
    changed = await take(items, 2)
    assert shown(changed) == ["modified b", "deleted b"]
    assert isinstance(changed[1].resource, Job)
    assert changed[1].resource.status.message == "x"
    assert [i.resource_version for i in changed] == [kit.store.version - 1, kit.store.version]
    await items.aclose()
    assert not kit.store._committer._on_wake


async def test_a_watch_delivers_more_than_one_piece_at_once(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "WATCH_PIECE", 2)
    items = watch(kit)
    await anext(items)
    await fill(kit, *"abcdefg")
    async with asyncio.timeout(5):
        assert shown(await take(items, 7)) == [f"added {name}" for name in "abcdefg"]
    await items.aclose()


async def test_a_watch_since_a_version_gives_what_came_after(kit: Kit) -> None:
    await fill(kit, "a")
    since = kit.store.version
    await kit.report("n1")
    await fill(kit, "b")
    await kit.report("n2")
    items = watch(kit, since=since)
    found = await take(items, 3)
    assert shown(found) == ["bookmark", "added b", "bookmark"]
    assert [i.resource_version for i in found] == [since, since + 2, since + 3]
    await items.aclose()


async def test_versions_no_longer_kept_are_expired(tmp_path: Any) -> None:
    kit = Kit(tmp_path, Store.open(None, indexes=INDEXES, ring_events=2))
    await fill(kit, *"abcd")
    with pytest.raises(ExpiredError):
        await anext(watch(kit, since=1))
    with pytest.raises(ExpiredError):
        await anext(watch(kit, since=99))
    slow = watch(kit)
    await take(slow, 5)
    await fill(kit, *"efgh")
    with pytest.raises(ExpiredError):
        await anext(slow)
    kit.close()


async def test_a_watch_of_some_only(kit: Kit) -> None:
    await fill(kit, "a", labels={"team": "x"})
    await fill(kit, "b")
    by_label, by_name = watch(kit, selector="team=x"), watch(kit, name="b" * 32)
    assert shown(await take(by_label, 2)) == ["added a", "bookmark"]
    assert shown(await take(by_name, 2)) == ["added b", "bookmark"]
    await fill(kit, "b")  # the same once more
    await kit.status("b", message="x")
    relabelled = kit.records.find_job("a").metadata.model_copy(update={"labels": {}})
    await kit.put(kit.records.find_job("a").model_copy(update={"metadata": relabelled}))
    await kit.status("a", message="of no concern any more")
    await fill(kit, "c", labels={"team": "x"})
    assert shown(await take(by_label, 2)) == ["deleted a", "added c"]
    assert shown(await take(by_name, 1)) == ["modified b"]
    await by_label.aclose()
    await by_name.aclose()


async def test_why_a_job_waits(kit: Kit) -> None:
    await kit.put(job())
    assert (await kit.views.why("train")).summary == "No GPU workers available"
    await kit.report("n1")
    assert (await kit.views.why("train")).summary == "starts now on worker n1"
    await kit.records.put_lease(lease(memory_milli=800))
    kit.world.lease_changed(lease().metadata.name, lease().spec.job)
    why = await kit.views.why("train")
    assert why.summary.startswith("asks for 1 x 0.5 GPU")
    assert "1 could take it when idle" in why.summary
    assert why.workers[0].reason.startswith("has too little GPU free (device 0: 0.2)")
    await kit.status("train", retry_at=T + 5, message="failed before")
    assert (await kit.views.why("train")).summary == "failed before (5 s left)"
    await kit.status("train", phase=Phase.FAILED, reason="Error", message="no")
    assert (await kit.views.why("train")).summary == "Failed (Error): no"
    await kit.put(job(name="s", uid="c" * 32, suspend=True))
    assert "suspend is true" in (await kit.views.why("s")).summary


async def test_server_info_counts(kit: Kit) -> None:
    await kit.report("n1")
    await fill(kit, "a", "b")
    await fill(kit, "c", phase=Phase.FAILED)
    info = await kit.views.server_info()
    assert (info.platform, info.image, info.workers, info.active_jobs) == ("fake", "job", 1, 2)
    assert info.notices


async def test_sources_are_for_the_eyes_of_their_owner_and_of_admins(kit: Kit) -> None:
    """And the time of their last look is told without a record."""
    for name in ("a", "b"):
        meta = ObjectMeta(name=name, owner=f"source-{name}")
        found = Source(metadata=meta, spec=SourceSpec(path="/x"))
        kit.store.put(SOURCES, name, document(found))

    def looked(source: Source) -> Source:
        status = source.status.model_copy(update={"last_sync": T})
        return source.model_copy(update={"status": status})

    views = Views(kit.records, kit.world, kit.platform, kit.clock, "job", shown=looked)
    eyes = Viewer("source-a", own_only=True)

    async def listed(viewer: Viewer) -> list[str]:
        page = await views.list(
            "Source", label_selector="", phase="", limit=5, continue_token="", viewer=viewer
        )
        return [item.metadata.name for item in page.items]

    assert await listed(EVERYTHING) == ["a", "b"]
    assert await listed(eyes) == ["a"]
    with pytest.raises(NotFoundError):
        await views.get("Source", "b", viewer=eyes)
    found_a = await views.get("Source", "a", viewer=eyes)
    assert isinstance(found_a, Source)
    assert found_a.status.last_sync == T
    watch = views.watch("Source", name="", label_selector="", since=0, viewer=eyes)
    first, *_ = await take(watch, 2)
    assert (first.type.value, first.resource.metadata.name) == ("added", "a")
    kit.store.delete(SOURCES, "b")
    kit.store.delete(SOURCES, "a")
    (gone,) = await take(watch, 1)
    assert (gone.type.value, gone.resource.metadata.name) == ("deleted", "a")
