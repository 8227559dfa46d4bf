"""What pydantic found wrong, in the words of someone who writes YAML. Pure; used by
`codec.py`, by `api/walk.py` for what comes over the network, and for options and settings; `whole`
wherever words come from a job or a file system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .identity import DIGEST_PATTERN, NAME_PATTERN, TEMPLATE_PATTERN

_PATTERNS: Final = {
    NAME_PATTERN: "lower-case letters, digits and inner dashes, at most 63 characters",
    TEMPLATE_PATTERN: "lower-case letters, digits, inner dashes and underscores, at most 63",
    DIGEST_PATTERN: "sha256: and 64 hex digits",
    "^[A-Za-z_][A-Za-z0-9_]*$": "letters, digits and underscores, no digit first",
}

_PLAIN: Final = {"missing": "is missing", "extra_forbidden": "is no known field"}

_EXPECTED: Final[Mapping[str, str | Callable[[Mapping[str, Any]], str]]] = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text: quote it",
    "string_unicode": "text of whole characters",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "literal_error": lambda context: str(context["expected"]),
    "enum": lambda context: str(context["expected"]),
    "greater_than_equal": lambda context: f"at least {context['ge']}",
    "less_than_equal": lambda context: f"at most {context['le']}",
    "string_too_short": lambda context: _characters("at least", context["min_length"]),
    "string_too_long": lambda context: _characters("at most", context["max_length"]),
    "string_pattern_mismatch": lambda context: _PATTERNS.get(
        context["pattern"], f"text that matches {context['pattern']}"
    ),
}

HALVES: Final = re.compile(r"[\ud800-\udfff]")
"""Half characters, as Python has them in texts: surrogates."""


def whole(text: str) -> str:
    """With U+FFFD in place of half characters, which no store, message or terminal takes: Python
    makes them of file names that are no UTF-8, and JSON may hold them.
    """
    return HALVES.sub("\ufffd", text)


def describe(error: Mapping[str, Any]) -> str:
    """The message for one entry of `pydantic.ValidationError.errors()`."""
    kind = str(error["type"])
    if kind in _PLAIN:
        return _PLAIN[kind]
    expected = _EXPECTED.get(kind)
    if expected is None:  # our own validators' words, or a rare kind in pydantic's
        return str(error["msg"]).removeprefix("Value error, ")
    text = expected if isinstance(expected, str) else expected(error.get("ctx", {}))
    return f"expected {text}, got {clipped(error['input'])}"


def _characters(limit: str, number: int) -> str:
    return f"{limit} {number} character{'' if number == 1 else 's'}"


def clipped(value: object) -> str:
    """What was given, recognisable and short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 80 else f"{text[:77]}…"
