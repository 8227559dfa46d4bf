"""The part of `cumulus.v1.Cumulus` that operators use beside desired state. I/O through the ports.

A part of `cumulus.py`'s class, apart from it for its size only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from ...crd_like_specs.errors import Permanent
from ..api_tokens import CreatedToken, token_to_proto
from ..auth import IssuedPort, Tokens
from ..convert import job_to_proto, resource_from_proto
from ..convert_tenancy import quota_from_proto
from ..gen.cumulus.v1 import cumulus_pb2 as pb
from ..gen.cumulus.v1 import events_pb2, plans_pb2, tokens_pb2
from ..gen.cumulus.v1 import resources_pb2 as res
from ..happened import happened_to_proto, query_from_proto
from ..interceptor import Context, current
from ..ports import JobsPort
from ..previews import preview_to_proto
from ..tenancy import ProjectsPort
from . import checks
from .tenancy import set_first

T = TypeVar("T")


class OperationsServicer(ABC):
    """See the module docstring."""

    _tokens: Tokens | None
    _projects: ProjectsPort | None

    @property
    @abstractmethod
    def _jobs(self) -> JobsPort:
        """As the caller of the running call sees them."""

    @abstractmethod
    async def _write(self, write: Coroutine[Any, Any, T]) -> T:
        """To its end, also where the caller goes away meanwhile."""

    async def CreateToken(  # noqa: N802
        self, request: tokens_pb2.CreateTokenRequest, _context: Context
    ) -> tokens_pb2.CreatedToken:
        """A token for somebody."""
        made = await self._write(self._create(request, current().viewer.who))
        return tokens_pb2.CreatedToken(secret=made.secret, token=token_to_proto(made.token))

    async def RevokeToken(  # noqa: N802
        self, request: tokens_pb2.RevokeTokenRequest, _context: Context
    ) -> tokens_pb2.ApiToken:
        """End one."""
        revoked = self._issued.revoke(request.id, current().viewer.who)
        return token_to_proto(await self._write(revoked))

    async def ListTokens(  # noqa: N802
        self, _request: tokens_pb2.ListTokensRequest, _context: Context
    ) -> tokens_pb2.ListTokensResponse:
        """Those that were handed out."""
        found = [token_to_proto(token) for token in self._issued.list()]
        return tokens_pb2.ListTokensResponse(tokens=found)

    async def WhoAmI(  # noqa: N802
        self, _request: tokens_pb2.WhoAmIRequest, _context: Context
    ) -> tokens_pb2.WhoAmIResponse:
        """Who calls."""
        holder = current().holder
        if holder is None:
            return tokens_pb2.WhoAmIResponse()
        return tokens_pb2.WhoAmIResponse(
            name=holder.owner,
            role=holder.role.value,
            id=holder.token,
            expires_at=holder.expires_at,
            project=holder.viewer.owner,
            permissions=sorted(holder.permissions),
        )

    async def _create(self, request: tokens_pb2.CreateTokenRequest, by: str) -> CreatedToken:
        """The limits first: a token that should have had some must not be there without."""
        issued, project = self._issued, request.project or request.name
        await set_first(self._projects, project, quota_from_proto(request.quota), by)
        return await issued.create(
            request.name, request.role, request.ttl, by, project, request.permissions
        )

    @property
    def _issued(self) -> IssuedPort:
        if self._tokens is None or self._tokens.issued is None:
            raise Permanent(
                "this controller asks for no tokens, so there is nothing to hand out: "
                "set tokensFile or tls.auto in its configuration",
                reason="NoTokens",
            )
        return self._tokens.issued

    async def Plan(  # noqa: N802 (gRPC names methods like this)
        self, request: plans_pb2.PlanRequest, _context: Context
    ) -> plans_pb2.PlanResponse:
        """What an apply would do."""
        resources = [resource_from_proto(one) for one in request.resources]
        preview = await self._jobs.plan(
            resources, prune=request.prune_selector, forecast=request.forecast
        )
        return preview_to_proto(preview)

    async def Extend(self, request: pb.ExtendRequest, _context: Context) -> res.Job:  # noqa: N802
        """Let a job last longer."""
        current().job_id = checks.name(request.name)
        return job_to_proto(
            await self._write(self._jobs.extend(request.name, seconds=request.seconds))
        )

    async def Events(  # noqa: N802 (gRPC names methods like this)
        self, request: events_pb2.EventsRequest, _context: Context
    ) -> AsyncIterator[events_pb2.EventRecord]:
        """What happened, and with `watch` what happens."""
        current().job_id = checks.name(request.job, "job") if request.job else ""
        if request.worker:
            checks.name(request.worker, "worker")
        events: Any = self._jobs.events(query_from_proto(request))
        async with aclosing(events):
            async for event in events:
                yield happened_to_proto(event)
