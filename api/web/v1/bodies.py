"""Resources in bodies of requests: JSON or YAML, by the same codec as files. I/O: the request's body."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import Request

from ....crd_like_specs.codec import load_bytes
from ....crd_like_specs.errors import Problem, ValidationError
from ....crd_like_specs.job import Job
from ....crd_like_specs.yaml_nodes import MAX_BYTES
from ...frames import Resource
from ..calls import body_of

_BODY: Final = "body.json"
"""As errors name it; tabs between JSON's tokens are blanks."""


async def resources(request: Request, name: str = "") -> list[Resource]:
    """Every document of the body, one at least. name: of one that has none. ValidationError."""
    data = await body_of(request, MAX_BYTES)
    found = [one.resource for one in load_bytes(data, _BODY, Path(), name)]
    if not found:
        raise ValidationError([Problem("holds no documents: expected a resource", "body")])
    return found


async def job(request: Request, name: str = "") -> Job:
    """The one job of the body. ValidationError."""
    found = await resources(request, name)
    if len(found) != 1 or not isinstance(found[0], Job):
        kinds = ", ".join(one.kind for one in found[:5])
        raise ValidationError([Problem(f"{kinds} is given, expected one Job", "body")])
    return found[0]
