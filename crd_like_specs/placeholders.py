"""`{{name}}` in a template's texts, and values in their place. Pure; called by `template.py`.

One pass: what a value brings is never read for placeholders again, and a text stays one text
whatever it is filled with, so that no value becomes a second argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}", re.ASCII)
_OPENING: Final = "{{"


def texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every text in a value of JSON, keys of mappings not among them."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from texts(one, f"{path}[{number}]")


def names(text: str) -> list[str]:
    """Those it holds. ValueError for `{{` that begins none."""
    rest = _PLACEHOLDER.sub("", text)
    if _OPENING in rest:
        at = rest[rest.index(_OPENING) :]
        raise ValueError(f"{at[:40]!r} is no placeholder: expected {{{{name}}}} of a parameter")
    return _PLACEHOLDER.findall(text)


def is_whole(text: str) -> bool:
    """Whether it is one placeholder and nothing else."""
    return _PLACEHOLDER.fullmatch(text) is not None


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with each value as `as_text` has it."""
    return _PLACEHOLDER.sub(lambda found: as_text(values[found[1]]), text)


def fill_all(value: Any, values: Mapping[str, Any]) -> Any:
    """A value of JSON with its texts filled; where a text is one placeholder and nothing else, the
    parameter's own value takes its place: a number stays a number.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        return values[whole[1]] if whole else fill(value, values)
    if isinstance(value, dict):
        return {key: fill_all(one, values) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [fill_all(one, values) for one in value]
    return value


def as_text(value: Any) -> str:
    """As an argument or a variable has it: `true` and `false`, numbers as Python writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
