"""One port with a gRPC server behind it: address, credentials, interceptor. I/O: network, PEM files.

`server.py` puts services on it. A certificate that is replaced on disk is served from the next
connection on: files are looked at with each handshake, and read anew when they have changed.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from loguru import logger

from ..crd_like_specs.errors import UnavailableError, ValidationError
from .gate import Gate
from .interceptor import Interceptor
from .options import SERVER_OPTIONS


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the server's certificate chain and private key (one file may hold both).

    clients: PEM file of the authority whose certificates callers must show; None: they show none.
    """

    certificate: Path
    key: Path
    clients: Path | None = None


class Listener:
    """listen: `host:port`, port 0 for a free one. gate: see `Interceptor`."""

    def __init__(self, listen: str, tls: TlsFiles | None, gate: Gate) -> None:
        self._listen = listen
        self._tls = tls
        self._interceptor = Interceptor(gate)
        self.server = grpc.aio.server(
            interceptors=[self._interceptor], options=list(SERVER_OPTIONS)
        )

    async def start(self) -> int:
        """Listen; gives the port. UnavailableError where the address cannot be had."""
        credentials = _credentials(self._tls) if self._tls else None
        _check_free(self._listen)
        try:
            port = (
                self.server.add_secure_port(self._listen, credentials)
                if credentials
                else self.server.add_insecure_port(self._listen)
            )
        except RuntimeError as e:
            raise UnavailableError(f"cannot listen on {self._listen}") from e
        await self.server.start()
        return port

    async def stop(self, grace: float) -> None:
        """End open streams with UNAVAILABLE, give calls `grace` seconds."""
        self._interceptor.end_streams()
        await self.server.stop(grace)


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


class _Configuration:
    """What is on disk, as gRPC takes it. Called from gRPC's own threads."""

    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._seen: tuple[Any, ...] = ()
        self.first = self._read()

    def changed(self) -> Any:
        """The configuration where the files have changed, None where they have not."""
        before = self._seen
        try:
            found = self._read()
        except ValidationError as e:
            logger.warning("the certificate in use stays: {}", e.message)
            return None
        return found if self._seen != before else None

    def _read(self) -> Any:
        tls = self._tls
        try:
            key, chain = tls.key.read_bytes(), tls.certificate.read_bytes()
            clients = tls.clients.read_bytes() if tls.clients else None
        except OSError as e:
            raise ValidationError(f"cannot read {e.filename}: {e.strerror}") from e
        self._seen = (key, chain, clients)
        return grpc.ssl_server_certificate_configuration([(key, chain)], clients)


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    files = _Configuration(tls)
    return grpc.dynamic_ssl_server_credentials(
        files.first, files.changed, require_client_authentication=tls.clients is not None
    )
