"""`cumulus.v1.Tenancy`: projects with their limits, and the journal of calls. I/O through the ports.

Registered by `server.py`. Roles are looked at before (`auth.py`); a submitter is told of its own
project only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from ...crd_like_specs.errors import ConflictError, ForbiddenError, NotFoundError, Permanent
from ..audited import AuditPort, audited_to_proto, query_from_proto
from ..convert_tenancy import merged, project_to_proto, quota_from_proto
from ..gen.cumulus.v1 import tenancy_pb2 as pb
from ..gen.cumulus.v1 import tenancy_pb2_grpc
from ..interceptor import Context, current
from ..tenancy import ProjectsPort, Quota
from . import checks
from .writes import Writes


async def set_first(projects: ProjectsPort | None, project: str, quota: Quota, by: str) -> None:
    """Give a project the limits that a new token of it is to have. ConflictError where it has others:
    tokens of one project share its limits, and none changes them for the others by being made.
    """
    if quota.empty:
        return
    if projects is None:
        raise Permanent("this controller keeps no projects", reason="NoProjects")
    before = (await projects.get(project)).quota
    known, given = asdict(before), asdict(quota)
    for name, value in given.items():
        if value is not None and known[name] not in (None, value):
            raise ConflictError(
                f"project {project} has another limit already ({name} is {known[name]}, {value} is "
                f"given): leave it out, or change it with `cumulusctl auth quota {project}`"
            )
    wanted = merged(before, quota)
    if wanted != before:
        await projects.set_quota(project, wanted, by)


class TenancyServicer(tenancy_pb2_grpc.TenancyServicer):
    """See the module docstring. audit: None where no journal is kept."""

    def __init__(self, projects: ProjectsPort, audit: AuditPort | None, writes: Writes) -> None:
        self._projects = projects
        self._audit = audit
        self._writes = writes

    async def GetProject(self, request: pb.GetProjectRequest, _context: Context) -> pb.Project:  # noqa: N802 (gRPC names methods like this)
        """One."""
        viewer = current().viewer
        name = checks.name(request.name, "name") if request.name else viewer.owner
        if not name:
            raise NotFoundError("the caller is of no project: name one")
        if not viewer.sees_owner(name):
            raise ForbiddenError(f"project {name!r} is not yours")
        return project_to_proto(await self._projects.get(name))

    async def ListProjects(  # noqa: N802
        self, _request: pb.ListProjectsRequest, _context: Context
    ) -> pb.ListProjectsResponse:
        """Those that the caller sees."""
        viewer = current().viewer
        own = viewer.own_only
        found = [await self._projects.get(viewer.owner)] if own else await self._projects.list()
        return pb.ListProjectsResponse(projects=[project_to_proto(one) for one in found])

    async def SetQuota(self, request: pb.SetQuotaRequest, _context: Context) -> pb.Project:  # noqa: N802
        """Change limits."""
        name, by = checks.name(request.project, "project"), current().viewer.who
        before = (await self._projects.get(name)).quota
        wanted = merged(before, quota_from_proto(request.quota), request.lift)
        changed = await self._writes.write(self._projects.set_quota(name, wanted, by))
        return project_to_proto(changed)

    async def Audit(  # noqa: N802
        self, request: pb.AuditRequest, _context: Context
    ) -> AsyncIterator[pb.AuditRecord]:
        """Who did what."""
        if self._audit is None:
            raise Permanent("this controller keeps no journal of calls", reason="NoAudit")
        lines: Any = self._audit.read(query_from_proto(request))
        async with aclosing(lines):
            async for line in lines:
                yield audited_to_proto(line)
