from __future__ import annotations

from cumulus.api.frames import WatchItem, WatchType
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker
from cumulus.sdk.watching import Known, changed, listed
from hypothesis import given
from hypothesis import strategies as st


def worker(name: str, version: int) -> Worker:
    return Worker(metadata=ObjectMeta(name=name, resource_version=version))


World = dict[str, int]


def history(steps: list[tuple[str, bool]]) -> list[WatchItem]:
    """Every change of a world in which workers come, change and go."""
    items, there = [], set()
    for version, (name, gone) in enumerate(steps, start=1):
        if gone and name not in there:
            continue
        kind = (
            WatchType.DELETED if gone else WatchType.MODIFIED if name in there else WatchType.ADDED
        )
        there.discard(name) if gone else there.add(name)
        items.append(WatchItem(kind, worker(name, version), version))
    return items


def world_at(items: list[WatchItem], version: int) -> World:
    world: World = {}
    for item in items:
        assert item.resource is not None
        if item.resource_version > version:
            break
        if item.type is WatchType.DELETED:
            world.pop(item.resource.metadata.name)
        else:
            world[item.resource.metadata.name] = item.resource_version
    return world


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30),
    breaks=st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 6)), max_size=8),
)
def test_the_told_changes_lead_to_the_world_whatever_breaks(
    steps: list[tuple[str, bool]], breaks: list[tuple[int, bool, int]]
) -> None:
    items = history(steps)
    known, told = listed(Known(), [], 0)
    for count, expired, skipped in [*breaks, (len(items), False, 0)]:
        if expired:  # the position is no longer kept: a new snapshot, somewhat later
            version = min(known.version + skipped, len(steps))
            now = world_at(items, version)
            known, news = listed(known, [worker(n, v) for n, v in now.items()], version)
            told += news
        # the server repeats one item that was told: it is dropped
        start = max(0, known.version - 1) if count % 2 else known.version
        for item in [one for one in items if one.resource_version > start][:count]:
            known, news_item = changed(known, item)
            told += [news_item] if news_item else []
    seen: World = {}
    for item in told:
        assert item.resource is not None
        name, version = item.resource.metadata.name, item.resource.metadata.resource_version
        if item.type is WatchType.ADDED:
            assert name not in seen
        else:
            assert name in seen
        if item.type is WatchType.DELETED:
            seen.pop(name)
        else:
            assert version > seen.get(name, 0)
            seen[name] = version
    assert seen == world_at(items, len(steps))


def test_a_bookmark_moves_the_position_only() -> None:
    known, told = changed(Known(3), WatchItem(WatchType.BOOKMARK, None, 9))
    assert known.version == 9
    assert told is None
