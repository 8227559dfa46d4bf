"""Around every HTTP request: who asks, errors of that, headers of pages, the access log.

A plain ASGI layer and none of `BaseHTTPMiddleware`, which stands between streams and their
clients. Which roles may call what is `access.py`'s; handlers ask `viewer(request)` whose jobs may be
shown and changed. APIs take a bearer token and never
a cookie, so that no other site can have a browser ask for anything; the dashboard takes either.
I/O: the log only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final, Protocol
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...crd_like_specs.errors import CumulusError, ForbiddenError, UnauthenticatedError
from ..auth import Holder, Tokens, is_loopback, viewer_of
from ..viewer import Viewer
from . import access
from .access import LOGIN
from .answers import answer

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class SessionsPort(Protocol):
    """What the guard needs of the sessions."""

    def holder(self, session: str, now: float) -> Holder:
        """Whose it is. UnauthenticatedError."""


def viewer(request: Request) -> Viewer:
    """Whose jobs the request may be shown, as the guard found."""
    found: Viewer = request.state.viewer
    return found


def holder(request: Request) -> Holder | None:
    """Who asks, as the guard found; None where everybody may do everything."""
    found: Holder | None = request.state.holder
    return found


def is_page(path: str) -> bool:
    """Whether the path is of the dashboard."""
    return path == "/" or path.startswith("/ui/")


def cookie_name(scope: Scope) -> str:
    """The session's cookie; browsers let no other host set one that begins with `__Host-`."""
    return "__Host-cumulus" if scope["scheme"] == "https" else "cumulus"


def session_of(scope: Scope) -> str:
    """The session's id as the cookie has it, "" where there is none."""
    try:
        cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return ""
    found = cookies.get(cookie_name(scope))
    return found.value if found else ""


class Guard:
    """See the module docstring. tokens: None lets everybody in; now: POSIX seconds; local: only
    this machine reaches us, and where nobody is asked for a token no other name may lead to pages.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens | None,
        sessions: SessionsPort | None,
        now: Callable[[], float],
        *,
        local: bool,
    ) -> None:
        self._app = app
        self._local = local
        self._tokens = tokens
        self._sessions = sessions
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer with what is wrong with its token."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code, path = 0, scope["path"]

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                if is_page(path):
                    headers = MutableHeaders(scope=message)
                    for name, value in _HEADERS.items():
                        headers[name] = value
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            holder = self._holder(scope)
            scope.setdefault("state", {}).update(viewer=viewer_of(holder), holder=holder)
        except CumulusError as error:
            await _refusal(error, scope)(scope, receive, noting)
        else:
            await self._serve(holder, scope, receive, noting)
        logger.bind(code=code).debug("{} {}", scope["method"], path)

    async def _serve(
        self, holder: Holder | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let it through; a stream that is open when its token ends is cut off."""
        if self._tokens is None or holder is None:
            await self._app(scope, receive, send)
            return
        try:
            with self._tokens.using(holder):
                await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._tokens.ended(holder):
                raise

    def _holder(self, scope: Scope) -> Holder | None:
        """Who asks; None where everybody may."""
        path = scope["path"]
        if self._tokens is None:
            if self._local and is_page(path):
                _require_local(Headers(scope=scope).get("host", ""))
            return None
        if access.is_open(path):
            return None
        given = Headers(scope=scope).get("authorization")
        if given is None and self._sessions is not None and is_page(path):
            holder = self._sessions.holder(session_of(scope), self._now())
        else:
            holder = self._tokens.holder(given)
        access.check(holder.role, scope["method"], path)
        return holder


def _require_local(host: str) -> None:
    """A page of another site could have its name lead to this machine, and read what is here."""
    if not is_loopback(host if re.search(r":\d+$", host) else f"{host}:80"):
        raise ForbiddenError(
            "without tokens the dashboard is for this machine only: ask for it as localhost"
        )


def _refusal(error: CumulusError, scope: Scope) -> Response:
    """A browser that asks for a page is sent to the login; what runs in one is told to go there."""
    if not is_page(scope["path"]) or not isinstance(error, UnauthenticatedError):
        return answer(error)
    headers, path = Headers(scope=scope), scope["path"]
    if "hx-request" in headers:
        return JSONResponse({}, 401, {"hx-redirect": LOGIN})
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        return RedirectResponse(f"{LOGIN}?next={quote(path, safe='')}", 303)
    return answer(error)
