"""Tokens that admins hand out: kept as hashes in the store, looked up in memory. I/O: the store.

What is revoked, or comes to its end, ends at once: calls under way are cut off too. Those of the
configuration are none of these: they are changed where they stand. Used by `api.auth.Tokens`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ...api.api_tokens import ApiToken, CreatedToken, new_secret
from ...api.auth import Holder, Role, hashed
from ...api.happened import Happened
from ...api.tenancy import name_problems
from ...api.viewer import PERMISSIONS
from ...crd_like_specs.errors import (
    NotFoundError,
    Problem,
    UnauthenticatedError,
    ValidationError,
)
from ...crd_like_specs.identity import NAME_PATTERN
from ..store import Delete, Put, Store

TABLE: Final = "api_tokens"

MOST: Final = 1000
"""Tokens there may be: each is looked through by those who list them."""

LONGEST: Final = 10 * 365 * 86400
"""Seconds of a token's life."""

ALARM_SLACK: Final = 0.05
"""Seconds after its end at which calls with a token are cut off, so that it is over for sure."""

ROLES: Final = (Role.ADMIN, Role.SUBMITTER, Role.VIEWER)


@dataclass(frozen=True, slots=True)
class _Kept:
    token: ApiToken
    key: bytes
    holder: Holder


class IssuedTokens:
    """now: POSIX seconds; note: keeps an event."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        note: Callable[[Happened], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._now = now
        self._note = note
        self._by_key: dict[bytes, _Kept] = {}
        self._calls: dict[str, set[asyncio.Task[Any]]] = {}
        for record in store.list(TABLE)[0]:
            kept = _read(record.id, record.doc)
            self._by_key[kept.key] = kept

    # What `Tokens` asks

    def holder(self, key: bytes) -> Holder | None:
        """Who holds the token with this hash; None where it is none of these.

        UnauthenticatedError where its time is over.
        """
        kept = self._by_key.get(key)
        if kept is None:
            return None
        if 0 < kept.token.expires_at <= self._now():
            raise UnauthenticatedError(
                "the token's time is over: ask an admin for another (cumulusctl auth token create)"
            )
        return kept.holder

    @contextmanager
    def using(self, holder: Holder) -> Iterator[None]:
        """Around a call that this holder makes: the running task is cancelled once the token ends."""
        task = asyncio.current_task()
        if not holder.token or task is None:
            yield
            return
        calls = self._calls.setdefault(holder.token, set())
        calls.add(task)
        left = holder.expires_at - self._now()
        alarm = None
        if holder.expires_at:
            loop = asyncio.get_running_loop()
            alarm = loop.call_later(max(0.0, left) + ALARM_SLACK, task.cancel)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()
            calls.discard(task)
            if not calls:
                self._calls.pop(holder.token, None)

    def ended(self, holder: Holder) -> bool:
        """Whether the holder's token was revoked, or its time is over."""
        if not holder.token:
            return False
        known = any(kept.token.id == holder.token for kept in self._by_key.values())
        return not known or 0 < holder.expires_at <= self._now()

    # What admins ask

    async def create(
        self,
        name: str,
        role: str,
        ttl: int,
        by: str,
        project: str = "",
        permissions: Collection[str] = (),
    ) -> CreatedToken:
        """ttl: seconds, 0 for no end; by: who asks; project: "" for one called as the holder is.
        ValidationError with every problem.
        """
        project, given = project or name, tuple(sorted(set(permissions)))
        problems = [*_problems(name, role, ttl), *_tenancy_problems(project, given)]
        if len(self._by_key) >= MOST:
            problems.append(Problem(f"there are {MOST} tokens already: revoke some"))
        if problems:
            raise ValidationError(problems)
        now, secret = self._now(), new_secret()
        token = ApiToken(
            secrets.token_hex(8), name, role, now, now + ttl if ttl else 0.0, by, project, given
        )
        key = hashed(secret)
        doc = {
            "hash": key.hex(),
            "name": name,
            "role": role,
            "createdAt": now,
            "expiresAt": token.expires_at,
            "createdBy": by,
            "project": project,
            "permissions": list(given),
        }
        await asyncio.wrap_future(self._store.submit([Put(TABLE, token.id, doc, expect=0)]))
        self._by_key[key] = _Kept(token, key, _holder(token))
        words = f"{token.id} as {role} of project {project}"
        if given:
            words += f", may {', '.join(given)}"
        self._note(Happened("TokenCreated", "Token", name, words, by=by))
        return CreatedToken(secret, token)

    async def revoke(self, id_: str, by: str) -> ApiToken:
        """End it now. NotFoundError where there is none."""
        kept = next((one for one in self._by_key.values() if one.token.id == id_), None)
        if kept is None:
            raise NotFoundError(
                f"token {id_!r} not found: `cumulusctl auth token list` shows the ids there are"
            )
        # First here, where it counts; should the store fail, whoever asked is told.
        del self._by_key[kept.key]
        for task in list(self._calls.get(id_, ())):
            task.cancel()
        await asyncio.wrap_future(self._store.submit([Delete(TABLE, id_)]))
        self._note(Happened("TokenRevoked", "Token", kept.token.name, id_, by=by))
        return kept.token

    def list(self) -> tuple[ApiToken, ...]:
        """By name, then age."""
        found = (kept.token for kept in self._by_key.values())
        return tuple(sorted(found, key=lambda token: (token.name, token.created_at)))


def _problems(name: str, role: str, ttl: int) -> Iterator[Problem]:
    if not re.fullmatch(NAME_PATTERN, name):
        yield Problem("expected a name of lower-case letters, digits and inner dashes", "name")
    known = [one.value for one in ROLES]
    if role not in known:
        yield Problem(f"{role!r:.40} is no role: expected {', '.join(known)}", "role")
    if not 0 <= ttl <= LONGEST:
        yield Problem("expected a time of ten years at most, or 0 for no end", "ttl")


def _tenancy_problems(project: str, permissions: Collection[str]) -> Iterator[Problem]:
    yield from name_problems(project, "project")
    for unknown in sorted(set(permissions) - PERMISSIONS):
        expected = ", ".join(sorted(PERMISSIONS))
        yield Problem(f"{unknown!r:.40} is no permission: expected {expected}", "permissions")


def _holder(token: ApiToken) -> Holder:
    return Holder(
        Role(token.role),
        token.name,
        token.id,
        token.expires_at,
        token.project,
        frozenset(token.permissions),
    )


def _read(id_: str, doc: Any) -> _Kept:
    token = ApiToken(
        id_,
        doc["name"],
        doc["role"],
        doc["createdAt"],
        doc["expiresAt"],
        doc["createdBy"],
        doc.get("project", "") or doc["name"],  # of before there were projects
        tuple(doc.get("permissions", ())),
    )
    return _Kept(token, bytes.fromhex(doc["hash"]), _holder(token))
