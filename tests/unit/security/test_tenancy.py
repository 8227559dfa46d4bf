"""Projects, limits on calls, and who did what: through a real gRPC server and the HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from cumulus.api.audited import Audited, AuditQuery
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.gate import Gate
from cumulus.api.rates import RateLimits
from cumulus.api.server import GrpcServer
from cumulus.api.tenancy import Project, Quota
from cumulus.api.web.answers import add_errors
from cumulus.api.web.guard import Guard, viewer
from cumulus.api.web.v1 import tenancy
from cumulus.controller.runtime.audit import Audit
from cumulus.controller.runtime.service import JobsService
from cumulus.controller.security.api_tokens import IssuedTokens
from cumulus.crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    ForbiddenError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk import AsyncCumulusClient
from fastapi import FastAPI, Request
from make import spec
from runtime_kit import Kit

BOSS, EYE = "boss-token-0123456789", "eye-token-0123456789"
CONFIGURED = {BOSS: Holder(Role.ADMIN, "boss"), EYE: Holder(Role.VIEWER, "eye")}


class House:
    """A server whose callers have tokens, with a clock for its rates that is moved by hand."""

    def __init__(self, folder: Path, limits: RateLimits) -> None:
        kit = self.kit = Kit(folder)
        self.time = 0.0
        self.folder = folder
        self.audit = Audit(kit.clock, folder / "audit")
        self.issued = IssuedTokens(kit.store, kit.clock.now, kit.events.note)
        tokens = Tokens(CONFIGURED, self.issued)
        kit.projects.named = tokens.projects
        kit.projects.waiting = kit.records.count_waiting
        self.gate = Gate(tokens, limits, self.audit, lambda: self.time)
        self.jobs = JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations)
        self.server = GrpcServer(
            jobs=self.jobs,
            blobs=kit.blobs,
            agents=kit.agents,
            listen="127.0.0.1:0",
            tokens=tokens,
            gate=self.gate,
            projects=kit.projects,
        )
        self.slept: list[float] = []
        self.clients: list[AsyncCumulusClient] = []

    async def __aenter__(self) -> Self:
        self.port = await self.server.start()
        app = FastAPI()
        add_errors(app)

        @app.delete("/v1/jobs/{name}")
        async def delete(name: str, request: Request) -> dict[str, str]:
            job = await self.jobs.seen_by(viewer(request)).delete(name)
            return {"uid": job.metadata.uid}

        app.include_router(tenancy.router(self.kit.projects, self.audit), prefix="/v1")
        guard = Guard(app, self.gate, None, self.kit.clock.now, local=False)
        transport = httpx.ASGITransport(guard, client=("198.51.100.7", 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://controller")
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients:
            await client.close()
        await self.http.aclose()
        await self.server.stop(grace=0.2)
        self.audit.close()
        self.kit.close()

    def as_(self, secret: str) -> AsyncCumulusClient:
        client = AsyncCumulusClient(f"127.0.0.1:{self.port}", secret)
        client._connection._sleep = self._sleep
        self.clients.append(client)
        return client

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    async def lines(self, **query: Any) -> list[tuple[str, ...]]:
        found = self.audit.read(AuditQuery(**query))
        return [_short(line) async for line in found]


def _short(line: Audited) -> tuple[str, ...]:
    return (line.who, line.project, line.method, line.resource, line.outcome, line.reason)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, RateLimits()) as one:
        yield one


def job(name: str = "train") -> Job:
    return Job(metadata=ObjectMeta(name=name), spec=spec(whenUnschedulable="Wait"))


async def refused(call: Any) -> CumulusError:
    with pytest.raises(CumulusError) as caught:
        await call
    return caught.value


async def test_two_tokens_of_a_project_own_the_same_and_share_its_limits(house: House) -> None:
    boss = house.as_(BOSS)
    ann = await boss.create_token("ann", project="vision", quota=Quota(running=4, gpu=2500))
    bob = await boss.create_token("bob", project="vision", permissions=["root"])
    eve = await boss.create_token("eve")
    assert (ann.token.project, bob.token.permissions, eve.token.project) == (
        "vision",
        ("root",),
        "eve",
    )
    made = (await house.as_(ann.secret).apply(job())).resource
    assert made.metadata.owner == "vision"
    seen = await house.as_(bob.secret).get("Job", "train")
    assert seen.metadata.uid == made.metadata.uid
    assert type(await refused(house.as_(eve.secret).get("Job", "train"))) is NotFoundError
    who = await house.as_(bob.secret).whoami()
    assert (who.name, who.project, who.permissions) == ("bob", "vision", ("root",))

    shared = await house.as_(bob.secret).get_project()
    assert (shared.name, shared.quota, shared.tokens) == ("vision", Quota(4, 2500), 2)
    assert shared.use.waiting == 1
    assert await house.as_(eve.secret).list_projects() == (await boss.get_project("eve"),)
    assert [one.name for one in await boss.list_projects()] == ["boss", "eve", "eye", "vision"]
    other = await refused(house.as_(eve.secret).get_project("vision"))
    assert type(other) is ForbiddenError

    # By whom it was asked for is the holder, whose it is the project.
    await house.as_(bob.secret).cancel("train")
    events = [event async for event in boss.events()]
    assert [(e.by, e.owner) for e in events if e.type == "CancelAsked"] == [("bob", "")]


async def test_a_new_token_changes_no_limits_of_others(house: House) -> None:
    boss = house.as_(BOSS)
    await boss.create_token("ann", project="vision", quota=Quota(running=4))
    error = await refused(boss.create_token("bob", project="vision", quota=Quota(running=8)))
    assert type(error) is ConflictError
    assert "running is 4, 8 is given" in error.message
    assert [one.name for one in await boss.list_tokens()] == ["ann"]
    same = Quota(running=4, dataset_bytes=50 << 30)
    await boss.create_token("bob", project="vision", quota=same)
    assert (await boss.get_project("vision")).quota == same
    changed: Project = await boss.set_quota("vision", Quota(gpu=100), lift=["running"])
    assert changed.quota == Quota(None, 100, 50 << 30)
    assert type(await refused(boss.set_quota("vision", lift=["cpus"]))) is ValidationError
    assert type(await refused(boss.set_quota("Vision", Quota(1)))) is ValidationError
    wrong = await refused(boss.create_token("x", project="A", permissions=["everything"]))
    assert "permissions" in wrong.message
    assert "project" in wrong.message


async def test_limits_of_the_configuration_are_changed_there(house: House) -> None:
    house.kit.projects._configured["vision"] = Quota(running=1)
    error = await refused(house.as_(BOSS).set_quota("vision", Quota(running=2)))
    assert type(error) is ConflictError
    assert "configuration" in error.message


async def test_only_admins_set_limits_and_read_the_journal(house: House) -> None:
    ann = await house.as_(BOSS).create_token("ann")
    for secret in (ann.secret, EYE):
        client = house.as_(secret)
        assert type(await refused(client.set_quota("ann", Quota(running=9)))) is ForbiddenError
        assert type(await refused(anext(client.audit()))) is ForbiddenError
    assert (await house.as_(EYE).get_project("ann")).name == "ann"


async def test_a_line_for_whoever_changes_something_or_is_refused(house: House) -> None:
    boss = house.as_(BOSS)
    made = await boss.create_token("ann", project="vision")
    ann, eye = house.as_(made.secret), house.as_(EYE)
    await ann.apply(job())
    await ann.get("Job", "train")
    await ann.cancel("train")
    assert type(await refused(ann.cancel("nothing"))) is NotFoundError
    assert type(await refused(eye.cancel("train"))) is ForbiddenError
    assert type(await refused(house.as_("wrong-0123456789").whoami())) is UnauthenticatedError
    header = {"authorization": f"Bearer {made.secret}"}
    assert (await house.http.delete("/v1/jobs/train", headers=header)).status_code == 200
    header = {"authorization": f"Bearer {EYE}"}
    assert (await house.http.delete("/v1/jobs/train", headers=header)).status_code == 403
    assert (await house.http.delete("/v1/jobs/train")).status_code == 401
    assert (await house.http.get("/v1/none?token=secret-0123456789")).status_code == 401
    found = [line async for line in boss.audit()]
    assert [_short(line) for line in found] == [
        ("boss", "boss", "Cumulus/CreateToken", "ann", "allowed", ""),
        ("ann", "vision", "Cumulus/Apply", "job train", "allowed", ""),
        ("ann", "vision", "Cumulus/Cancel", "train", "allowed", ""),
        ("ann", "vision", "Cumulus/Cancel", "nothing", "failed", "NOT_FOUND"),
        ("eye", "eye", "Cumulus/Cancel", "", "refused", "FORBIDDEN"),
        ("", "", "Cumulus/WhoAmI", "", "refused", "UNAUTHENTICATED"),
        ("ann", "vision", "DELETE", "/v1/jobs/train", "allowed", ""),
        ("eye", "eye", "DELETE", "/v1/jobs/train", "refused", "FORBIDDEN"),
        ("", "", "DELETE", "/v1/jobs/train", "refused", "UNAUTHENTICATED"),
        ("", "", "GET", "/v1/none", "refused", "UNAUTHENTICATED"),
    ]
    assert [line.address for line in found] == ["127.0.0.1"] * 6 + ["198.51.100.7"] * 4
    assert found[1].token == made.token.id
    assert found[0].role == "admin"
    assert [line async for line in boss.audit(AuditQuery(who="eye", tail=1))] == found[7:8]
    house.audit.close()
    kept = b"".join(path.read_bytes() for path in (house.folder / "audit").iterdir())
    assert b"nothing" in kept
    for secret in (made.secret, EYE, BOSS, "secret-0123456789", "wrong-0123456789", "Bearer"):
        assert secret.encode() not in kept


async def test_the_same_over_http(house: House) -> None:
    made = await house.as_(BOSS).create_token("ann", project="vision", quota=Quota(running=4))

    async def ask(secret: str, method: str, path: str, **given: Any) -> Any:
        header = {"authorization": f"Bearer {secret}"}
        return await house.http.request(method, f"/v1{path}", headers=header, **given)

    mine = (await ask(made.secret, "GET", "/projects")).json()["items"]
    assert [(one["name"], one["quota"]["running"]) for one in mine] == [("vision", 4)]
    assert (await ask(made.secret, "GET", "/projects/boss")).status_code == 403
    limits = {"gpu": 2500}
    assert (await ask(made.secret, "PUT", "/projects/vision/quota", json=limits)).status_code == 403
    done = await ask(BOSS, "PUT", "/projects/vision/quota", json=limits)
    assert done.json()["quota"] == {"gpu": 2500}
    assert (await house.as_(BOSS).get_project("vision")).quota == Quota(gpu=2500)
    assert (await ask(BOSS, "PUT", "/projects/vision/quota", json={"gpu": -1})).status_code == 400
    assert (await ask(BOSS, "GET", "/projects/Vision")).status_code == 400
    assert (await ask(made.secret, "GET", "/audit")).status_code == 403
    assert (await ask(BOSS, "GET", "/audit", params={"outcome": "odd"})).status_code == 400
    lines = (await ask(BOSS, "GET", "/audit", params={"who": "ann", "tail": 1})).json()["items"]
    assert [(one["method"], one["resource"], one["outcome"]) for one in lines] == [
        ("GET", "/v1/audit", "refused")
    ]


async def test_a_stream_is_one_line_at_its_first_answer(house: House) -> None:
    made = await house.as_(BOSS).create_token("ann")
    stream = house.as_(made.secret).submit_and_stream(job())
    await anext(stream)
    (line,) = await house.lines(method="Submit")
    assert line[:3] == ("ann", "ann", "Cumulus/Submit")
    assert line[4:] == ("allowed", "")
    await house.as_(BOSS).revoke_token(made.token.id)
    with pytest.raises(CumulusError):
        async for _ in stream:
            pass
    lines = await house.lines(method="Submit")
    assert ("refused", "UNAUTHENTICATED") in [one[4:] for one in lines[1:]]


async def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with House(tmp_path, RateLimits(requests=1, burst=2)) as house:
        header = {"authorization": f"Bearer {BOSS}"}
        codes = [
            (await house.http.delete("/v1/jobs/none", headers=header)).status_code for _ in range(2)
        ]
        late = await house.http.delete("/v1/jobs/none", headers=header)
        assert (codes, late.status_code) == ([404, 404], 429)
        assert late.headers["retry-after"] == "1"
        assert late.json()["error"]["reason"] == "TOO_MANY_REQUESTS"
        # By gRPC the same token is as late, and the client waits as long as it is told to.
        who = await house.as_(BOSS).whoami()
        assert who.name == "boss"
        assert len(house.slept) == 1
        assert 1.0 <= house.slept[0] <= 3.1
        client = house.as_(BOSS)
        client._connection.patience = 0.0

        async def doze(_seconds: float) -> None:
            """No time passes."""

        client._connection._sleep = doze
        house.time += 10
        for _ in range(2):
            await client.whoami()
        error = await refused(client.whoami())
        assert isinstance(error, TooManyRequestsError)
        assert error.retry_after == 1.0
        assert ("boss", "boss", "DELETE", "/v1/jobs/none", "refused", "TOO_MANY_REQUESTS") in (
            await house.lines()
        )
