"""What handlers of every API need: whose eyes, which roles, writes that come to their end. Pure.

Which role may do what is said once, by the name of the RPC that does the same (`auth.allowed`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pydantic
from fastapi import Depends, Request
from pydantic import BaseModel

from ...crd_like_specs.errors import Problem, ValidationError
from ...crd_like_specs.wording import HALVES, describe
from ...crd_like_specs.yaml_nodes import dotted
from ..auth import allowed, require
from ..ports import JobsPort
from ..servicers.writes import Writes
from .guard import holder, viewer


def may(method: str, service: str = "Cumulus") -> Any:
    """Dependency of a route: ForbiddenError for roles that may not call this RPC."""

    def check(request: Request) -> None:
        known = holder(request)
        role = known.role if known else None
        require(role, allowed(f"/cumulus.v1.{service}/{method}"), f"call {method}")

    return Depends(check)


def seen(jobs: JobsPort, request: Request) -> JobsPort:
    """The jobs as the one who asks sees them."""
    return jobs.seen_by(viewer(request))


finish: Final = Writes().write
"""Let a write come to its end though its token ends meanwhile, which cancels the caller."""


def made(request: Request, name: str) -> None:
    """Have the journal of calls say which job a call made whose path doesn't."""
    request.state.made = name


@contextmanager
def as_given(*names: str) -> Iterator[None]:
    """What our models refuse of what was translated is said as an error of the one who asked.
    names: of their fields that the last part of a path stands for, in turn `theirs`, `ours`.
    """
    known = dict(zip(names[1::2], names[::2], strict=True))
    try:
        yield
    except pydantic.ValidationError as error:
        found = [
            Problem(describe(one), known.get(str(one["loc"][-1]), dotted(one["loc"])))
            for one in error.errors(include_url=False)
        ]
        raise ValidationError(found) from error


async def of_whole_text(request: Request) -> None:
    """Dependency of every route: ValidationError for JSON with half a character in it, which
    Python's own reader takes, and neither a store nor a message can hold.
    """
    if getattr(request.scope.get("route"), "body_field", None) is None:
        return  # the handler reads the body, or there is none
    try:
        text = json.dumps(await request.json(), ensure_ascii=False)
    except (ValueError, RecursionError):
        return  # it is told by who reads it
    half = HALVES.search(text)
    if half is not None:
        behind = text[max(0, half.start() - 40) : half.start()]
        words = f"holds half a character, behind {behind!r}: expected text in UTF-8"
        raise ValidationError([Problem(words, "body")])


async def body_of(request: Request, limit: int) -> bytes:
    """The whole body. limit: bytes; ValidationError for more."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise ValidationError([Problem(f"the body is larger than {limit} bytes", "body")])
    return bytes(data)


def takes(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Documentation of a body that is read by hand, as JSON or YAML of this model."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {kind: {"schema": schema} for kind in ("application/json", "application/yaml")}
    return {"requestBody": {"required": required, "content": content}}
