"""Errors of the compatible faces, with their message where clients of those systems look for it. Pure.

Around the whole application, since the guard's refusals are errors too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEAST: Final = 400


class Detailed:
    """Puts the message of an error's body beside it as `detail`. below: beginnings of paths."""

    def __init__(self, app: ASGIApp, below: Sequence[str]) -> None:
        self._app = app
        self._below = tuple(below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, but for errors below those paths."""
        if scope["type"] != "http" or not scope["path"].startswith(self._below):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def detailing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] >= _LEAST:
                start = message
            elif start is not None and message["type"] == "http.response.body":
                data = _with_detail(message.get("body", b""))
                MutableHeaders(scope=start)["content-length"] = str(len(data))
                await send(start)
                start = None
                await send({**message, "body": data})
            else:
                await send(message)

        await self._app(scope, receive, detailing)


def _with_detail(body: bytes) -> bytes:
    """Errors are small, and come in one piece (`answers.py`); a range that is not there has no body."""
    if not body:
        return body
    error = json.loads(body)
    return json.dumps({"detail": error["error"]["message"], **error}).encode()
