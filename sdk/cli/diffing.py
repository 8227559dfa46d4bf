"""Two states of an object, field by field. PURE.

Only what people write is compared: labels, annotations and spec.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...api.frames import Resource

_OURS: Final = "cumulus.dev/"
"""Annotations that begin so are the controller's."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs. path: dotted; before, after: JSON as Python has it, None: not there."""

    path: str
    before: Any
    after: Any

    def text(self) -> str:
        """`spec.duration: 1h → 2h`."""
        return f"{self.path}: {shown(self.before)} → {shown(self.after)}"


def fields(before: Resource | None, after: Resource | None) -> list[Field]:
    """Those that differ, in the order in which they stand."""
    return list(_differ("", _written(before), _written(after)))


def shown(value: Any) -> str:
    """In one line; long text is cut."""
    if value is None:
        return "none"
    if isinstance(value, str):
        lines = value.strip().splitlines()
        if len(lines) > 1:
            return f"{_cut(lines[0])} (+{len(lines) - 1} lines)"
        return _cut(value) if value else '""'
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str, limit: int = 72) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _written(obj: Resource | None) -> dict[str, Any]:
    if obj is None:
        return {}
    body = obj.to_dict()
    notes = obj.metadata.annotations.items()
    meta = {
        "labels": dict(obj.metadata.labels),
        "annotations": {key: value for key, value in notes if not key.startswith(_OURS)},
    }
    return {"metadata": meta, "spec": body.get("spec", {})}


def _differ(path: str, before: Any, after: Any) -> Iterator[Field]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            name = f"{path}.{key}" if path else str(key)
            yield from _differ(name, before.get(key), after.get(key))
        return
    yield Field(path, before, after)
