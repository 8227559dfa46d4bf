r"""`-o jsonpath=TEMPLATE`: parts of objects as text, as kubectl has it. PURE.

    {.status.phase}
    {range .items[*]}{.metadata.name}{"\t"}{.status.phase}{"\n"}{end}
    {.items[?(@.status.phase=="Running")].metadata.name}

What is in braces is a path (RFC 9535, by python-jsonpath), text in quotes, or `range PATH` … `end`;
what is outside of them is written as it is. Without braces the whole is one path. Several values of
a path are written with blanks between; text as it is, everything else as JSON. Imported when used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jsonpath as library
from jsonpath.exceptions import JSONPathError

from ...crd_like_specs.errors import ValidationError

_PIECE = re.compile(r"""\{((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^{}"'])*)\}""")

_ESCAPED = re.compile(r"\.((?:[^.\[\]\\\s]*\\.)+[^.\[\]\\\s]*)")
"""A name with dots that are escaped, as kubectl takes `.metadata.labels.example\\.org/team`."""


@dataclass(slots=True)
class _Range:
    """What is written for each value of a path."""

    path: Any
    body: list[Any] = field(default_factory=list)


class Template:
    """A template, understood once. ValidationError says where it is not."""

    def __init__(self, text: str) -> None:
        self._parts = _parse(text)

    def of(self, value: Any) -> str:
        """The text for this value (JSON as Python has it)."""
        return "".join(_written(self._parts, value))


def _parse(text: str) -> list[Any]:
    if "{" not in text:
        return [_path(text)]
    parts: list[Any] = []
    open_: list[_Range] = []
    at = 0
    for piece in _PIECE.finditer(text):
        into = open_[-1].body if open_ else parts
        into += _literal(text, at, piece.start())
        at = piece.end()
        inner = piece[1].strip()
        if inner == "end":
            if not open_:
                raise ValidationError("jsonpath: {end} without a {range …} before it")
            open_.pop()
        elif inner.startswith("range "):
            open_.append(_Range(_path(inner.removeprefix("range ").strip())))
            into.append(open_[-1])
        elif inner[:1] in ("'", '"'):
            into.append(_quoted(inner))
        else:
            into.append(_path(inner))
    if open_:
        raise ValidationError("jsonpath: {range …} without an {end} behind it")
    return parts + _literal(text, at, len(text))


def _literal(text: str, start: int, end: int) -> list[str]:
    """What stands between braces."""
    piece = text[start:end]
    if "{" in piece or "}" in piece:
        raise ValidationError(f"jsonpath: a brace is not closed in {text!r}")
    return [piece] if piece else []


def _quoted(text: str) -> str:
    inner = text[1:-1] if len(text) > 1 and text[-1] == text[0] else None
    if inner is None:
        raise ValidationError(f"jsonpath: the text {text} does not end with its quote")
    escapes = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), inner)


def _path(text: str) -> Any:
    """`.a.b`, `a.b`, `$.a.b`, `@` and `[0].b` all begin at the value itself."""
    path = text.strip()
    if path[:1] in ("$", "@"):
        path = f"${path[1:]}"
    else:
        path = f"$.{path}" if path and path[0] not in ".[" else f"${path}"
    path = _ESCAPED.sub(lambda found: f"['{found[1].replace(chr(92), '')}']", path)
    if path == "$.":  # kubectl's own way to say: all of it
        path = "$"
    try:
        return library.compile(path)
    except JSONPathError as e:
        why = str(e).splitlines()[0] or type(e).__name__
        raise ValidationError(
            f"jsonpath: {text.strip()!r} is not understood ({why}): "
            "expected a path such as {.status.phase}"
        ) from e


def _written(parts: list[Any], value: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, _Range):
            for one in part.path.findall(value):
                yield from _written(part.body, one)
        else:
            yield " ".join(_text(one) for one in part.findall(value))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
