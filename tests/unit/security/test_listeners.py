"""Both listeners on real sockets: who gets in where, and who is kept out."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from cumulus.api import keys
from cumulus.api.gen.cumulus.v1 import agent_pb2, cumulus_pb2, join_pb2
from cumulus.api.server import AGENT, CUMULUS, JOIN
from cumulus.api.web.app import build_app
from cumulus.api.web.probes import Probes
from cumulus.api.web.server import HttpServer
from cumulus.controller.platforms.base import WorkerJoin
from cumulus.controller.security.authority import Authority
from cumulus.crd_like_specs.errors import (
    CumulusError,
    ForbiddenError,
    UnauthenticatedError,
    UnavailableError,
    ValidationError,
)
from cumulus.crd_like_specs.lease import LeaseState
from fleet_kit import (
    ADMIN,
    NAMES,
    FleetKit,
    Machine,
    bearer,
    error_of,
    soon,
    state,
)
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from make import DIGEST, job, lease
from prometheus_client import CollectorRegistry


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await soon(call)
    code: grpc.StatusCode = caught.value.code()
    return code


def blob(worker: str) -> agent_pb2.GetBlobRequest:
    return agent_pb2.GetBlobRequest(digest=DIGEST, worker=worker)


async def want_code_on(fleet: FleetKit, worker: str) -> None:
    """A lease on this worker whose job has the code of DIGEST."""
    await fleet.kit.put(job())
    wanted = lease(LeaseState.PENDING)
    spec = wanted.spec.model_copy(update={"worker": worker})
    await fleet.kit.records.put_lease(wanted.model_copy(update={"spec": spec}))


# Joining


async def test_a_machine_joins_over_the_wire_and_is_let_in(fleet: FleetKit) -> None:
    authority = (await fleet.join().Authority(join_pb2.AuthorityRequest())).certificate
    assert keys.fingerprint(keys.read_certificate(authority)) == fleet.authority.fingerprint
    machine, token = Machine("w1"), await fleet.token()
    answer = await fleet.ask_to_join(machine, token.text)
    assert (answer.worker, answer.platform, answer.image) == ("w1", "process", "sha256:image")
    assert answer.agents == f":{fleet.server.agents_port}"
    machine.certificate = answer.certificate
    call = await fleet.connect(machine)
    call.cancel()
    again = await fleet.ask_to_join(machine, token.text)
    assert again.worker == "w1"
    error = await error_of(fleet.ask_to_join(Machine("w1"), token.text))
    assert isinstance(error, UnauthenticatedError)


async def test_a_swarm_is_told_to_those_that_joined(tmp_path: Path) -> None:
    swarm = WorkerJoin("10.0.0.1:2377", "SWMTKN-1")
    async with FleetKit(tmp_path, swarm) as fleet:
        answer = await fleet.ask_to_join(Machine("w1"), (await fleet.token()).text)
        assert (answer.platform, answer.swarm_manager) == ("swarm", "10.0.0.1:2377")
        assert answer.swarm_join_token == "SWMTKN-1"


@pytest.mark.parametrize("metadata", [(), bearer(ADMIN), bearer(""), (("authorization", "x"),)])
async def test_no_other_token_joins(fleet: FleetKit, metadata: Any) -> None:
    request = join_pb2.JoinRequest(worker="w1", csr=Machine("w1").csr)
    error = await error_of(fleet.join().Join(request, metadata=metadata))
    assert isinstance(error, UnauthenticatedError)
    assert ADMIN not in error.message


async def test_a_join_token_opens_nothing_else(fleet: FleetKit) -> None:
    token = await fleet.token()
    ask = cumulus_pb2.ServerInfoRequest()
    error = await error_of(fleet.cumulus().ServerInfo(ask, metadata=bearer(token.text)))
    assert isinstance(error, UnauthenticatedError)
    ask_token = cumulus_pb2.CreateJoinTokenRequest()
    call = fleet.cumulus().CreateJoinToken(ask_token, metadata=bearer(token.text))
    assert isinstance(await error_of(call), UnauthenticatedError)


async def test_an_admin_makes_tokens(fleet: FleetKit) -> None:
    ask = cumulus_pb2.CreateJoinTokenRequest(ttl=60, worker="w9")
    made = await soon(fleet.cumulus().CreateJoinToken(ask, metadata=bearer(ADMIN)))
    assert made.controller == fleet.clients
    assert (await fleet.ask_to_join(Machine("other"), made.token)).worker == "w9"
    for wrong in ({"ttl": -1}, {"ttl": 1 << 40}, {"worker": "../w"}):
        bad = cumulus_pb2.CreateJoinTokenRequest(**wrong)
        error = await error_of(fleet.cumulus().CreateJoinToken(bad, metadata=bearer(ADMIN)))
        assert isinstance(error, ValidationError)


async def test_a_request_that_is_no_request(fleet: FleetKit) -> None:
    request = join_pb2.JoinRequest(worker="w1", csr=b"-----BEGIN nothing")
    token = await fleet.token()
    error = await error_of(fleet.join().Join(request, metadata=bearer(token.text)))
    assert isinstance(error, ValidationError)


# Agents speak for themselves alone


async def test_no_agent_speaks_for_another(fleet: FleetKit) -> None:
    mine, _ = await fleet.joined("w1"), await fleet.joined("w2")
    call = fleet.agent(mine).Connect()
    await call.write(state("w2"))
    error = await error_of(call.read())
    assert isinstance(error, ForbiddenError)
    assert "is of worker w1" in error.message
    assert "w2" not in fleet.kit.records.workers
    later = await fleet.connect(mine)
    await later.write(state("w2"))
    assert isinstance(await last_error(later), CumulusError)
    assert "w2" not in fleet.kit.records.workers


async def last_error(call: Any) -> CumulusError:
    async def read_on() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass
        await call.code()
        raise AssertionError("it ended well")

    return await error_of(read_on())


async def test_no_agent_reads_the_code_of_another(fleet: FleetKit) -> None:
    mine, theirs = await fleet.joined("w1"), await fleet.joined("w2")
    await want_code_on(fleet, "w2")
    for worker in ("w2", ""):
        error = await error_of(fleet.agent(mine).GetBlob(blob(worker)).read())
        assert isinstance(error, ForbiddenError)
    assert isinstance(await error_of(fleet.agent(mine).GetBlob(blob("w1")).read()), ForbiddenError)
    chunk = await soon(fleet.agent(theirs).GetBlob(blob("w2")).read())
    assert chunk.data == b"zip"


async def test_no_agent_reads_the_images_of_another(fleet: FleetKit) -> None:
    mine = await fleet.joined("w1")
    await fleet.joined("w2")
    ask = agent_pb2.GetImageRequest(id=DIGEST, worker="w2")
    error = await error_of(fleet.agent(mine).GetImage(ask))
    assert isinstance(error, ForbiddenError)
    part = agent_pb2.GetBlobRequest(digest=DIGEST, worker="w2")
    assert isinstance(await error_of(fleet.agent(mine).GetImagePart(part).read()), ForbiddenError)


async def test_no_worker_takes_the_node_of_another(fleet: FleetKit) -> None:
    mine, theirs = await fleet.joined("w1"), await fleet.joined("w2")
    call = await fleet.connect(mine, node_id="node-a")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await fleet.connect(theirs, node_id="node-a")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    other = await fleet.connect(theirs, node_id="node-b")
    await other.write(state("w2", "node-a"))
    assert isinstance(await last_error(other), ForbiddenError)
    call.cancel()


async def test_a_removed_worker_is_cut_off_and_stays_out(fleet: FleetKit) -> None:
    machine = await fleet.joined("w1")
    call = await fleet.connect(machine)
    await fleet.identities.forget("w1")
    await call.write(state("w1"))
    assert isinstance(await last_error(call), UnauthenticatedError)
    again = fleet.agent(machine).Connect()
    await again.write(state("w1"))
    assert isinstance(await error_of(again.read()), UnauthenticatedError)
    renewal = agent_pb2.RenewRequest(csr=machine.csr)
    assert isinstance(await error_of(fleet.agent(machine).Renew(renewal)), UnauthenticatedError)
    assert isinstance(
        await error_of(fleet.agent(machine).GetBlob(blob("w1")).read()), UnauthenticatedError
    )


async def test_a_certificate_is_renewed_over_the_wire(fleet: FleetKit) -> None:
    machine, next_key = await fleet.joined("w1"), keys.new_key()
    csr = keys.request_pem(next_key, "someone-else")
    answer = await soon(fleet.agent(machine).Renew(agent_pb2.RenewRequest(csr=csr)))
    renewed = Machine("w1")
    renewed.key, renewed.certificate = next_key, answer.certificate
    (await fleet.connect(renewed)).cancel()
    old = fleet.agent(machine).Connect()
    await old.write(state("w1"))
    assert isinstance(await error_of(old.read()), UnauthenticatedError)


# The wrong door, the wrong key, no key


async def test_the_agents_port_opens_to_our_certificates_only(
    fleet: FleetKit, tmp_path: Path
) -> None:
    stranger = Machine("w1")
    foreign = Authority.open(tmp_path / "foreign", fleet.now())
    stranger.certificate = foreign.sign(stranger.key.public_key(), "w1", fleet.now())
    server = Machine("w1")  # the server's own certificate is none of a client
    pem = fleet.authority.server_file.read_bytes()
    server.key, server.certificate = keys.read_key(pem), pem[pem.index(b"-----BEGIN CERT") :]
    ended = await fleet.joined("w2")
    ended.certificate = fleet.authority.sign(ended.key.public_key(), "w2", fleet.now() - 31 * 86400)
    for who in (None, stranger, server, ended):
        call = fleet.agent(who).GetBlob(blob("w1"), metadata=bearer(ADMIN))
        assert await code_of(call.read()) is grpc.StatusCode.UNAVAILABLE
    plain = fleet.agent(None, plain=True).GetBlob(blob("w1"), metadata=bearer(ADMIN))
    assert await code_of(plain.read()) is grpc.StatusCode.UNAVAILABLE
    assert not fleet.kit.records.workers


async def test_a_clients_token_is_nothing_on_the_agents_port(fleet: FleetKit) -> None:
    machine = await fleet.joined("w1")
    call = fleet.agent(machine).GetBlob(blob("w2"), metadata=bearer(ADMIN))
    assert isinstance(await error_of(call.read()), ForbiddenError)


async def test_a_workers_certificate_is_nothing_to_the_clients_service(fleet: FleetKit) -> None:
    machine = await fleet.joined("w1")
    ask = cumulus_pb2.ServerInfoRequest()
    error = await error_of(fleet.cumulus(as_=machine).ServerInfo(ask))
    assert isinstance(error, UnauthenticatedError)
    there = fleet.channel(fleet.server.agents_port, as_=machine)
    for method in (f"/{CUMULUS}/ServerInfo", f"/{JOIN}/Authority", "/grpc.health.v1.Health/Check"):
        assert await code_of(there.unary_unary(method)(b"")) is grpc.StatusCode.UNIMPLEMENTED


async def test_agents_are_not_served_on_the_clients_port(fleet: FleetKit) -> None:
    machine = await fleet.joined("w1")
    there = fleet.channel(fleet.port, as_=machine)
    call = there.unary_unary(f"/{AGENT}/Renew")(b"", metadata=bearer(ADMIN))
    assert await code_of(call) is grpc.StatusCode.UNIMPLEMENTED
    stub = reflection_pb2_grpc.ServerReflectionStub(there)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = stub.ServerReflectionInfo(iter([ask]), metadata=bearer(ADMIN))
    (answer,) = [one async for one in answers]
    listed = answer.list_services_response.service
    assert AGENT not in {service.name for service in listed}
    assert {CUMULUS, JOIN} <= {service.name for service in listed}


async def test_plain_text_and_foreign_trust_get_nowhere(fleet: FleetKit, tmp_path: Path) -> None:
    ask = cumulus_pb2.ServerInfoRequest()
    plain = fleet.cumulus(plain=True).ServerInfo(ask, metadata=bearer(ADMIN))
    assert isinstance(await error_of(plain), UnavailableError)
    foreign = Authority.open(tmp_path / "foreign", fleet.now()).certificate
    call = fleet.cumulus(trust=foreign).ServerInfo(ask, metadata=bearer(ADMIN))
    error = await error_of(call)
    assert isinstance(error, UnavailableError)
    assert "CERTIFICATE_VERIFY_FAILED" in error.message


async def test_a_certificate_that_is_replaced_is_served_to_the_next(fleet: FleetKit) -> None:
    ask = cumulus_pb2.ServerInfoRequest()
    before = fleet.cumulus()
    await soon(before.ServerInfo(ask, metadata=bearer(ADMIN)))
    old = await served_on(fleet.port)
    assert fleet.authority.ensure_server([*NAMES, "new.example.org"], fleet.now())
    assert await served_on(fleet.port) != old
    await soon(before.ServerInfo(ask, metadata=bearer(ADMIN)))  # open connections go on
    fleet.authority.server_file.write_bytes(b"half a file")
    assert await served_on(fleet.port) != old  # what was good stays in use


async def served_on(port: int) -> bytes:
    got = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    return got.encode()


async def test_http_serves_the_same_certificate_and_the_renewed_one(fleet: FleetKit) -> None:
    file = str(fleet.authority.server_file)
    app = build_app(
        jobs=None,  # type: ignore[arg-type]  # probes need none
        blobs=None,  # type: ignore[arg-type]  # nor these
        datasets=None,  # type: ignore[arg-type]  # nor these
        numbers=None,  # type: ignore[arg-type]  # nor these
        outputs=None,  # type: ignore[arg-type]  # nor these
        templates=None,  # type: ignore[arg-type]  # nor these
        overview=SimpleNamespace(now=float),  # type: ignore[arg-type]  # nor this
        probes=Probes(list, list),
        registry=CollectorRegistry(),
    )
    server = HttpServer(app, listen="127.0.0.1:0", certificate=file, key=file)
    port = await server.start()
    try:
        trust = ssl.create_default_context(cafile=fleet.authority.path)
        async with httpx.AsyncClient(verify=trust) as client:
            answer = await client.get(f"https://127.0.0.1:{port}/healthz")
            assert answer.json() == {"status": "ok"}
        assert await served_on(port) == await served_on(fleet.port)
        fleet.authority.ensure_server(["localhost"], fleet.now())
        server.renewed()
        assert await served_on(port) == await served_on(fleet.port)
    finally:
        await server.stop()
