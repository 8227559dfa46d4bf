"""What joining carries, as plain frozen values, and how a join token reads. Pure; no protos.

    cmlj1.<id>.<secret>.<fingerprint>

The fingerprint is the SHA-256 of the authority's certificate (DER), in hex: whoever has the token
knows which controller to trust before a secret is sent. Shared by the controller and the agent.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from ..crd_like_specs.errors import ValidationError

DEFAULT_TTL: Final = 3600
MAX_TTL: Final = 24 * 3600
"""Seconds that a join token lives where nothing is said, and at most."""

_TEXT: Final = re.compile(
    r"cmlj1\.(?P<id>[0-9a-f]{16})\.(?P<secret>[A-Za-z0-9_-]{43})\.(?P<print>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """fingerprint: of the authority, 64 hex digits. Its secret shows in no message of ours."""

    id: str
    secret: str = field(repr=False)
    fingerprint: str

    @classmethod
    def new(cls, fingerprint: str) -> JoinToken:
        """A token that nobody has seen."""
        return cls(secrets.token_hex(8), secrets.token_urlsafe(32), fingerprint)

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """ValidationError, which never repeats what was given."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValidationError(
                "this is no join token: expected cmlj1.…, whole and in one line, "
                "as `cumulusctl token create` prints it"
            )
        return cls(match["id"], match["secret"], match["print"])

    @property
    def text(self) -> str:
        """As it is handed to a worker."""
        return f"cmlj1.{self.id}.{self.secret}.{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class NewToken:
    """token: its text, shown once; expires_at: POSIX seconds; controller: HOST:PORT that workers
    are to dial, "" where it is not configured.
    """

    token: str = field(repr=False)
    expires_at: float
    controller: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """What a machine that joins is told. certificate, authority: PEM; agents: HOST:PORT that its
    agent dials, with no HOST where it is the one that was asked; swarm_manager: HOST:2377 or "";
    image: id of the job image.
    """

    worker: str
    agents: str
    platform: str
    certificate: bytes = b""
    authority: bytes = b""
    swarm_manager: str = ""
    swarm_join_token: str = field(default="", repr=False)
    image: str = ""
    version: str = ""


def worker_name(hostname: str) -> str:
    """The host's name as a worker's: lower case, other characters as dashes."""
    return re.sub(r"[^a-z0-9]+", "-", hostname.lower()).strip("-")[:63].strip("-") or "worker"
