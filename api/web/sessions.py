"""Who is logged in to the dashboard: random ids in cookies, and the hash of the token behind each.

In memory, bounded; a restart logs everybody out. Nothing here holds a token: a session asks with
each request whose hash that is, so that it ends with its token. No I/O.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final

from ...crd_like_specs.errors import UnauthenticatedError
from ..auth import Holder, Tokens, hashed, require
from .access import READERS

LASTS: Final = 12 * 3600.0
"""Seconds from the login to its end, however much is looked at meanwhile."""

MOST: Final = 1_000
"""Logins at once; beyond, the oldest ends."""


class Sessions:
    """See the module docstring. Times are POSIX seconds of the controller's clock."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._open: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    def begin(self, token: str, now: float) -> str:
        """Log in; gives the session's id, which is kept nowhere. UnauthenticatedError,
        ForbiddenError for an agent's token.
        """
        key = hashed(token.strip())
        require(self._tokens.known(key).role, READERS, "look at the dashboard")
        session = secrets.token_urlsafe(32)
        self._open[hashed(session)] = (key, now + LASTS)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
        return session

    def holder(self, session: str, now: float) -> Holder:
        """Whose session this is; UnauthenticatedError where it is none, or none any more."""
        key, ends = self._open.get(hashed(session), (b"", 0.0))
        if now >= ends:
            self.end(session)
            raise UnauthenticatedError("log in: there is no such session, or it is over")
        return self._tokens.known(key)

    def end(self, session: str) -> None:
        """Log out; nothing happens where there is no such session."""
        self._open.pop(hashed(session), None)
