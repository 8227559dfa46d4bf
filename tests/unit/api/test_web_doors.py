"""Every route there is: without a right token nothing is read or changed, but health."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cumulus.api.auth import Holder, Role, Tokens
from fastapi import FastAPI
from starlette.routing import Mount

from .ownership_kit import SECRETS, House

OPEN = {"/healthz", "/readyz", "/jobrunner/health", "/runner/health", "/ui/login"}
AGENT, VIEWER = "agent-token-0123456789", "viewer-token-0123456789"
TOKENS = Tokens(
    {
        SECRETS["hers"]: Holder(Role.SUBMITTER, "hers"),
        AGENT: Holder(Role.AGENT),
        VIEWER: Holder(Role.VIEWER),
    }
)
LOOKS = {"/v1/plan", "/ui/logout", "/jobrunner/outputs/index/x"}
"""They change nothing."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, TOKENS) as one:
        await one.fill()
        yield one


def routes(app: FastAPI, below: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of everything, with `x` for every parameter."""
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            yield from routes(route.app, route.path)
    for path, calls in app.openapi()["paths"].items():
        for method in calls:
            yield method.upper(), below + re.sub(r"\{[^}]*\}", "x", path)


async def test_no_route_without_a_right_token(house: House) -> None:
    app: Any = house.http._app
    known = sorted(set(routes(app)))
    assert len(known) > 70
    assert {path.split("/")[1] for _, path in known} >= {"v1", "runner", "jobrunner", "metrics"}
    before = house.kit.store.version
    async with httpx.AsyncClient(base_url=house.web, trust_env=False) as client:
        for method, path in known:
            if path in OPEN or path.startswith("/ui/static"):
                continue
            for token, code in ((None, 401), ("nonsense-0123456789", 401), (AGENT, 403)):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                answer = await client.request(method, path, headers=headers)
                found = answer.status_code  # who guesses too often is not even told
                assert found in (code, 429), (method, path, token, found)
    assert house.kit.store.version == before


async def test_who_only_looks_changes_nothing(house: House) -> None:
    before = house.kit.store.version
    app: Any = house.http._app
    headers = {"authorization": f"Bearer {VIEWER}"}
    async with httpx.AsyncClient(base_url=house.web, trust_env=False, headers=headers) as client:
        for method, path in sorted(set(routes(app))):
            if method in ("GET", "HEAD") or path in OPEN or path in LOOKS:
                continue
            assert (await client.request(method, path)).status_code == 403, (method, path)
    assert house.kit.store.version == before
