"""Bearer tokens of clients, made and ended by admins. I/O; a part of `client.py`'s class."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from dataclasses import replace
from typing import Any

from ..api.api_tokens import ApiToken, Caller, CreatedToken, token_from_proto
from ..api.audited import (
    Audited,
    AuditQuery,
    audited_from_proto,
    query_to_proto,
)
from ..api.convert_tenancy import project_from_proto, quota_to_proto
from ..api.gen.cumulus.v1 import tenancy_pb2
from ..api.gen.cumulus.v1 import tokens_pb2 as pb
from ..api.tenancy import NO_QUOTA, Project, Quota
from . import trust
from .connection import Connection
from .follow import Reopening


class TokenCalls:
    """Who may call."""

    _connection: Connection

    async def create_token(
        self,
        name: str,
        *,
        role: str = "submitter",
        ttl: float | str = 0,
        project: str = "",
        permissions: Collection[str] = (),
        quota: Quota = NO_QUOTA,
    ) -> CreatedToken:
        """A token for somebody; its text is shown here only. Admins only.

        name: of the holder; role: admin, submitter or viewer; ttl: seconds, or text such as `90d`; 0:
        until it is revoked; project: whose jobs it sees and marks, "" for one called as the holder
        is; permissions: such as `root`; quota: limits of the project. ConflictError where it has
        others already.
        """
        request = pb.CreateTokenRequest(
            name=name,
            role=role,
            ttl=trust.lifetime(ttl) if ttl else 0,
            project=project,
            permissions=permissions,
            quota=quota_to_proto(quota),
        )
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
        return Caller(
            found.name,
            found.role,
            found.id,
            found.expires_at,
            found.project,
            tuple(found.permissions),
        )

    async def get_project(self, name: str = "") -> Project:
        """A project's limits and what is used of them; "": the caller's own."""
        request = tenancy_pb2.GetProjectRequest(name=name)
        return project_from_proto(await self._connection.call("Tenancy.GetProject", request))

    async def list_projects(self) -> tuple[Project, ...]:
        """Those with limits or tokens, as far as the caller sees them."""
        request = tenancy_pb2.ListProjectsRequest()
        found = await self._connection.call("Tenancy.ListProjects", request)
        return tuple(map(project_from_proto, found.projects))

    async def set_quota(
        self, project: str, quota: Quota = NO_QUOTA, *, lift: Collection[str] = ()
    ) -> Project:
        """Change limits; what is None in `quota` stays. lift: of `running`, `gpu`, `dataset_bytes`,
        no limit any more. Admins only. ConflictError where they stand in the configuration.
        """
        request = tenancy_pb2.SetQuotaRequest(
            project=project, quota=quota_to_proto(quota), lift=lift
        )
        return project_from_proto(await self._connection.call("Tenancy.SetQuota", request))

    async def audit(self, query: AuditQuery | None = None) -> AsyncGenerator[Audited, None]:
        """Who called what, oldest first; with `watch` endless, over breaks too, each once. Admins
        only.
        """
        asked = (query or AuditQuery()).checked()
        left = asked

        def open_call() -> Any:
            return self._connection.open("Tenancy.Audit", query_to_proto(left))

        stream = Reopening(self._connection, open_call, endless=asked.watch)
        try:
            while (message := await stream.read()) is not None:
                line = audited_from_proto(message)
                left = replace(left, after=line.sequence, tail=0 if asked.watch else left.tail)
                yield line
        finally:
            stream.close()
