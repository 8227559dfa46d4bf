"""How this machine becomes a worker: `cumulus-agent join`. I/O: network, the identity's folder.

Nothing is trusted but the fingerprint in the token. The server's certificate is fetched unverified;
over it the authority is asked for, which carries no secret; only where its fingerprint is the
token's is a second connection made, which trusts that authority alone, and the token sent over it.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from cryptography import x509
from loguru import logger

from ...api import keys, status
from ...api.gen.cumulus.v1 import agent_pb2 as agent_pb
from ...api.gen.cumulus.v1 import agent_pb2_grpc, join_pb2_grpc
from ...api.gen.cumulus.v1 import join_pb2 as pb
from ...api.identity_folder import KEY, write_identity
from ...api.joining import Joined, JoinToken
from ...api.options import CHANNEL_OPTIONS
from ...api.private_files import private_folder, write_private
from ...crd_like_specs.errors import (
    CumulusError,
    ForbiddenError,
    UnauthenticatedError,
    UnavailableError,
    ValidationError,
)
from .identity import load_identity, open_channel

SECONDS: Final = 30.0
"""Longest time for one answer."""


async def join(controller: str, folder: Path, worker: str, token: JoinToken) -> Joined:
    """Have an identity in the folder; what the controller said. worker: name wished for.

    Done again it uses the same key. ForbiddenError, UnauthenticatedError or ConflictError where
    the controller refuses or cannot be trusted, UnavailableError where it cannot be reached,
    ValidationError for what is wrong here, OSError where the folder cannot be written.
    """
    private_folder(folder)
    key = _own_key(folder / KEY)
    authority = await _authority(controller, token.fingerprint)
    credentials = grpc.ssl_channel_credentials(authority)
    async with grpc.aio.secure_channel(controller, credentials, options=CHANNEL_OPTIONS) as channel:
        stub: Any = join_pb2_grpc.JoinStub(channel)  # type: ignore[no-untyped-call]
        request = pb.JoinRequest(worker=worker, csr=keys.request_pem(key, worker))
        metadata = (("authorization", f"Bearer {token.text}"),)
        try:
            answer = await stub.Join(request, metadata=metadata, timeout=SECONDS)
        except grpc.aio.AioRpcError as e:
            refused = _understood(e, controller)
            if isinstance(refused, UnauthenticatedError):
                there = await _already(folder, authority)
                if there is not None:
                    logger.info("this machine is worker {} already: nothing changes", there.worker)
                    return there
            raise refused from e
    joined = _checked(answer, authority, key, controller)
    write_identity(folder, joined)
    return joined


def _own_key(path: Path) -> keys.Key:
    """The key in the file, made where there is none. It never leaves this machine."""
    if path.exists():
        return keys.read_key(path.read_bytes())
    key = keys.new_key()
    write_private(path, keys.key_pem(key))
    return key


async def _authority(controller: str, fingerprint: str) -> bytes:
    """Certificate (PEM) of the authority that the token vouches for."""
    server = await asyncio.to_thread(_server_certificate, controller)
    options = (*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", _some_name(server)))
    unverified = grpc.ssl_channel_credentials(server.encode())
    async with grpc.aio.secure_channel(controller, unverified, options=options) as channel:
        stub: Any = join_pb2_grpc.JoinStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer = await stub.Authority(pb.AuthorityRequest(), timeout=SECONDS)
        except grpc.aio.AioRpcError as e:
            raise _understood(e, controller) from e
    try:
        found = keys.read_certificate(answer.certificate)
    except ValidationError as e:
        raise ForbiddenError(f"{controller} has no authority to show") from e
    if not hmac.compare_digest(keys.fingerprint(found), fingerprint):
        raise ForbiddenError(
            f"{controller} is not the controller that the token is of, or someone is in between: "
            "its authority has another fingerprint; nothing was sent to it"
        )
    return keys.certificate_pem(found)  # it alone, whatever else was in the answer


def _server_certificate(controller: str) -> str:
    """PEM, as the server shows it to anybody."""
    host, _, port = controller.rpartition(":")
    try:
        return ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=SECONDS)
    except ssl.SSLError as e:
        raise UnavailableError(
            f"{controller} does not speak TLS: is it the controller's gRPC port, and is tls.auto on?"
        ) from e
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise UnavailableError(f"cannot reach the controller at {controller}: {why}") from e


def _some_name(certificate: str) -> str:
    """A name that the certificate is for; whether it is the right one is not asked yet."""
    try:
        found = keys.read_certificate(certificate.encode())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)[0]
    except (ValidationError, x509.ExtensionNotFound, IndexError):
        return "localhost"


def _checked(answer: Any, authority: bytes, key: keys.Key, controller: str) -> Joined:
    """The answer, with the host that was dialled where it leaves one out."""
    certificate = keys.read_certificate(answer.certificate)
    if not keys.issued_by(certificate, keys.read_certificate(authority)):
        raise ForbiddenError("the certificate that came is not of the controller's authority")
    if keys.key_hash(certificate.public_key()) != keys.key_hash(key.public_key()):
        raise ForbiddenError("the certificate that came is for another key")
    agents = answer.agents
    if agents.startswith(":"):
        agents = controller.rpartition(":")[0] + agents
    return Joined(
        worker=answer.worker,
        agents=agents,
        platform=answer.platform,
        certificate=answer.certificate,
        authority=authority,
        swarm_manager=answer.swarm_manager,
        swarm_join_token=answer.swarm_join_token,
        image=answer.image,
        version=answer.version,
    )


async def _already(folder: Path, authority: bytes) -> Joined | None:
    """What an earlier join wrote, where the controller still lets this machine in by it."""
    try:
        there = load_identity(folder)
    except (ValidationError, FileNotFoundError):
        return None
    if there.authority != authority:
        return None
    async with open_channel(there, there.agents) as channel:
        stub: Any = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        # Who asks is looked at first; that there is no such blob says that we are known.
        request = agent_pb.GetBlobRequest(worker=there.worker)
        try:
            await stub.GetBlob(request, timeout=SECONDS).read()
        except grpc.aio.AioRpcError as e:
            if not isinstance(status.from_grpc(e), ValidationError):
                return None
    return Joined(
        there.worker, there.agents, there.platform, there.certificate, authority, image=there.image
    )


def _understood(error: grpc.aio.AioRpcError, controller: str) -> CumulusError:
    """What went wrong, in words of ours."""
    details = error.details() or ""
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return ForbiddenError(f"machines cannot join the controller at {controller}: set tls.auto")
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return ForbiddenError(
            f"{controller} shows a certificate that is not of its own authority: "
            "someone may be in between; nothing was sent to it"
        )
    if "is not in peer certificate" in details or "Hostname" in details:
        host = controller.rpartition(":")[0]
        return UnavailableError(
            f"the controller's certificate is not for {host}: "
            f"set `advertise: {host}` in its configuration, or dial it by a name it has"
        )
    found = status.from_grpc(error)
    if type(found) is UnavailableError:
        why = found.message.rsplit(": ", 1)[-1]  # gRPC tells its own way there first
        if "ALPN" in details or "Socket closed" in details:
            why = "it takes no calls: expected the clients' gRPC port, 50051 unless configured"
        return UnavailableError(f"cannot reach the controller at {controller}: {why}")
    return found
