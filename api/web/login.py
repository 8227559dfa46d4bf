"""Logging in to the dashboard by pasting a token, and out. I/O: none of its own.

The token comes in the body of a POST, goes to `Sessions`, and nowhere else: not into an address,
a cookie, a log or a page.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from ...crd_like_specs.errors import CumulusError, ValidationError
from ..overview import OverviewPort
from ..status import row
from .access import LOGIN
from .guard import cookie_name, require_same_site, session_of
from .render import Pages
from .sessions import LASTS, Sessions

MOST_BYTES: Final = 8 << 10
"""Of the form."""


def router(pages: Pages, sessions: Sessions | None, overview: OverviewPort) -> APIRouter:
    """The form, and where it is sent to. sessions: None where the controller has no tokens."""
    paths = APIRouter()

    @paths.get(LOGIN)
    async def form(request: Request) -> Response:
        """The form."""
        target = _local(request.query_params.get("next", ""))
        if sessions is None:
            return RedirectResponse(target, 303)
        return HTMLResponse(pages.login(target))

    @paths.post(LOGIN)
    async def login(request: Request) -> Response:
        """Begin a session."""
        target = "/"
        try:
            given = await _form(request)
            target = _local(given.get("next", ""))
            if sessions is None:
                return RedirectResponse(target, 303)
            session = sessions.begin(given.get("token", ""), overview.now())
        except CumulusError as error:
            return HTMLResponse(pages.login(target, error.message), row(error).http)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            cookie_name(request.scope),
            session,
            max_age=int(LASTS),
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    @paths.post("/ui/logout")
    async def logout(request: Request) -> Response:
        """End the session."""
        require_same_site(request.headers)
        if sessions is not None:
            sessions.end(session_of(request.scope))
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(cookie_name(request.scope), path="/", httponly=True, samesite="strict")
        return answer

    return paths


async def _form(request: Request) -> dict[str, str]:
    """What the form says, each name once."""
    require_same_site(request.headers)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise ValidationError(f"the form is larger than {MOST_BYTES} bytes")
    found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in found.items()}


def _local(target: str) -> str:
    """A path of the dashboard, or its first page: nothing leads away from here."""
    known = target.startswith("/ui/job/") and all(c.isalnum() or c in "/-" for c in target)
    return target if known else "/"
