"""What one requirement line of a job may say, so that pip can take it as nothing else. Pure.

Only PEP 508 requirements pass: no options (`-r`, `--index-url`), no local paths, no other schemes
than https and http, no credentials, no environment variables. Checked where a job comes in, and
once more at the last door to pip, on the worker, since a zip brings lines of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .errors import Problem

MOST_LINES: Final = 1000
_LONGEST: Final = 2000  # characters of a line
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


def canonical(line: str) -> str:
    """The requirement as pip is given it, "" for a blank or a comment. ValueError says why not."""
    text = re.sub(r"(^|\s)#.*$", "", line).strip()
    return _check(text) if text else ""


def problems(lines: Sequence[str], path: str) -> list[Problem]:
    """What is wrong with a job's lines, each with its place; path: of the list."""
    found = []
    if len(lines) > MOST_LINES:
        found.append(Problem(f"{len(lines)} lines: expected at most {MOST_LINES}", path=path))
    for number, line in enumerate(lines[:MOST_LINES]):
        try:
            canonical(line)
        except ValueError as e:
            found.append(Problem(f"{shown(line)!r}: {e}", path=f"{path}[{number}]"))
    return found


def redact(text: str) -> str:
    """The text without the user part of any URL in it."""
    return _CREDENTIALS.sub("****@", text)


def shown(text: str) -> str:
    """The line as it may stand in a message."""
    short = redact(text)
    return short if len(short) <= 100 else short[:97] + "..."


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
