"""`/healthz`, `/readyz` and `/metrics`. Pure but for what the probes themselves look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Probe = Callable[[], Sequence[str]]
"""What stands against it, in words; nothing: all is well."""


@dataclass(frozen=True, slots=True)
class Probes:
    """healthy: the process can do its work at all; ready: it should be given work now."""

    healthy: Probe
    ready: Probe


def router(probes: Probes, registry: CollectorRegistry) -> APIRouter:
    """The three paths."""
    paths = APIRouter()

    @paths.get("/healthz")
    async def healthz() -> JSONResponse:
        """200 while operational."""
        return _answer(probes.healthy())

    @paths.get("/readyz")
    async def readyz() -> JSONResponse:
        """200 while work is welcome."""
        return _answer(probes.ready())

    @paths.get("/metrics")
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return paths


def _answer(against: Sequence[str]) -> JSONResponse:
    if against:
        return JSONResponse({"status": "failing", "problems": list(against)}, 503)
    return JSONResponse({"status": "ok"})
