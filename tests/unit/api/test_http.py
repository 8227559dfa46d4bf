"""The HTTP side, without a socket and once with one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.web.app import build_app
from cumulus.api.web.probes import Probes
from cumulus.api.web.server import HttpServer
from cumulus.crd_like_specs.errors import StoreError, UnavailableError
from cumulus.crd_like_specs.job import Phase
from dashboard_kit import FakeOverview
from prometheus_client import CollectorRegistry, Counter

from .fakes import UID, FakeBlobs, FakeJobs, a_job

SECRETS = {role: f"{role.value}-token-0123456789" for role in Role}


class Side:
    """The application over fakes, and a client of it."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.jobs = FakeJobs()
        self.against: dict[str, list[str]] = {"healthy": [], "ready": []}
        self.registry = CollectorRegistry()
        self.app = build_app(
            jobs=self.jobs,
            blobs=FakeBlobs(),
            datasets=None,  # type: ignore[arg-type]  # nothing here asks for these
            numbers=None,  # type: ignore[arg-type]  # nor for these
            outputs=None,  # type: ignore[arg-type]  # nothing here asks for these
            templates=None,  # type: ignore[arg-type]  # nor for these
            overview=FakeOverview(),
            probes=Probes(lambda: self.against["healthy"], lambda: self.against["ready"]),
            registry=self.registry,
            tokens=tokens,
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://controller")

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    one = Side()
    async with one.client:
        yield one


@pytest.mark.parametrize(("path", "probe"), [("/healthz", "healthy"), ("/readyz", "ready")])
async def test_probes(side: Side, path: str, probe: str) -> None:
    fine = await side.get(path)
    assert (fine.status_code, fine.json()) == (200, {"status": "ok"})
    side.against[probe].append("the store is read-only")
    bad = await side.get(path)
    assert bad.status_code == 503
    assert bad.json() == {"status": "failing", "problems": ["the store is read-only"]}


async def test_metrics(side: Side) -> None:
    Counter("cumulus_jobs_submitted", "Jobs.", registry=side.registry).inc(3)
    answer = await side.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "cumulus_jobs_submitted_total 3.0" in answer.text


async def test_active_jobs_with_status_and_worker(side: Side) -> None:
    side.jobs.add(a_job("busy", phase=Phase.RUNNING, worker="w1", devices=(0,), started_at=5.0))
    side.jobs.add(a_job("done", phase=Phase.SUCCEEDED))
    body = (await side.get("/v1/jobs")).json()
    assert body == {
        "items": [
            {
                "name": "busy",
                "uid": UID,
                "owner": "",
                "labels": {},
                "phase": "Running",
                "reason": "",
                "message": "",
                "attempt": 0,
                "worker": "w1",
                "devices": [0],
                "submittedAt": 0.0,
                "startedAt": 5.0,
                "expiresAt": 0.0,
                "finishedAt": 0.0,
            }
        ],
        "resourceVersion": 42,
        "continue": "",
    }


async def test_the_query_is_passed_on(side: Side) -> None:
    query = {"phase": "Failed", "limit": "7", "continue": "t", "labelSelector": "a=b"}
    await side.get("/v1/jobs", params=query)
    await side.get("/v1/jobs", params={"phase": "", "limit": "99999"})
    assert side.jobs.asked == [("Job", "a=b", "Failed", 7, "t"), ("Job", "", "", 500, "")]


@pytest.mark.parametrize(
    ("query", "path"),
    [({"phase": "Sleeping"}, "phase"), ({"limit": "x"}, "limit"), ({"limit": "0"}, "limit")],
)
async def test_a_bad_query_is_400_by_the_table(side: Side, query: Any, path: str) -> None:
    answer = await side.get("/v1/jobs", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "VALIDATION"
    assert answer.json()["error"]["problems"][0]["path"] == path


async def test_one_job(side: Side) -> None:
    side.jobs.add(a_job())
    assert (await side.get("/v1/jobs/hello")).json() == a_job().to_dict()
    missing = await side.get("/v1/jobs/gone")
    assert missing.status_code == 404
    assert missing.json()["error"]["job_id"] == "gone"


async def test_errors_follow_the_table(side: Side) -> None:
    side.jobs.fail = StoreError("read-only", job_id=UID)
    answer = await side.get("/v1/jobs")
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "reason": "STORE",
        "message": "read-only",
        "job_id": UID,
        "problems": [],
    }


async def test_a_bug_shows_nothing_of_itself(side: Side) -> None:
    side.jobs.fail = KeyError("secret-internal")
    answer = await side.get("/v1/jobs")
    assert answer.status_code == 500
    assert "internal error" in answer.json()["error"]["message"]
    assert "secret-internal" not in answer.text


async def test_unknown_paths_and_methods_are_json_too(side: Side) -> None:
    assert (await side.get("/nope")).json()["error"]["message"] == "Not Found"
    assert (await side.client.delete("/v1/jobs")).status_code == 405


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, 401),
        ("Bearer nonsense", 401),
        (f"Bearer {SECRETS[Role.AGENT]}", 403),
        (f"Bearer {SECRETS[Role.SUBMITTER]}", 200),
        (f"Bearer {SECRETS[Role.ADMIN]}", 200),
    ],
)
async def test_tokens_guard_all_but_the_probes(token: str | None, code: int) -> None:
    side = Side(Tokens({secret: Holder(role) for role, secret in SECRETS.items()}))
    headers = {"authorization": token} if token else {}
    async with side.client:
        for path in ("/v1/jobs", "/metrics"):
            assert (await side.get(path, headers=headers)).status_code == code
        for path in ("/healthz", "/readyz"):
            assert (await side.get(path)).status_code == 200


async def test_on_a_real_port_beside_the_loop(side: Side) -> None:
    server = HttpServer(side.app, listen="127.0.0.1:0")
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
    await server.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("listen", ["127.0.0.1:{taken}", "127.0.0.1:x", "192.0.2.1:80"])
async def test_an_address_that_cannot_be_had(side: Side, listen: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(side.app, listen=listen.format(taken=taken.getsockname()[1]))
        with pytest.raises(UnavailableError, match="cannot listen on"):
            await server.start()
        await server.stop()
