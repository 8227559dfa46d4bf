"""The server itself: health, reflection, sizes, TLS, its port and its end."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cumulus.api.gen.cumulus.v1 import agent_pb2, cumulus_pb2_grpc
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.options import MAX_REQUEST_BYTES
from cumulus.api.server import AGENT, CUMULUS, JOIN, TlsFiles
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    Permanent,
    UnavailableError,
    ValidationError,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from .conftest import World, error_of, read_all, soon
from .fakes import a_job


async def health_of(world: World, service: str) -> str:
    stub = health_pb2_grpc.HealthStub(world.channel)
    answer = await soon(stub.Check(health_pb2.HealthCheckRequest(service=service)))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@pytest.mark.parametrize("service", ["", CUMULUS, AGENT])
async def test_health_of_the_whole_and_of_each_service(world: World, service: str) -> None:
    assert await health_of(world, service) == "SERVING"
    await world.server.set_serving(serving=False)
    assert await health_of(world, service) == "NOT_SERVING"


async def test_reflection_lists_and_describes_our_services(world: World) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(world.channel)
    asks = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=CUMULUS),
    ]
    listed, described = await read_all(stub.ServerReflectionInfo(iter(asks)))
    names = {service.name for service in listed.list_services_response.service}
    assert {CUMULUS, AGENT, "grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_an_oversized_message_ends_its_call_only(world: World) -> None:
    channel = grpc.aio.insecure_channel(
        f"127.0.0.1:{world.port}", options=[("grpc.max_send_message_length", -1)]
    )
    async with channel:
        stub: Any = cumulus_pb2_grpc.CumulusStub(channel)
        request = pb.SubmitRequest(code=bytes(MAX_REQUEST_BYTES))
        call = stub.Submit(iter([request]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await soon(call.read())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await soon(stub.ServerInfo(pb.ServerInfoRequest()))


async def test_a_large_page_fits(world: World) -> None:
    for n in range(20):
        world.jobs.add(a_job(f"j{n}", message="x" * (1 << 20)))
    page = await soon(world.cumulus.List(pb.ListRequest(kind="Job")))
    assert page.ByteSize() > 20 << 20


async def test_an_unknown_method_is_said_to_be_unknown(world: World) -> None:
    unknown = world.channel.unary_unary("/cumulus.v1.Cumulus/Nope")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(unknown(b""))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_that_is_no_proto_does_not_hurt(world: World) -> None:
    garbage = world.channel.unary_unary("/cumulus.v1.Cumulus/Get")
    with pytest.raises(grpc.aio.AioRpcError):
        await soon(garbage(b"\xff\xff\xff"))
    await soon(world.cumulus.ServerInfo(pb.ServerInfoRequest()))


async def test_stopping_ends_streams_with_unavailable_at_once(world: World) -> None:
    world.jobs.add(a_job())
    follow = world.cumulus.Follow(pb.FollowRequest(job="hello"))
    await soon(follow.read())
    stopping = asyncio.ensure_future(world.server.stop(grace=30))
    error = await error_of(follow.read())
    assert isinstance(error, UnavailableError)
    assert "stopping" in error.message
    assert error.job_id == "hello"
    await soon(world.jobs.left.wait())
    await soon(stopping)


async def test_a_port_in_use_is_said_clearly(world: World) -> None:
    with pytest.raises(
        UnavailableError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"
    ):
        async with World(listen=f"127.0.0.1:{world.port}"):
            pass


async def test_without_an_authority_no_machine_joins(world: World) -> None:
    error = await error_of(world.cumulus.CreateJoinToken(pb.CreateJoinTokenRequest()))
    assert isinstance(error, Permanent)
    assert "set tls.auto" in error.message
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(world.channel.unary_unary(f"/{JOIN}/Authority")(b""))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    error = await error_of(world.agent.Renew(agent_pb2.RenewRequest()))
    assert isinstance(error, ForbiddenError)


@pytest.fixture
def tls_files(tmp_path: Path) -> TlsFiles:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        ["openssl", *options.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return TlsFiles(certificate, key)


async def test_tls(tls_files: TlsFiles) -> None:
    async with World(listen="localhost:0", tls=tls_files) as world:
        trust = grpc.ssl_channel_credentials(tls_files.certificate.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{world.port}", trust) as channel:
            stub: Any = cumulus_pb2_grpc.CumulusStub(channel)
            await soon(stub.ServerInfo(pb.ServerInfoRequest()))
        plain = world.cumulus.ServerInfo(pb.ServerInfoRequest())
        assert isinstance(await error_of(plain), UnavailableError)


async def test_tls_files_that_are_not_there(tmp_path: Path) -> None:
    nowhere = tmp_path / "no.pem"
    with pytest.raises(ValidationError, match=r"no\.pem"):
        async with World(tls=TlsFiles(nowhere, nowhere)):
            pass
