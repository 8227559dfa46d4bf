"""Secrets of a job as Swarm's own: made before its service, deleted after it. I/O by the engine.

Swarm keeps them encrypted, and gives them to the one task that names them, as files in memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError

from ...crd_like_specs.container_user import ids
from ...crd_like_specs.errors import ConflictError, NotFoundError, Temporary
from ...crd_like_specs.identity import JOB_UID, LABEL_OWNED, owned_labels, parse_unit
from ..reconcile.actions import ServiceSpec
from .secret_values import Values
from .swarm_engine import Engine, delete, get_json, post
from .swarm_map import parse_time

YOUNG_SECONDS: Final = 120.0
"""A secret that is younger may be of a service that is just being made."""


async def make(
    engine: Engine, service: ServiceSpec, values: Values, owner: str
) -> list[dict[str, Any]]:
    """What the container's spec says of its secrets; those that are there already are taken.
    Permanent("SecretMissing" | "SecretUnsafe") before anything is made.
    """
    found = [await asyncio.to_thread(values, one) for one in service.secrets]
    labels = {**owned_labels(service.uid, service.attempt, service.job), LABEL_OWNED: owner}
    user = ids(service.user, JOB_UID)
    made = []
    for number, (one, value) in enumerate(zip(service.secrets, found, strict=True)):
        name = f"{service.name}.{number}"
        identity = await _made(engine, name, value, labels)
        uid, gid = user or (0, 0)
        mode = 0o400 if user else 0o444  # of a user who has a name only, the image knows the number
        file = {"Name": one.file, "UID": str(uid), "GID": str(gid), "Mode": mode}
        made.append({"SecretID": identity, "SecretName": name, "File": file})
    return made


async def drop(engine: Engine, service: str, owner: str) -> None:
    """Delete those of a service that is gone; what cannot be yet is left to `tidy`."""

    def work(client: APIClient) -> None:
        for one in _of(client, owner):
            if _service_of(one) == service:
                _delete(client, one)

    await engine.call(f"delete the secrets of {service}", work)


def tidy(client: APIClient, ours: Sequence[str], now: float) -> int:
    """Delete those whose service is gone; returns how many. Called in a thread."""
    secrets = [
        one
        for one in get_json(client, "/secrets", label=ours)
        if now - parse_time(str(one.get("CreatedAt", ""))) > YOUNG_SECONDS
    ]
    if not secrets:
        return 0
    kept = {str(one["Spec"]["Name"]) for one in get_json(client, "/services", label=ours)}
    return sum(_delete(client, one) for one in secrets if _service_of(one) not in kept)


async def _made(engine: Engine, name: str, value: bytes, labels: Mapping[str, str]) -> str:
    """Its id."""
    body = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(value).decode()}
    try:
        answer = await engine.call(
            f"make secret {name}", lambda c: post(c, "/secrets/create", body)
        )
        return str(answer["ID"])
    except ConflictError:  # made before, by a controller that was killed then
        there = await engine.call(
            f"look for secret {name}", lambda c: get_json(c, "/secrets", name=[name])
        )
    for one in there:
        found: Mapping[str, Any] = one["Spec"]
        if (
            found["Name"] == name
            and (found.get("Labels") or {}).get(LABEL_OWNED) == labels[LABEL_OWNED]
        ):
            return str(one["ID"])
    raise Temporary(f"secret {name} is just going away", reason="EngineFault")


def _of(client: APIClient, owner: str) -> list[Any]:
    return list(get_json(client, "/secrets", label=[f"{LABEL_OWNED}={owner}"]))


def _service_of(secret: Mapping[str, Any]) -> str:
    """Its service's name, "" for a secret that is none of ours."""
    service = str(secret["Spec"]["Name"]).rpartition(".")[0]
    return service if parse_unit(service) else ""


def _delete(client: APIClient, secret: Mapping[str, Any]) -> bool:
    if not _service_of(secret):
        return False
    with contextlib.suppress(NotFoundError):
        try:
            delete(client, f"/secrets/{secret['ID']}")
        except APIError as error:
            if error.status_code not in (400, 404, 409):  # in use for a moment longer, or gone
                raise
            return False
    return True
