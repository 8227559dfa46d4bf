"""Errors as JSON by the one table: `{"error": {"reason", "message", "job_id", "problems"}}`. Pure
but for the log line of a bug. Added to the application by `app.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from loguru import logger
from starlette.exceptions import HTTPException

from ...crd_like_specs.errors import (
    CumulusError,
    Problem,
    TooManyRequestsError,
    UnauthenticatedError,
    ValidationError,
)
from ...crd_like_specs.wording import describe
from ..status import to_http


def answer(error: CumulusError) -> JSONResponse:
    """The error with its status, and the headers that belong to it."""
    code, body = to_http(error)
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = 'Bearer realm="cumulus"'
    if isinstance(error, TooManyRequestsError):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    return JSONResponse(body, code, headers)


def _problem(error: Mapping[str, Any]) -> Problem:
    place, *path = error["loc"]
    if error["type"] == "json_invalid":
        why = error["ctx"]["error"]
        return Problem(f"is no JSON: {why}, character {path[0]}", place)
    return Problem(describe(error), ".".join(str(part) for part in path) or place)


def add_errors(app: FastAPI) -> None:
    """Whatever is raised below the application becomes such an answer; a bug tells nothing."""

    @app.exception_handler(CumulusError)
    async def ours(_request: Request, error: CumulusError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def wrong_query(_request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(ValidationError([_problem(one) for one in error.errors()]))

    @app.exception_handler(HTTPException)
    async def no_such_path(_request: Request, error: HTTPException) -> JSONResponse:
        body = {"reason": "HTTP", "message": error.detail, "job_id": "", "problems": []}
        return JSONResponse({"error": body}, error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.opt(exception=error).error("{} failed unexpectedly", request.url.path)
        return answer(CumulusError("internal error, see the controller's log"))
