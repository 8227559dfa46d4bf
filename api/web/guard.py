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
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...crd_like_specs.errors import CumulusError, ForbiddenError, UnauthenticatedError
from ..audited import Came
from ..auth import Holder, is_loopback, viewer_of
from ..gate import Gate, came_of, came_of_status
from ..rates import LOCAL
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
    """See the module docstring. gate: whose tokens None lets everybody in; now: POSIX seconds; local: only
    this machine reaches us, and where nobody is asked for a token no other name may lead to pages.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        sessions: SessionsPort | None,
        now: Callable[[], float],
        *,
        local: bool,
    ) -> None:
        self._app = app
        self._local = local
        self._gate = gate
        self._tokens = gate.tokens
        self._sessions = sessions
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer with what is wrong with its token."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code, path, method = 0, scope["path"], scope["method"]
        state = scope.setdefault("state", {})
        state.update(viewer=viewer_of(None), holder=None)
        why: CumulusError | None = None

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                self._note(scope, came_of(why) if why else came_of_status(code))
                if is_page(path):
                    headers = MutableHeaders(scope=message)
                    for name, value in _HEADERS.items():
                        headers[name] = value
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._enter(scope)
        except CumulusError as error:
            why = error
            await _refusal(error, scope)(scope, receive, noting)
        else:
            try:
                await self._serve(state["holder"], scope, receive, noting)
            finally:
                if not code:
                    self._note(scope, came_of_status(0))
        logger.bind(code=code).debug("{} {}", method, path)

    def _note(self, scope: Scope, came: tuple[Came, str]) -> None:
        method, path, address = scope["method"], scope["path"], _address(scope)
        made = scope["state"].get("made", "")
        if path == LOGIN and method == "POST" and came[0] is Came.REFUSED:
            self._gate.wrong(address)
        self._gate.note(
            "http",
            method,
            address=address,
            holder=scope["state"]["holder"],
            came=came,
            changes=access.changes(method, path),
            resource=f"{path} {made}" if made else path,
        )

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

    def _enter(self, scope: Scope) -> None:
        """Find out who asks, and whether it may. What is found stands in the request's state."""
        path, method, headers = scope["path"], scope["method"], Headers(scope=scope)
        address, state, gate = _address(scope), scope["state"], self._gate
        if path in access.OPEN_PATHS:
            return
        if self._tokens is None:
            if self._local and path != "/metrics":
                _require_local(headers.get("host", ""))
            if method not in access.SAFE_METHODS:
                require_same_site(headers)  # nothing but its page's origin tells a browser apart
            gate.count(None, address)
            return
        if access.is_open(path):
            if path == LOGIN and method == "POST":
                gate.check_guesses(address)
            gate.count(None, address)
            return
        given = headers.get("authorization")
        if given is None and self._sessions is not None and is_page(path):
            holder: Holder | None = self._sessions.holder(session_of(scope), self._now())
        else:
            holder = gate.enter(given, address)
        assert holder is not None, "there are tokens"
        state.update(viewer=viewer_of(holder), holder=holder)
        gate.count(holder, address)
        access.check(holder.role, method, path)


def _address(scope: Scope) -> str:
    """Of whoever asks, without its port."""
    client = scope.get("client")
    return str(client[0]) if client else LOCAL


def require_same_site(headers: Headers) -> None:
    """ForbiddenError where another site had the browser send this."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise ForbiddenError("this was sent from another site")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForbiddenError("this was sent from another site")


def _require_local(host: str) -> None:
    """A page of another site could have its name lead to this machine, and read what is here."""
    if not is_loopback(host if re.search(r":\d+$", host) else f"{host}:80"):
        raise ForbiddenError(
            "without tokens this is for this machine only: ask for it as localhost"
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
