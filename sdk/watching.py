"""What a watch has told, and what is new after a break. PURE; called by `follow.py`.

A watch begins with a snapshot (a list) and goes on with changes after its resource version.
When the version is no longer kept, a second snapshot is compared with what was told, so that
the user sees the same additions, changes and deletions as without the break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..api.frames import Resource, WatchItem, WatchType


@dataclass(frozen=True, slots=True)
class Known:
    """version: the position to go on from; objects: uid or name → the object as last told."""

    version: int = 0
    objects: Mapping[str, Resource] = field(default_factory=dict)


def key_of(resource: Resource) -> str:
    """A job deleted and made anew under its name is another object."""
    return resource.metadata.uid or resource.metadata.name


def listed(
    known: Known, objects: Iterable[Resource], version: int
) -> tuple[Known, list[WatchItem]]:
    """A snapshot was taken at `version`: the changes that lead to it from what is known."""
    now = {key_of(obj): obj for obj in objects}
    items = [
        WatchItem(WatchType.DELETED, old, version)
        for key, old in known.objects.items()
        if key not in now
    ]
    for key, obj in now.items():
        old = known.objects.get(key)
        if old is None:
            items.append(WatchItem(WatchType.ADDED, obj, version))
        elif obj.metadata.resource_version > old.metadata.resource_version:
            items.append(WatchItem(WatchType.MODIFIED, obj, version))
        else:
            now[key] = old
    return Known(max(version, known.version), now), items


def changed(known: Known, item: WatchItem) -> tuple[Known, WatchItem | None]:
    """One item of a watch: the item as the user sees it, or None where it says nothing new."""
    version = max(known.version, item.resource_version)
    obj = item.resource
    if obj is None or item.type is WatchType.BOOKMARK:
        return replace(known, version=version), None
    key = key_of(obj)
    old = known.objects.get(key)
    if item.type is WatchType.DELETED:
        if old is not None and item.resource_version < old.metadata.resource_version:
            return replace(known, version=version), None  # it was made anew since
        rest = {k: v for k, v in known.objects.items() if k != key}
        return Known(version, rest), item if old is not None else None
    if old is not None and obj.metadata.resource_version <= old.metadata.resource_version:
        return replace(known, version=version), None
    kind = WatchType.ADDED if old is None else WatchType.MODIFIED
    told = WatchItem(kind, obj, item.resource_version)
    return Known(version, {**known.objects, key: obj}), told
