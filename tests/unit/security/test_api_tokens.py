"""Tokens that admins hand out: kept as hashes, good at once, ended at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import grpc.aio
import pytest
from cumulus.api.auth import Holder, Role, Tokens, allowed, hashed
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc
from cumulus.api.gen.cumulus.v1 import resources_pb2 as res
from cumulus.api.gen.cumulus.v1 import tokens_pb2 as tk
from cumulus.api.happened import Happened
from cumulus.api.server import GrpcServer
from cumulus.controller.runtime.service import JobsService
from cumulus.controller.security import api_tokens
from cumulus.controller.security.api_tokens import TABLE, IssuedTokens
from cumulus.crd_like_specs.errors import (
    CumulusError,
    ForbiddenError,
    NotFoundError,
    Permanent,
    UnauthenticatedError,
    ValidationError,
)
from make import T, job
from runtime_kit import Kit

from ..api.conftest import error_of, soon

ADMIN = "admin-token-0123456789"
METHODS = list(pb.DESCRIPTOR.services_by_name["Cumulus"].methods_by_name)


class House:
    """A server with one admin token in its configuration, and what was handed out since."""

    def __init__(self, folder: Path, *, tokens: bool = True) -> None:
        self.kit = Kit(folder)
        self.told: list[Happened] = []
        self.issued = IssuedTokens(self.kit.store, self.kit.clock.now, self.told.append)
        kit = self.kit
        self.server = GrpcServer(
            jobs=JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations),
            blobs=kit.blobs,
            agents=kit.agents,
            listen="127.0.0.1:0",
            tokens=Tokens({ADMIN: Holder(Role.ADMIN)}, self.issued) if tokens else None,
        )

    async def __aenter__(self) -> Self:
        port = await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = cumulus_pb2_grpc.CumulusStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.2)
        self.kit.close()

    def call(self, secret: str, method: str, request: Any) -> Any:
        return getattr(self.stub, method)(
            request, metadata=(("authorization", f"Bearer {secret}"),)
        )

    async def make(self, name: str = "alice", role: str = "submitter", ttl: int = 0) -> Any:
        request = tk.CreateTokenRequest(name=name, role=role, ttl=ttl)
        return await soon(self.call(ADMIN, "CreateToken", request))

    async def refusal(self, secret: str, method: str, request: Any) -> CumulusError:
        return await error_of(self.call(secret, method, request))


async def to_the_end(call: Any) -> None:
    """Read on until the stream ends, or fails."""

    async def read() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    await soon(read())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        yield one


async def test_a_token_is_good_at_once_and_known_by_its_hash_only(house: House) -> None:
    made = await house.make()
    who = await soon(house.call(made.secret, "WhoAmI", tk.WhoAmIRequest()))
    assert (who.name, who.role, who.id) == ("alice", "submitter", made.token.id)
    assert made.secret.startswith("cmlt1.")
    (record,) = house.kit.store.list(TABLE)[0]
    assert record.doc["hash"] == hashed(made.secret).hex()
    assert made.secret not in repr(record.doc) + repr(made.token) + repr(house.told)
    assert made.secret not in repr(vars(house.issued))
    assert [(e.type, e.name, e.by) for e in house.told] == [("TokenCreated", "alice", "admin")]


async def test_it_outlives_a_restart(house: House) -> None:
    made = await house.make(role="admin")
    again = IssuedTokens(house.kit.store, house.kit.clock.now)
    holder = Tokens({}, again).holder(f"Bearer {made.secret}")
    assert (holder.role, holder.owner) == (Role.ADMIN, "alice")
    assert [token.id for token in again.list()] == [made.token.id]


async def test_tokens_of_one_name_own_the_same_jobs(house: House) -> None:
    first, second = await house.make(), await house.make()
    await house.kit.put(job(meta={"owner": "alice"}))
    for made in (first, second):
        found = await soon(house.call(made.secret, "Get", pb.GetRequest(kind="Job", name="train")))
        assert found.job.metadata.owner == "alice"
    other = await house.make("bob")
    request = pb.GetRequest(kind="Job", name="train")
    assert isinstance(await house.refusal(other.secret, "Get", request), NotFoundError)


async def test_revoked_it_is_over_at_once_open_streams_too(house: House) -> None:
    made = await house.make()
    watch = house.call(made.secret, "Watch", pb.WatchRequest(kind="Worker"))
    assert (await soon(watch.read())).type == pb.WatchEvent.BOOKMARK
    revoke = tk.RevokeTokenRequest(id=made.token.id)
    revoked = await soon(house.call(ADMIN, "RevokeToken", revoke))
    assert revoked.name == "alice"
    error = await error_of(to_the_end(watch))
    assert isinstance(error, UnauthenticatedError)
    assert "revoked" in error.message
    request = tk.WhoAmIRequest()
    error = await house.refusal(made.secret, "WhoAmI", request)
    assert isinstance(error, UnauthenticatedError)
    assert house.kit.store.list(TABLE)[0] == []
    assert isinstance(await house.refusal(ADMIN, "RevokeToken", revoke), NotFoundError)
    assert house.told[-1].type == "TokenRevoked"


async def test_streams_of_other_tokens_go_on(house: House) -> None:
    first, second = await house.make(), await house.make()
    watch = house.call(second.secret, "Watch", pb.WatchRequest(kind="Worker"))
    await soon(watch.read())
    await soon(house.call(ADMIN, "RevokeToken", tk.RevokeTokenRequest(id=first.token.id)))
    await house.kit.report("n1")
    while not (event := await soon(watch.read())).HasField("resource"):
        assert event.type == pb.WatchEvent.BOOKMARK
    assert event.resource.worker.metadata.name == "n1"
    watch.cancel()


async def test_its_time_over_it_is_refused(house: House) -> None:
    made = await house.make(ttl=60)
    assert made.token.expires_at == T + 60
    await soon(house.call(made.secret, "WhoAmI", tk.WhoAmIRequest()))
    house.kit.clock.advance(60)
    error = await house.refusal(made.secret, "WhoAmI", tk.WhoAmIRequest())
    assert isinstance(error, UnauthenticatedError)
    assert "time is over" in error.message


async def test_open_streams_end_with_its_time(house: House) -> None:
    made = await house.make(ttl=1)
    house.kit.clock.advance(0.99)
    watch = house.call(made.secret, "Watch", pb.WatchRequest(kind="Worker"))
    await soon(watch.read())
    house.kit.clock.advance(1)
    assert isinstance(await error_of(to_the_end(watch)), UnauthenticatedError)


@pytest.mark.parametrize(
    ("name", "role", "ttl", "why"),
    [
        ("Alice", "submitter", 0, "name: expected a name of lower-case letters"),
        ("", "submitter", 0, "name: expected"),
        ("alice", "agent", 0, "role: 'agent' is no role: expected admin, submitter, viewer"),
        ("alice", "viewer", -1, "ttl: expected"),
        ("alice", "viewer", 1 << 40, "ttl: expected a time of ten years at most"),
    ],
)
async def test_what_is_wrong_is_said(
    house: House, name: str, role: str, ttl: int, why: str
) -> None:
    request = tk.CreateTokenRequest(name=name, role=role, ttl=ttl)
    error = await house.refusal(ADMIN, "CreateToken", request)
    assert isinstance(error, ValidationError)
    assert why in error.message


async def test_there_are_not_endlessly_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 1)
    await house.make()
    request = tk.CreateTokenRequest(name="bob", role="viewer")
    error = await house.refusal(ADMIN, "CreateToken", request)
    assert "revoke some" in error.message


@pytest.mark.parametrize("role", ["submitter", "viewer"])
async def test_only_admins_hand_out(house: House, role: str) -> None:
    made = await house.make(role=role)
    for method, request in (
        ("CreateToken", tk.CreateTokenRequest(name="x", role="admin")),
        ("RevokeToken", tk.RevokeTokenRequest(id=made.token.id)),
        ("ListTokens", tk.ListTokensRequest()),
    ):
        assert isinstance(await house.refusal(made.secret, method, request), ForbiddenError)


async def test_a_viewer_sees_everything_and_changes_nothing(house: House) -> None:
    made = await house.make("screen", "viewer")
    await house.kit.put(job(meta={"owner": "alice"}))
    found = await soon(house.call(made.secret, "Get", pb.GetRequest(kind="Job", name="train")))
    assert found.job.metadata.owner == "alice"
    for method, request in (
        ("Apply", pb.ApplyRequest(resource=res.Resource())),
        ("Cancel", pb.CancelRequest(name="train")),
        ("Delete", pb.DeleteRequest(name="train")),
        ("Extend", pb.ExtendRequest(name="train", seconds=1)),
        ("Cordon", pb.CordonRequest(worker="n1")),
        ("HasBlob", pb.HasBlobRequest()),
    ):
        assert isinstance(await house.refusal(made.secret, method, request), ForbiddenError)


def test_what_is_new_is_closed_to_viewers_until_it_is_opened() -> None:
    seen = {name for name in METHODS if Role.VIEWER in allowed(f"/cumulus.v1.Cumulus/{name}")}
    assert seen == {
        *("Get", "List", "Watch", "Follow", "Logs", "Result", "Why", "Events", "Plan"),
        *("Usage", "ServerInfo", "WhoAmI"),
    }
    assert Role.VIEWER not in allowed("/cumulus.v1.Agent/Session")


async def test_the_list_has_no_secrets(house: House) -> None:
    made = [await house.make(name) for name in ("bob", "alice")]
    found = await soon(house.call(ADMIN, "ListTokens", tk.ListTokensRequest()))
    assert [token.name for token in found.tokens] == ["alice", "bob"]
    assert not any(one.secret in str(found) for one in made)
    who = await soon(house.call(ADMIN, "WhoAmI", tk.WhoAmIRequest()))
    assert (who.name, who.role, who.id) == ("", "admin", "")


async def test_without_tokens_there_is_nothing_to_hand_out(tmp_path: Path) -> None:
    async with House(tmp_path, tokens=False) as house:
        who = await soon(house.call("", "WhoAmI", tk.WhoAmIRequest()))
        assert who.role == ""
        request = tk.CreateTokenRequest(name="alice", role="viewer")
        error = await house.refusal("", "CreateToken", request)
        assert isinstance(error, Permanent)
        assert "set tokensFile or tls.auto" in error.message


async def test_nothing_is_kept_of_calls_that_are_over(house: House) -> None:
    made = await house.make(ttl=60)
    for _ in range(3):
        await soon(house.call(made.secret, "WhoAmI", tk.WhoAmIRequest()))
    watch = house.call(made.secret, "Watch", pb.WatchRequest(kind="Worker"))
    await soon(watch.read())
    watch.cancel()
    async with asyncio.timeout(5):
        while house.issued._calls:  # noqa: ASYNC110 (the server notices in its own time)
            await asyncio.sleep(0)
