"""Label selectors: `key=value,key!=value,key,!key`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ...crd_like_specs.errors import ValidationError

Matches = Callable[[Mapping[str, str]], bool]

_TERM = re.compile(r"^(!?)([A-Za-z0-9][A-Za-z0-9._/-]*)(?:(==|=|!=)([A-Za-z0-9._/-]*))?$")


def parse_selector(text: str) -> Matches:
    """A test over labels; "" matches all. ValidationError names the term that is wrong."""
    terms = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(terms):
        raise ValidationError(f"label selector {text!r} has nothing before or behind a comma")
    tests = [_term(term) for term in terms]
    return lambda labels: all(test(labels) for test in tests)


def _term(text: str) -> Matches:
    match = _TERM.match(text)
    if not match or (match[1] and match[3]):
        raise ValidationError(
            f"label selector {text!r} is not understood: expected key=value, key!=value, key or !key"
        )
    negated, key, operator, value = match.groups()
    if operator is None:
        return (lambda labels: key not in labels) if negated else (lambda labels: key in labels)
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value
