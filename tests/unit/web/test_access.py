"""Which roles may ask what over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from cumulus.api.audited import Audited
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.gate import Gate
from cumulus.api.web.access import changes, check, roles_for
from cumulus.api.web.calls import made
from cumulus.api.web.guard import Guard
from cumulus.crd_like_specs.errors import ForbiddenError
from fastapi import FastAPI, Request

SECRETS = {role: f"{role.value}-token-0123456789" for role in Role}
READ, WRITE, OWN = {"admin", "submitter", "viewer"}, {"admin", "submitter"}, {"admin"}


@pytest.mark.parametrize(
    ("method", "path", "roles", "noted"),
    [
        ("GET", "/v1/jobs", READ, False),
        ("HEAD", "/v1/outputs/a", READ, False),
        ("OPTIONS", "/runner/jobs", READ, False),
        ("POST", "/v1/jobs", WRITE, True),
        ("DELETE", "/v1/jobs/train", WRITE, True),
        ("PUT", "/jobrunner/datasets/upload", WRITE, True),
        ("POST", "/runner/schedule", WRITE, True),
        ("PROPFIND", "/v1/jobs", WRITE, True),
        ("POST", "/v1/plan", READ, False),
        ("POST", "/v1/plan/x", WRITE, True),
        ("GET", "/v1/workers", READ, False),
        ("POST", "/v1/workers/w1/cordon", OWN, True),
        ("DELETE", "/v1/workers/w1", OWN, True),
        ("PUT", "/v1/projects/vision", OWN, True),
        ("GET", "/v1/projects", READ, False),
        ("GET", "/v1/tokens", OWN, False),
        ("POST", "/v1/tokens", OWN, True),
        ("GET", "/v1/audit", OWN, False),
        ("POST", "/ui/logout", READ, False),
        ("GET", "/metrics", READ, False),
    ],
)
def test_the_rules(method: str, path: str, roles: set[str], noted: bool) -> None:
    assert {role.value for role in roles_for(method, path)} == roles
    assert changes(method, path) is noted
    for role in Role:
        if role.value in roles:
            check(role, method, path)
        else:
            with pytest.raises(ForbiddenError, match=f"the role {role.value} may not"):
                check(role, method, path)
    check(None, method, path)


def _things() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/things")
    @app.post("/v1/things")
    async def things() -> dict[str, str]:
        return {"done": "yes"}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = _things()
    tokens = Tokens({secret: Holder(role) for role, secret in SECRETS.items()})
    transport = httpx.ASGITransport(Guard(app, Gate(tokens), None, lambda: 0.0, local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://controller") as one:
        yield one


def as_(role: Role) -> dict[str, str]:
    return {"authorization": f"Bearer {SECRETS[role]}"}


@pytest.mark.parametrize("role", list(Role))
async def test_a_viewer_reads_and_an_agent_nothing(client: httpx.AsyncClient, role: Role) -> None:
    read = await client.get("/v1/things", headers=as_(role))
    wrote = await client.post("/v1/things", headers=as_(role))
    assert read.status_code == (200 if role.value in READ else 403)
    assert wrote.status_code == (200 if role.value in WRITE else 403)
    if role is Role.VIEWER:
        assert wrote.json()["error"]["reason"] == "FORBIDDEN"
        assert wrote.json()["error"]["message"] == "the role viewer may not POST /v1/things"


@pytest.mark.parametrize(
    ("method", "headers", "local", "code"),
    [
        ("GET", {"host": "localhost:8080"}, True, 200),
        ("POST", {"host": "127.0.0.1:8080"}, True, 200),
        ("GET", {"host": "evil.example.org"}, True, 403),  # its name leads to this machine
        ("POST", {"host": "evil.example.org"}, True, 403),
        ("POST", {"host": "gpu:8080"}, False, 200),
        ("POST", {"host": "gpu:8080", "origin": "http://gpu:8080"}, False, 200),
        ("POST", {"host": "gpu:8080", "origin": "https://evil.example.org"}, False, 403),
        ("POST", {"host": "gpu:8080", "origin": "null"}, False, 403),
        ("POST", {"host": "gpu:8080", "sec-fetch-site": "cross-site"}, False, 403),
    ],
)
async def test_without_tokens_no_other_sites_page_changes_anything(
    method: str,
    headers: dict[str, str],
    local: bool,
    code: int,
) -> None:
    guard = Guard(_things(), Gate(None), None, lambda: 0.0, local=local)
    transport = httpx.ASGITransport(guard)
    async with httpx.AsyncClient(transport=transport, base_url="http://controller") as one:
        answer = await one.request(method, "/v1/things", headers=headers)
    assert answer.status_code == code


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong-token-0123456789"}])
async def test_whoever_has_no_token_is_told_what_to_bring(
    client: httpx.AsyncClient, header: dict[str, str]
) -> None:
    for answer in (
        await client.get("/v1/things", headers=header),
        await client.post("/v1/things", headers=header),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="cumulus"'


class Lines:
    """A journal of calls that only keeps."""

    def __init__(self) -> None:
        self.lines: list[Audited] = []

    def note(self, line: Audited) -> None:
        self.lines.append(line)


async def test_the_journal_says_which_job_a_call_made() -> None:
    face, app, journal = FastAPI(), FastAPI(), Lines()

    @face.post("/jobs")
    async def submit(request: Request) -> str:
        made(request, "train")
        return "done"

    app.mount("/runner", face)
    transport = httpx.ASGITransport(
        Guard(app, Gate(None, audit=journal), None, lambda: 0.0, local=False)
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://controller") as one:
        await one.post("/runner/jobs")
        await one.post("/runner/nothing")
    assert [line.resource for line in journal.lines] == ["/runner/jobs train", "/runner/nothing"]
