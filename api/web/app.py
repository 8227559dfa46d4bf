"""The HTTP application: every router of this folder, behind one guard. No I/O of its own.

Tests call it without a socket; `server.HttpServer` is it on a port. To add an API: a file here with
a `router(ports…)`, and a line below; `guard.viewer(request)` tells whose jobs may be shown, and
errors of our tree become answers by the one table.
"""

from __future__ import annotations

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from ..auth import Tokens
from ..ports import JobsPort
from . import jobs as job_paths
from . import probes as probe_paths
from .answers import add_errors
from .guard import Guard
from .probes import Probes


def build_app(
    *,
    jobs: JobsPort,
    probes: Probes,
    registry: CollectorRegistry,
    tokens: Tokens | None = None,
) -> FastAPI:
    """The application. tokens: None lets everybody in (loopback only)."""
    app = FastAPI(title="cumulus", docs_url=None, redoc_url=None, openapi_url=None)
    add_errors(app)
    app.add_middleware(Guard, tokens=tokens)
    app.include_router(probe_paths.router(probes, registry))
    app.include_router(job_paths.router(jobs))
    return app
