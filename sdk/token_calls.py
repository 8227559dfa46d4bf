"""Bearer tokens of clients, made and ended by admins. I/O; a part of `client.py`'s class."""

from __future__ import annotations

from ..api.api_tokens import ApiToken, Caller, CreatedToken, token_from_proto
from ..api.gen.cumulus.v1 import tokens_pb2 as pb
from . import trust
from .connection import Connection


class TokenCalls:
    """Who may call."""

    _connection: Connection

    async def create_token(
        self, name: str, *, role: str = "submitter", ttl: float | str = 0
    ) -> CreatedToken:
        """A token for somebody; its text is shown here only. Admins only.

        name: of the holder, whose jobs it sees and marks; role: admin, submitter or viewer; ttl:
        seconds, or text such as `90d`; 0: until it is revoked.
        """
        seconds = trust.lifetime(ttl) if ttl else 0
        request = pb.CreateTokenRequest(name=name, role=role, ttl=seconds)
        made = await self._connection.call("CreateToken", request)
        return CreatedToken(made.secret, token_from_proto(made.token))

    async def revoke_token(self, token_id: str) -> ApiToken:
        """End a token now; streams that are open with it are cut off. Admins only."""
        request = pb.RevokeTokenRequest(id=token_id)
        return token_from_proto(await self._connection.call("RevokeToken", request))

    async def list_tokens(self) -> tuple[ApiToken, ...]:
        """Those that were handed out; not those of the controller's configuration. Admins only."""
        found = await self._connection.call("ListTokens", pb.ListTokensRequest())
        return tuple(token_from_proto(token) for token in found.tokens)

    async def whoami(self) -> Caller:
        """Who the controller takes this client for."""
        found = await self._connection.call("WhoAmI", pb.WhoAmIRequest())
        return Caller(found.name, found.role, found.id, found.expires_at)
