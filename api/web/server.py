"""The application on a port: uvicorn in the controller's own event loop. I/O: network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from ...crd_like_specs.errors import UnavailableError


class _Embedded(uvicorn.Server):
    """uvicorn without its own signal handlers, saying when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to controller.main

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class HttpServer:
    """The application on `host:port` (port 0: a free one), in the running event loop."""

    def __init__(
        self, app: FastAPI, *, listen: str, certificate: str | None = None, key: str | None = None
    ) -> None:
        self._app = app
        self._listen = listen
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = _Embedded(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; gives the port. UnavailableError where the address cannot be had."""
        host, _, port = self._listen.rpartition(":")
        try:
            listener = socket.create_server(
                (host.strip("[]"), int(port)),
                family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            )
        except (OSError, ValueError) as e:
            raise UnavailableError(f"cannot listen on {self._listen}: {e}") from e
        self._task = asyncio.ensure_future(self._server.serve([listener]))
        await self._server.listening.wait()
        bound: int = listener.getsockname()[1]
        return bound

    def renewed(self) -> None:
        """Serve the certificate that is on disk now, from the next connection on."""
        config = self._server.config
        if config.ssl is not None and config.ssl_certfile is not None:
            config.ssl.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)

    async def stop(self) -> None:
        """End streams, let other requests in progress end within 5 s, then close."""
        if self._task:
            self._app.state.streams.end()
            self._server.should_exit = True
            await self._task
