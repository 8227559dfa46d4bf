"""What every request is checked for before the controller sees it. Pure."""

from __future__ import annotations

import re
from typing import Final

from ...crd_like_specs.errors import Problem, ValidationError
from ...crd_like_specs.identity import DIGEST_PATTERN, NAME_PATTERN, TEMPLATE_PATTERN
from ...crd_like_specs.job import Phase
from ..convert import KINDS

PAGE_LIMIT: Final = 500
"""Most items of one page, and what a limit of 0 means."""

ACTIVE: Final = "Active"
"""Stands for every phase that is not terminal."""


def kind(given: str) -> str:
    """One of Job, Lease, Worker, Source."""
    if given not in KINDS:
        raise _wrong("kind", given, f"one of {', '.join(KINDS)}")
    return given


def name(given: str, path: str = "name") -> str:
    """A name or uid; both are DNS labels."""
    if not re.fullmatch(NAME_PATTERN, given):
        raise _wrong(path, given, "a name of lower-case letters, digits and inner dashes")
    return given


def name_of(kind: str, given: str) -> str:
    """A name of this kind: those of templates may hold underscores."""
    if kind != "Template":
        return name(given)
    if not re.fullmatch(TEMPLATE_PATTERN, given):
        raise _wrong("name", given, "lower-case letters, digits, inner dashes and underscores")
    return given


def digest(given: str) -> str:
    """`sha256:` and 64 hex digits; nothing else ever becomes part of a path."""
    if not re.fullmatch(DIGEST_PATTERN, given):
        raise _wrong("digest", given, "sha256: and 64 lower-case hex digits")
    return given


def phase(given: str) -> str:
    """A phase, "Active", or "" for any."""
    known = [ACTIVE, *(one.value for one in Phase)]
    if given and given not in known:
        raise _wrong("phase", given, f"one of {', '.join(known)}")
    return given


def limit(given: int) -> int:
    """1 to PAGE_LIMIT."""
    return min(at_least_zero(given, "limit") or PAGE_LIMIT, PAGE_LIMIT)


def at_least_zero(given: int, path: str) -> int:
    """An offset or count."""
    if given < 0:
        raise _wrong(path, given, "0 or more")
    return given


def an_attempt(given: int) -> int:
    """A number from 1, 0 for the current one, -1 for the one before it."""
    if given < -1:
        raise _wrong("attempt", given, "0 or more, or -1 for the attempt before")
    return given


def _wrong(path: str, given: object, expected: str) -> ValidationError:
    return ValidationError([Problem(f"{str(given)[:80]!r} is given, expected {expected}", path)])
