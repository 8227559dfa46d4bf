"""Requirement lines, checked so that pip can take them as nothing else. Pure.

Called by `prepare`, whatever was checked before: here is the last door to pip. Only PEP 508
requirements pass: no options (`-r`, `--index-url`), no local paths, no other schemes than https
and http, no credentials, no environment variables.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ...crd_like_specs.errors import Permanent

_MOST: Final = 1000  # lines
_LONGEST: Final = 2000  # characters of a line
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


def normalise(lines: Iterable[str]) -> tuple[str, ...]:
    """Canonical requirements, sorted and without repetitions; blanks and comments left out.

    Raises Permanent(reason="RequirementsFailed") that names every line that is refused and why.
    """
    kept: set[str] = set()
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if number > _MOST:
            problems.append(f"more than {_MOST} lines")
            break
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not text:
            continue
        try:
            kept.add(_check(text))
        except ValueError as e:
            problems.append(f"line {number}: {_shown(text)!r}: {e}")
    if problems:
        raise Permanent(
            "the requirements cannot be installed: " + "; ".join(problems),
            reason="RequirementsFailed",
        )
    return tuple(sorted(kept))


def key(image: str, requirements: tuple[str, ...]) -> str:
    """Name of the environment for an image id and normalised requirements: 64 hex digits."""
    text = "\n".join((image, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()


def redact(text: str) -> str:
    """The text without the user part of any URL in it."""
    return _CREDENTIALS.sub("****@", text)


def _check(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    if text.startswith("-"):
        raise ValueError(
            "pip options are not allowed, expected a package such as numpy>=1.26 "
            "(a worker's agent takes its index from PIP_INDEX_URL and PIP_EXTRA_INDEX_URL)"
        )
    if "$" in text or any(ord(c) < 32 for c in text):
        raise ValueError("'$' and control characters are not allowed")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as e:
        raise ValueError(f"expected a package such as numpy>=1.26 ({_reason(e)})") from e
    if requirement.url is not None:
        _check_url(requirement.url)
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("only https and http addresses are allowed, no local or VCS ones")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not hold credentials")


def _reason(error: InvalidRequirement) -> str:
    return redact(str(error).partition("\n")[0])


def _shown(text: str) -> str:
    short = redact(text)
    return short if len(short) <= 100 else short[:97] + "..."
