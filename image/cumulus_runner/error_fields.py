"""What an exception holds beside its text, as far as JSON can say it. Pure; called by the child.

`except MyError as e: e.code` is to work where the exception arrives, and what arrives is only data.
"""

from __future__ import annotations

import json

from .values import whole_characters

LIMIT = 8 << 10
"""Bytes of JSON text; what would go beyond is left out, the largest attributes first."""

_DEPTH = 4
_OF_OS = ("errno", "strerror", "filename", "filename2")


def encode(error: BaseException) -> str:
    """`{"name": value, …}` of its attributes, with its `args` under that name; "" for none."""
    found: dict[str, object] = {"args": error.args}
    if isinstance(error, OSError):
        found |= {name: getattr(error, name) for name in _OF_OS}
    found |= vars(error)
    texts = {
        name: json.dumps(value, allow_nan=False)
        for name, value in found.items()
        if type(name) is str and name.isidentifier() and not name.startswith("_")
        if value not in (None, ()) and _plain(value, _DEPTH)
    }
    kept, size = [], 0
    for name in sorted(texts, key=lambda name: (len(texts[name]), name)):
        size += len(name) + len(texts[name]) + 6
        if size <= LIMIT:
            kept.append(f"{json.dumps(name)}: {texts[name]}")
    return whole_characters(f"{{{', '.join(kept)}}}") if kept else ""


def _plain(value: object, depth: int) -> bool:
    """Of JSON's own types and nothing derived of them, so that no code of the job's is called."""
    kind = type(value)
    if value is None or kind in (str, bool):
        return True
    if kind is int:
        return -(1 << 63) <= value < 1 << 63  # type: ignore[operator]  # a whole number, as asked
    if kind is float:
        return abs(value) < float("inf")  # type: ignore[arg-type]  # likewise; false for NaN
    if not depth:
        return False
    if kind in (list, tuple):
        return all(_plain(item, depth - 1) for item in value)  # type: ignore[attr-defined]
    if kind is dict:
        return all(
            type(key) is str and _plain(item, depth - 1)
            for key, item in value.items()  # type: ignore[attr-defined]
        )
    return False
