"""Pages and their streams end with the token that opened them."""

from __future__ import annotations

import asyncio
from typing import Any

from cumulus.api.auth import Tokens
from cumulus.api.gate import Gate
from cumulus.api.web.guard import Guard
from cumulus.controller.security.api_tokens import IssuedTokens
from cumulus.controller.store import Store
from make import T


class Stream:
    """An application that streams until it is cut off."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, _send: Any) -> None:
        self.open.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.over.set()


async def test_a_stream_of_a_revoked_token_is_cut_off() -> None:
    store = Store.open(None)
    issued = IssuedTokens(store, lambda: T)
    made = await issued.create("screen", "viewer", 0, "boss")
    app = Stream()
    guard = Guard(app, Gate(Tokens({}, issued)), None, lambda: T, local=False)
    headers = [(b"authorization", f"Bearer {made.secret}".encode())]
    scope = {"type": "http", "path": "/ui/live", "method": "GET", "headers": headers}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return await asyncio.Event().wait()

    async with asyncio.timeout(5):
        task = asyncio.ensure_future(guard(scope, receive, send))
        await app.open.wait()
        await issued.revoke(made.token.id, "boss")
        await task
        assert app.over.is_set()
        await guard(scope, receive, send)
    assert sent[0]["status"] in (303, 401)
    store.close()
