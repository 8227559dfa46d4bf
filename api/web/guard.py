"""Around every HTTP request: who asks, errors of that, the access log. I/O: the log only.

A plain ASGI layer and none of `BaseHTTPMiddleware`, which stands between streams and their
clients. Handlers ask `viewer(request)` whose jobs may be shown.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from loguru import logger
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...crd_like_specs.errors import CumulusError
from ..auth import Role, Tokens, require, viewer_of
from ..viewer import Viewer
from .answers import answer

READERS: Final = frozenset({Role.ADMIN, Role.SUBMITTER})
"""Who may read anything here; agents have nothing to look for."""

_OPEN: Final = ("/healthz", "/readyz")  # probes carry no tokens


def viewer(request: Request) -> Viewer:
    """Whose jobs the request may be shown, as the guard found."""
    found: Viewer = request.state.viewer
    return found


class Guard:
    """See the module docstring. tokens: None lets everybody in."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer with what is wrong with its token."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = 0

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            scope.setdefault("state", {})["viewer"] = self._viewer(scope)
        except CumulusError as error:
            await answer(error)(scope, receive, noting)
        else:
            await self._app(scope, receive, noting)
        logger.bind(code=code).debug("{} {}", scope["method"], scope["path"])

    def _viewer(self, scope: Scope) -> Viewer:
        path = scope["path"]
        if self._tokens is None or path in _OPEN:
            return viewer_of(None)
        holder = self._tokens.holder(Headers(scope=scope).get("authorization"))
        require(holder.role, READERS, f"read {path}")
        return viewer_of(holder)
