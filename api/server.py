"""The gRPC server: its port, credentials, health, reflection and orderly end. I/O: network.

Built and started by `controller.main`; tests start it on a free loopback port.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ..crd_like_specs.errors import UnavailableError, ValidationError
from .auth import Tokens
from .gen.cumulus.v1 import agent_pb2, agent_pb2_grpc, cumulus_pb2, cumulus_pb2_grpc
from .interceptor import Interceptor
from .options import MAX_CODE_BYTES, SERVER_OPTIONS
from .ports import AgentsPort, BlobsPort, JobsPort
from .servicers.agent import AgentServicer
from .servicers.cumulus import CumulusServicer

CUMULUS = cumulus_pb2.DESCRIPTOR.services_by_name["Cumulus"].full_name
AGENT = agent_pb2.DESCRIPTOR.services_by_name["Agent"].full_name


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the server's certificate chain and private key."""

    certificate: Path
    key: Path


class GrpcServer:
    """See the module docstring. listen: `host:port`, port 0 for a free one.

    It answers health checks with NOT_SERVING until `set_serving(True)`.
    """

    def __init__(
        self,
        *,
        jobs: JobsPort,
        blobs: BlobsPort,
        agents: AgentsPort,
        listen: str,
        tls: TlsFiles | None = None,
        tokens: Tokens | None = None,
        max_code: int = MAX_CODE_BYTES,
    ) -> None:
        self._listen = listen
        self._tls = tls
        self._interceptor = Interceptor(tokens)
        published: Any = health  # its type stubs lack `aio`
        self._health = published.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[self._interceptor], options=list(SERVER_OPTIONS)
        )
        add_cumulus: Any = cumulus_pb2_grpc.add_CumulusServicer_to_server
        self._cumulus = CumulusServicer(jobs, blobs, max_code=max_code)
        add_cumulus(self._cumulus, self._server)
        add_agent: Any = agent_pb2_grpc.add_AgentServicer_to_server
        add_agent(AgentServicer(agents, blobs), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection(
            [CUMULUS, AGENT, health_name, reflection.SERVICE_NAME], self._server
        )

    async def start(self) -> int:
        """Listen; gives the port. UnavailableError where the address cannot be had."""
        await self.set_serving(serving=False)
        credentials = _credentials(self._tls) if self._tls else None
        _check_free(self._listen)
        try:
            port = (
                self._server.add_secure_port(self._listen, credentials)
                if credentials
                else self._server.add_insecure_port(self._listen)
            )
        except RuntimeError as e:
            raise UnavailableError(f"cannot listen on {self._listen}") from e
        await self._server.start()
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """What health checks answer, for the whole server and each service."""
        answer = health_pb2.HealthCheckResponse
        status = answer.SERVING if serving else answer.NOT_SERVING
        for service in ("", CUMULUS, AGENT):
            await self._health.set(service, status)

    async def stop(self, grace: float = 5.0) -> None:
        """Say NOT_SERVING, end open streams with UNAVAILABLE, give calls `grace` seconds, and
        wait for writes under way, so that the store may be closed afterwards.
        """
        await self._health.enter_graceful_shutdown()
        self._interceptor.end_streams()
        await self._server.stop(grace)
        await self._cumulus.settle()


def _check_free(listen: str) -> None:
    """UnavailableError where nobody could listen there: gRPC would not tell us why, and would
    write its own line on stderr.
    """
    host, _, port = listen.rpartition(":")
    refused: OSError | None = None
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(address)
                    trial.listen(1)
                except OSError as e:
                    refused = e
                else:
                    return
    except OSError as e:
        refused = e
    why = refused.strerror if refused and refused.strerror else "no such address"
    raise UnavailableError(f"cannot listen on {listen}: {why}") from refused


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    try:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    except OSError as e:
        raise ValidationError(f"cannot read {e.filename}: {e.strerror}") from e
    return grpc.ssl_server_credentials([pair])
