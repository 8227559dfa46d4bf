"""Which roles may ask what over HTTP: by method, and by path where that is not enough. Pure.

Asked by `guard.py` before any handler runs. What changes nothing (GET, HEAD, OPTIONS) is for all who
may read, everything else for those who may change something, and a line of `RULES` says otherwise.
So a route that is added is closed to viewers and agents without anybody thinking of it. Whose jobs
a handler may touch is another matter: see `guard.viewer`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..auth import Role, require

READERS: Final = frozenset({Role.ADMIN, Role.SUBMITTER, Role.VIEWER})
"""Who may read anything here; agents have nothing to look for."""

WRITERS: Final = frozenset({Role.ADMIN, Role.SUBMITTER})
"""Who may change anything here."""

ADMINS: Final = frozenset({Role.ADMIN})

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing, as RFC 9110 has it, and handlers keep to it."""

LOGIN: Final = "/ui/login"

OPEN_PATHS: Final = ("/healthz", "/readyz", "/jobrunner/health", "/runner/health")
"""Probes: they carry no tokens."""

OPEN_PREFIXES: Final = (LOGIN, "/ui/static/")
"""What somebody needs who is to log in."""


class Rule(NamedTuple):
    """pattern: of the whole path; methods: empty for all; roles: who may; changes: it is noted who
    asked for it.
    """

    pattern: re.Pattern[str]
    methods: frozenset[str]
    roles: frozenset[Role]
    changes: bool


RULES: Final = (
    # Everybody who came in may go out.
    Rule(re.compile("/ui/logout"), frozenset({"POST"}), READERS, changes=False),
    # A document to look at comes in the body, and nothing is written.
    Rule(re.compile("/v1/plan"), frozenset({"POST"}), READERS, changes=False),
    # The fleet, and who may do what, are the operators'.
    Rule(
        re.compile(r"/v1/(workers|projects|tokens|jointokens)(/.*)?"),
        frozenset({"POST", "PUT", "PATCH", "DELETE"}),
        ADMINS,
        changes=True,
    ),
    Rule(re.compile(r"/v1/(tokens|audit)(/.*)?"), frozenset(), ADMINS, changes=False),
)
"""The first that matches decides."""


def is_open(path: str) -> bool:
    """Whether nobody is asked for a token there."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def _rule(method: str, path: str) -> Rule | None:
    for rule in RULES:
        if (not rule.methods or method in rule.methods) and rule.pattern.fullmatch(path):
            return rule
    return None


def roles_for(method: str, path: str) -> frozenset[Role]:
    """Who may call this."""
    rule = _rule(method, path)
    if rule is not None:
        return rule.roles
    return READERS if method in SAFE_METHODS else WRITERS


def changes(method: str, path: str) -> bool:
    """Whether it is worth a line of who asked for it."""
    rule = _rule(method, path)
    return method not in SAFE_METHODS if rule is None else rule.changes


def check(role: Role | None, method: str, path: str) -> None:
    """ForbiddenError where the role may not call this; None: no tokens are configured."""
    verb = "read" if method in SAFE_METHODS else method
    require(role, roles_for(method, path), f"{verb} {path}")
