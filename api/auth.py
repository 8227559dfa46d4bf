"""Who may call what: bearer tokens with roles, and where it is safe to listen. Pure.

Used by the interceptor, the HTTP side and `controller.main`. Tokens are kept as hashes only and
compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from ..crd_like_specs.errors import (
    ForbiddenError,
    Problem,
    UnauthenticatedError,
    ValidationError,
)
from .api_tokens import ApiToken, CreatedToken
from .viewer import EVERYTHING, Viewer


class Role(str, Enum):
    """What a token stands for."""

    ADMIN = "admin"  # everything
    SUBMITTER = "submitter"  # its own jobs, and looking at workers
    VIEWER = "viewer"  # looking at everything, changing nothing
    AGENT = "agent"  # the agent's stream and blobs, nothing else


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token. owner: its holder's name, of an agent its worker's; "" where it has none, as
    only admins, viewers and agents may. token: id of one that an admin handed out, "" for those of
    the configuration; expires_at: POSIX seconds at which it ends, 0.0 for never. project: whose jobs
    it submits and sees, "" for one called as the holder is; permissions: what else it may, of
    `viewer.PERMISSIONS`; admins may all of it.
    """

    role: Role
    owner: str = ""
    token: str = ""
    expires_at: float = 0.0
    project: str = ""
    permissions: frozenset[str] = frozenset()

    @property
    def viewer(self) -> Viewer:
        """Whose jobs it sees."""
        who = self.owner or self.role.value
        sees_all = self.role in (Role.ADMIN, Role.VIEWER)
        owner = self.project or self.owner
        return Viewer(owner, own_only=not sees_all, who=who, permissions=self.permissions)


def viewer_of(holder: Holder | None) -> Viewer:
    """None: no tokens are configured, and everybody may do everything."""
    return EVERYTHING if holder is None else holder.viewer


_CLIENTS: Final = frozenset({Role.ADMIN, Role.SUBMITTER})
_READERS: Final = _CLIENTS | {Role.VIEWER}
_AGENTS: Final = frozenset({Role.ADMIN, Role.AGENT})
_ADMINS: Final = frozenset({Role.ADMIN})

_SERVICES: Final = {
    "cumulus.v1.Cumulus": _CLIENTS,
    "cumulus.v1.Agent": _AGENTS,
    "cumulus.v1.Templates": _CLIENTS,
    "cumulus.v1.Outputs": _READERS,
    "cumulus.v1.Datasets": _CLIENTS,
    "cumulus.v1.Tenancy": _ADMINS,
}
_CUMULUS: Final = "/cumulus.v1.Cumulus/"
_OF_ADMINS: Final = (
    *("Cordon", "Fence", "RemoveWorker", "CreateJoinToken"),
    *("CreateToken", "RevokeToken", "ListTokens"),
)
_OF_READERS: Final = (
    *("Get", "List", "Watch", "Follow", "Logs", "Result", "Why", "Events", "Plan", "Usage"),
    *("ServerInfo", "WhoAmI"),
)
_METHODS: Final = {
    "/cumulus.v1.Tenancy/GetProject": _READERS,
    "/cumulus.v1.Tenancy/ListProjects": _READERS,
    **{f"{_CUMULUS}{method}": _ADMINS for method in _OF_ADMINS},
    "/cumulus.v1.Templates/Delete": _ADMINS,
    "/cumulus.v1.Datasets/Read": _READERS,
    **{f"{_CUMULUS}{method}": _READERS for method in _OF_READERS},
}

WITHOUT_ROLE: Final = "/cumulus.v1.Join/"
"""Methods that begin so look at their callers' tokens themselves: those have no role yet."""


def allowed(method: str) -> frozenset[Role]:
    """Roles that may call this gRPC method (`/package.Service/Method`)."""
    service = method.removeprefix("/").split("/")[0]
    return _METHODS.get(method, _SERVICES.get(service, _CLIENTS))


_READING: Final = ("Get", "List", "Read", "Watch", "Has", "Find", "Audit", "Authority")
_OF_AGENTS: Final = ("/cumulus.v1.Agent/Renew",)


def changes(method: str) -> bool:
    """Whether a call of this gRPC method is worth a line of who made it. What agents send is not,
    but for what lets them in: there is no end of it.
    """
    if method.startswith("/cumulus.v1.Agent/"):
        return method in _OF_AGENTS
    return Role.VIEWER not in allowed(method) and not method.rpartition("/")[2].startswith(_READING)


def require(role: Role | None, roles: Iterable[Role], what: str) -> None:
    """ForbiddenError unless the caller has one of the roles; None: no tokens are configured."""
    if role is not None and role not in roles:
        raise ForbiddenError(f"the role {role.value} may not {what}")


class IssuedPort(Protocol):
    """Tokens that admins hand out while the controller runs."""

    def holder(self, key: bytes) -> Holder | None:
        """Who holds the token with this hash (see `hashed`), None where there is none such.
        UnauthenticatedError where its time is over.
        """

    def using(self, holder: Holder) -> AbstractContextManager[None]:
        """Around a call: its task is cancelled once the token ends."""

    def ended(self, holder: Holder) -> bool:
        """Whether the holder's token was revoked, or its time is over."""

    async def create(
        self,
        name: str,
        role: str,
        ttl: int,
        by: str,
        project: str = "",
        permissions: Collection[str] = (),
    ) -> CreatedToken:
        """name: of the holder; role: admin, submitter or viewer; ttl: seconds, 0: no end; by: who
        asks; project: "" for one called as the holder is; permissions: of `viewer.PERMISSIONS`.
        ValidationError.
        """

    async def revoke(self, id_: str, by: str) -> ApiToken:
        """End it, and what is called with it. NotFoundError."""

    def list(self) -> tuple[ApiToken, ...]:
        """Those there are."""


class Tokens:
    """The tokens of one controller: secret → who holds it. An empty secret is refused. issued: those
    handed out since, None where none can be.

    A submitter without a name is known by its token's hash, `submitter-<8 hex digits>`: always the
    same one for the same token. Tokens of one project own the same jobs, and a project is called as the
    holder is where none is named.
    """

    def __init__(self, tokens: Mapping[str, Holder], issued: IssuedPort | None = None) -> None:
        self.issued = issued
        if any(len(secret) < 16 for secret in tokens):
            raise ValidationError("a token is at least 16 characters long")
        self._holders = tuple(
            (key, _named(holder, key))
            for key, holder in ((hashed(secret), holder) for secret, holder in tokens.items())
        )

    def holder(self, authorization: str | None) -> Holder:
        """Who holds the value of an `authorization` header, `Bearer <token>`.

        UnauthenticatedError where it is missing or unknown; the message never repeats it.
        """
        return self.known(key_of(authorization))

    def projects(self) -> Iterator[str]:
        """The project of each token there is, "" left out; agents are of none."""
        for _, holder in self._holders:
            if holder.role is not Role.AGENT and holder.viewer.owner:
                yield holder.viewer.owner
        if self.issued is not None:
            yield from (token.project for token in self.issued.list())

    def known(self, given: bytes) -> Holder:
        """Who holds the token with this hash (see `hashed`); UnauthenticatedError as for `holder`."""
        found = None
        for known, holder in self._holders:  # all of them, so that time tells nothing
            if hmac.compare_digest(known, given):
                found = holder
        if found is None and self.issued is not None:
            found = self.issued.holder(given)
        if found is None:
            raise UnauthenticatedError("the token is not valid")
        return found

    def using(self, holder: Holder) -> AbstractContextManager[None]:
        """Around a call that this holder makes: its task is cancelled once the token ends."""
        return nullcontext() if self.issued is None else self.issued.using(holder)

    def ended(self, holder: Holder | None) -> bool:
        """Whether the token was revoked, or its time is over."""
        return holder is not None and self.issued is not None and self.issued.ended(holder)


def _named(holder: Holder, key: bytes) -> Holder:
    if holder.role is not Role.SUBMITTER or holder.owner:
        return holder
    return replace(holder, owner=f"submitter-{key.hex()[:8]}")


def key_of(authorization: str | None) -> bytes:
    """Hash of the token in an `authorization` header. UnauthenticatedError where there is none."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise UnauthenticatedError("no token is given: expected `authorization: Bearer …`")
    return hashed(secret.strip())


def hashed(secret: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches `host:port`, `[::1]:port` or `unix:path`."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may resolve to anything, and "" is every address


def check_exposure(listen: Iterable[str], *, tls: bool, tokens: bool, insecure: bool) -> None:
    """Refuse to listen beyond loopback without TLS and tokens, unless told to.

    listen: every address of every server. ValidationError names each one that is refused.
    """
    if insecure or (tls and tokens):
        return
    missing = " and ".join(n for n, there in (("TLS", tls), ("tokens", tokens)) if not there)
    open_to_all = [address for address in listen if not is_loopback(address)]
    if open_to_all:
        raise ValidationError(
            [
                Problem(
                    f"others could reach {address}, and {missing} {'are' if ' ' in missing or missing == 'tokens' else 'is'} "
                    "not configured: set tls.auto, or tls.cert, tls.key and tokensFile; listen on 127.0.0.1; "
                    "or accept it with --insecure",
                    path="listen",
                )
                for address in open_to_all
            ]
        )
