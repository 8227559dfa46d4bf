"""Bearer tokens that admins hand out, as plain frozen values, and their protos. Pure.

    cmlt1.<43 characters>

Only a token's SHA-256 is kept. Shared by the controller and the SDK.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from .gen.cumulus.v1 import tokens_pb2 as pb

PREFIX: Final = "cmlt1."
"""How a token of this kind begins, so that whoever finds one knows what it is."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of a token. name: of its holder; role: admin, submitter or viewer; expires_at:
    POSIX seconds, 0.0 for never; created_by: who asked for it; project: whose jobs it submits and
    sees; permissions: what it may beyond its role, see `viewer.PERMISSIONS`.
    """

    id: str
    name: str
    role: str
    created_at: float
    expires_at: float = 0.0
    created_by: str = ""
    project: str = ""
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """secret: the token itself, shown this once."""

    secret: str = field(repr=False)
    token: ApiToken


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. name: "" where it has none; role: "" where no tokens are configured, and everybody
    may do everything; id: of the token, "" for one of the configuration; the rest: as in `ApiToken`.
    """

    name: str = ""
    role: str = ""
    id: str = ""
    expires_at: float = 0.0
    project: str = ""
    permissions: tuple[str, ...] = ()


def new_secret() -> str:
    """A token that nobody has seen."""
    return f"{PREFIX}{secrets.token_urlsafe(32)}"


def token_to_proto(token: ApiToken) -> pb.ApiToken:
    """Without any secret, as it has none."""
    return pb.ApiToken(
        id=token.id,
        name=token.name,
        role=token.role,
        created_at=token.created_at,
        expires_at=token.expires_at,
        created_by=token.created_by,
        project=token.project,
        permissions=token.permissions,
    )


def token_from_proto(message: pb.ApiToken) -> ApiToken:
    """The inverse."""
    return ApiToken(
        id=message.id,
        name=message.name,
        role=message.role,
        created_at=message.created_at,
        expires_at=message.expires_at,
        created_by=message.created_by,
        project=message.project,
        permissions=tuple(message.permissions),
    )
