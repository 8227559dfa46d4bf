"""Tokens, roles, and where it is safe to listen."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cumulus.api import convert
from cumulus.api.auth import Holder, Role, Tokens, allowed, check_exposure, is_loopback, viewer_of
from cumulus.api.gen.cumulus.v1 import agent_pb2 as ab
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from loguru import logger

from .conftest import World, error_of, read_all, soon

SECRETS = {role: f"{role.value}-token-0123456789" for role in Role}
TOKENS = Tokens({secret: Holder(role) for role, secret in SECRETS.items()})
WORKER = Worker(metadata=ObjectMeta(name="w1"))


def as_(role: Role) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer {SECRETS[role]}"),)}


@pytest.fixture
async def guarded() -> AsyncIterator[World]:
    async with World(tokens=TOKENS) as world:
        world.jobs.add(WORKER)
        yield world


def test_tokens_are_known_by_their_hash_only() -> None:
    for role, secret in SECRETS.items():
        assert TOKENS.holder(f"Bearer {secret}").role is role
        assert TOKENS.holder(f"bearer {secret} ").role is role
        assert secret not in repr(vars(TOKENS))


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer wrong-one", "Bearer é\udc80"]
)
def test_anything_else_is_refused_without_repeating_it(given: str | None) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        TOKENS.holder(given)
    assert "wrong-one" not in caught.value.message


def test_short_tokens_are_not_accepted() -> None:
    with pytest.raises(ValidationError, match="16 characters"):
        Tokens({"": Holder(Role.ADMIN)})


def test_submitters_have_a_name_that_stays_and_tells_nothing_of_their_token() -> None:
    named = Holder(Role.SUBMITTER, "team")
    tokens = Tokens({"a" * 16: named, "b" * 16: Holder(Role.SUBMITTER), "c" * 16: named})
    assert tokens.holder(f"Bearer {'a' * 16}") == tokens.holder(f"Bearer {'c' * 16}") == named
    unnamed = tokens.holder(f"Bearer {'b' * 16}")
    assert unnamed.owner == f"submitter-{hashlib.sha256(b'b' * 16).hexdigest()[:8]}"
    assert TOKENS.holder(f"Bearer {SECRETS[Role.ADMIN]}").owner == ""


def test_tokens_of_one_project_see_the_same() -> None:
    mine, his = (Holder(Role.SUBMITTER, name, project="vision").viewer for name in ("ann", "bob"))
    assert (mine.owner, mine.who, his.owner, his.who) == ("vision", "ann", "vision", "bob")
    made = ObjectMeta(name="a", owner=mine.owner)
    assert mine.sees(made)
    assert his.sees(made)
    alone = Holder(Role.SUBMITTER, "ann").viewer
    assert not alone.sees(made)
    assert not mine.sees(ObjectMeta(name="old", owner="ann"))


def test_what_a_token_may_beyond_its_role() -> None:
    assert not Holder(Role.SUBMITTER, "ann").viewer.may("root")
    assert Holder(Role.SUBMITTER, "ann", permissions=frozenset({"root"})).viewer.may("root")
    assert Holder(Role.ADMIN).viewer.may("root")
    assert viewer_of(None).may("root")


def test_who_sees_what() -> None:
    mine, others, nobodys = (ObjectMeta(name="a", owner=o) for o in ("team", "them", ""))
    team = Holder(Role.SUBMITTER, "team").viewer
    assert [team.sees(meta) for meta in (mine, others, nobodys)] == [True, False, False]
    for everything in (viewer_of(None), Holder(Role.ADMIN, "boss").viewer):
        assert all(everything.sees(meta) for meta in (mine, others, nobodys))
    for nothing in (Holder(Role.SUBMITTER).viewer, Holder(Role.AGENT).viewer):
        assert not any(nothing.sees(meta) for meta in (mine, others, nobodys))


@pytest.mark.parametrize("metadata", [None, (("authorization", "Bearer nonsense"),)])
async def test_without_a_token_nothing_of_ours_answers(guarded: World, metadata: Any) -> None:
    calls = [
        guarded.cumulus.ServerInfo(pb.ServerInfoRequest(), metadata=metadata),
        guarded.cumulus.Watch(pb.WatchRequest(kind="Job"), metadata=metadata).read(),
        guarded.cumulus.PutBlob(iter(()), metadata=metadata),
        guarded.agent.Connect(iter(()), metadata=metadata).read(),
    ]
    for call in calls:
        assert isinstance(await error_of(call), UnauthenticatedError)


@pytest.mark.parametrize(
    ("role", "method", "admitted"),
    [
        (Role.SUBMITTER, "ServerInfo", True),
        (Role.AGENT, "ServerInfo", False),
        (Role.ADMIN, "ServerInfo", True),
        (Role.ADMIN, "Cordon", True),
        (Role.SUBMITTER, "Cordon", False),
        (Role.AGENT, "Cordon", False),
        (Role.ADMIN, "Fence", True),
        (Role.SUBMITTER, "Fence", False),
        (Role.SUBMITTER, "RemoveWorker", False),
    ],
)
async def test_roles_of_clients(guarded: World, role: Role, method: str, *, admitted: bool) -> None:
    requests = {
        "ServerInfo": pb.ServerInfoRequest(),
        "Cordon": pb.CordonRequest(worker="w1"),
        "Fence": pb.FenceRequest(worker="w1", fenced=True),
        "RemoveWorker": pb.RemoveWorkerRequest(worker="w1"),
    }
    call = getattr(guarded.cumulus, method)(requests[method], **as_(role))
    if admitted:
        await soon(call)
    else:
        error = await error_of(call)
        assert isinstance(error, ForbiddenError)
        assert role.value in error.message


async def test_only_admins_change_workers(guarded: World) -> None:
    request = pb.ApplyRequest(resource=convert.resource_to_proto(WORKER))
    refused = await error_of(guarded.cumulus.Apply(request, **as_(Role.SUBMITTER)))
    assert isinstance(refused, ForbiddenError)
    await soon(guarded.cumulus.Apply(request, **as_(Role.ADMIN)))


async def test_an_agents_token_with_a_name_is_of_that_worker_alone() -> None:
    secret = "n" * 20
    metadata = {"metadata": (("authorization", f"Bearer {secret}"),)}
    async with World(tokens=Tokens({secret: Holder(Role.AGENT, "w1")})) as world:
        foreign = ab.GetBlobRequest(digest="sha256:" + "0" * 64, worker="w2")
        error = await error_of(world.agent.GetBlob(foreign, **metadata).read())
        assert error.message == "the token is of worker w1, not of w2"
        own = ab.GetBlobRequest(digest="sha256:" + "0" * 64, worker="w1")
        error = await error_of(world.agent.GetBlob(own, **metadata).read())
        assert "not wanted on worker w1" in error.message


async def test_submitters_are_no_agents(guarded: World) -> None:
    request = ab.GetBlobRequest(digest="sha256:" + "0" * 64, worker="w1")
    for role in (Role.SUBMITTER, Role.AGENT):
        error = await error_of(guarded.agent.GetBlob(request, **as_(role)).read())
        assert isinstance(error, ForbiddenError)
        assert ("may not call" in error.message) is (role is Role.SUBMITTER)


async def test_health_is_open_and_reflection_is_not(guarded: World) -> None:
    health = health_pb2_grpc.HealthStub(guarded.channel)
    await soon(health.Check(health_pb2.HealthCheckRequest()))
    stub = reflection_pb2_grpc.ServerReflectionStub(guarded.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    error = await error_of(stub.ServerReflectionInfo(iter([ask])).read())
    assert isinstance(error, UnauthenticatedError)
    found = await read_all(stub.ServerReflectionInfo(iter([ask]), **as_(Role.AGENT)))
    assert len(found) == 1


async def test_no_token_reaches_the_log(guarded: World) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, serialize=True, level=0)
    try:
        await soon(guarded.cumulus.ServerInfo(pb.ServerInfoRequest(), **as_(Role.ADMIN)))
        await error_of(
            guarded.cumulus.ServerInfo(
                pb.ServerInfoRequest(), metadata=(("authorization", "Bearer guess-1234"),)
            )
        )
    finally:
        logger.remove(sink)
    text = "".join(lines)
    assert "ServerInfo OK" in text
    assert '"role": "admin"' in text
    assert "ServerInfo UNAUTHENTICATED" in text
    assert SECRETS[Role.ADMIN] not in text
    assert "guess-1234" not in text


def test_every_method_belongs_to_somebody() -> None:
    assert allowed("/cumulus.v1.Cumulus/Submit") == {Role.ADMIN, Role.SUBMITTER}
    assert allowed("/cumulus.v1.Agent/Connect") == {Role.ADMIN, Role.AGENT}
    assert allowed("/cumulus.v1.Cumulus/Cordon") == {Role.ADMIN}


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:50051", True),
        ("unix:/run/c.sock", True),
        ("0.0.0.0:50051", False),
        ("[::]:50051", False),
        (":50051", False),
        ("10.0.0.1:50051", False),
        ("localhost.example.com:1", False),
    ],
)
def test_loopback(listen: str, *, loopback: bool) -> None:
    assert is_loopback(listen) is loopback


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "127.0.0.1:50051"])
@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("insecure", [True, False])
def test_exposure(listen: str, *, tls: bool, tokens: bool, insecure: bool) -> None:
    refused = listen.startswith("0") and not insecure and not (tls and tokens)

    def check() -> None:
        check_exposure([listen, "[::1]:8080"], tls=tls, tokens=tokens, insecure=insecure)

    if not refused:
        check()
        return
    with pytest.raises(ValidationError) as caught:
        check()
    assert len(caught.value.problems) == 1
    assert listen in caught.value.message
    assert ("TLS" in caught.value.message.split("not configured")[0]) is not tls
    assert "--insecure" in caught.value.message
