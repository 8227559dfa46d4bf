"""The HTTP side: probes, metrics, a look at the jobs. I/O: network.

Runs in the controller's own event loop, beside gRPC. `build_app` is the application alone
(tests call it without a socket); `HttpServer` is it on a port. Errors are JSON by the one table:
`{"error": {"reason", "message", "job_id", "problems"}}`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from ..crd_like_specs.errors import CumulusError, Problem, UnavailableError, ValidationError
from ..crd_like_specs.job import Job
from .auth import Role, Tokens, require, viewer_of
from .frames import Resource
from .ports import JobsPort
from .servicers import checks
from .status import to_http

Probe = Callable[[], Sequence[str]]
"""What stands against it, in words; nothing: all is well."""

_OPEN = ("/healthz", "/readyz")  # probes carry no tokens


@dataclass(frozen=True, slots=True)
class Probes:
    """healthy: the process can do its work at all; ready: it should be given work now."""

    healthy: Probe
    ready: Probe


def build_app(
    *,
    jobs: JobsPort,
    probes: Probes,
    registry: CollectorRegistry,
    tokens: Tokens | None = None,
) -> FastAPI:
    """The application. tokens: None lets everybody in (loopback only)."""
    app = FastAPI(title="cumulus", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Look at the token, write the access log."""
        response: Response
        try:
            holder = None
            if tokens and request.url.path not in _OPEN:
                holder = tokens.holder(request.headers.get("authorization"))
                require(holder.role, {Role.ADMIN, Role.SUBMITTER}, f"read {request.url.path}")
            request.state.viewer = viewer_of(holder)
            response = await call_next(request)
        except CumulusError as e:
            response = _answer(e)
        logger.bind(code=response.status_code).debug("{} {}", request.method, request.url.path)
        return response

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        """200 while operational."""
        return _probe(probes.healthy())

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """200 while work is welcome."""
        return _probe(probes.ready())

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/jobs")
    async def list_jobs(
        request: Request,
        phase: str = checks.ACTIVE,
        limit: Annotated[int, Query(ge=1)] = checks.PAGE_LIMIT,
        continue_token: Annotated[str, Query(alias="continue")] = "",
        label_selector: Annotated[str, Query(alias="labelSelector")] = "",
    ) -> dict[str, Any]:
        """Active jobs, or those of one phase; `phase=` empty for all."""
        page = await jobs.seen_by(request.state.viewer).list(
            "Job",
            label_selector=label_selector,
            phase=checks.phase(phase),
            limit=checks.limit(limit),
            continue_token=continue_token,
        )
        return {
            "items": [_line(item) for item in page.items],
            "resourceVersion": page.resource_version,
            "continue": page.continue_token,
        }

    @app.get("/v1/jobs/{name}")
    async def get_job(request: Request, name: str) -> dict[str, Any]:
        """The whole job as YAML files name its fields."""
        try:
            seen = jobs.seen_by(request.state.viewer)
            return (await seen.get("Job", checks.name(name))).to_dict()
        except CumulusError as e:
            e.job_id = e.job_id or name
            raise

    return app


def _line(item: Resource) -> dict[str, Any]:
    assert isinstance(item, Job)
    status = item.status.to_dict()
    shown = ("phase", "reason", "message", "attempt", "worker", "devices")
    times = ("submittedAt", "startedAt", "expiresAt", "finishedAt")
    return {
        "name": item.metadata.name,
        "uid": item.metadata.uid,
        "owner": item.metadata.owner,
        "labels": item.metadata.labels,
        **{key: status[key] for key in (*shown, *times)},
    }


def _probe(against: Sequence[str]) -> JSONResponse:
    if against:
        return JSONResponse({"status": "failing", "problems": list(against)}, 503)
    return JSONResponse({"status": "ok"})


def _answer(error: CumulusError) -> JSONResponse:
    code, body = to_http(error)
    return JSONResponse(body, code)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(CumulusError)
    async def ours(_request: Request, error: CumulusError) -> JSONResponse:
        return _answer(error)

    @app.exception_handler(RequestValidationError)
    async def wrong_query(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = [Problem(e["msg"], ".".join(str(p) for p in e["loc"][1:])) for e in error.errors()]
        return _answer(ValidationError(found))

    @app.exception_handler(HTTPException)
    async def no_such_path(_request: Request, error: HTTPException) -> JSONResponse:
        body = {"reason": "HTTP", "message": error.detail, "job_id": "", "problems": []}
        return JSONResponse({"error": body}, error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.opt(exception=error).error("{} failed unexpectedly", request.url.path)
        return _answer(CumulusError("internal error, see the controller's log"))


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
        """Let requests in progress end within 5 s, then close."""
        if self._task:
            self._server.should_exit = True
            await self._task
