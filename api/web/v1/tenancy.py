"""`/v1/projects` and `/v1/audit`: limits with what is used of them, and who called what. I/O through
the ports only.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ....crd_like_specs.errors import ForbiddenError, Permanent
from ....crd_like_specs.meta import Model
from ...audited import AuditPort, AuditQuery
from ...servicers import checks
from ...tenancy import (
    MOST_BYTES,
    MOST_GPU,
    MOST_RUNNING,
    Project,
    ProjectsPort,
    Quota,
)
from ..calls import finish, may
from ..guard import viewer

MOST_LINES = 1000


class QuotaBody(Model):
    """Limits of a project; null or not there: no limit. running: jobs at once; gpu: milli-GPU-hours in
    a UTC day; dataset_bytes: of its datasets.
    """

    running: int | None = Field(default=None, ge=0, le=MOST_RUNNING)
    gpu: int | None = Field(default=None, ge=0, le=MOST_GPU)
    dataset_bytes: int | None = Field(default=None, ge=0, le=MOST_BYTES)


class UseBody(Model):
    """What a project has. gpu: milli-GPU-hours of today, used or booked."""

    running: int
    waiting: int
    gpu: int
    dataset_bytes: int


class ProjectBody(Model):
    """configured: its limits stand in the controller's configuration; day_ends: POSIX seconds."""

    name: str
    quota: QuotaBody
    use: UseBody
    tokens: int
    configured: bool
    day_ends: float


class ProjectList(Model):
    """Those that the caller sees."""

    items: list[ProjectBody]


class AuditLine(Model):
    """One call. outcome: allowed, refused or failed; repeated: so many more of the same; time: POSIX
    seconds.
    """

    sequence: int
    time: float
    via: str
    address: str
    who: str
    role: str
    token: str
    project: str
    method: str
    resource: str
    outcome: str
    reason: str
    repeated: int
    request_id: str


class AuditLines(Model):
    """Oldest first."""

    items: list[AuditLine]


def router(projects: ProjectsPort, audit: AuditPort | None) -> APIRouter:
    """See the module docstring. audit: None where no journal is kept."""
    paths = APIRouter(tags=["projects"])

    @paths.get(
        "/projects", dependencies=[may("ListProjects", "Tenancy")], response_model=ProjectList
    )
    async def list_projects(request: Request) -> JSONResponse:
        """Those with limits or tokens; a submitter sees its own."""
        eyes = viewer(request)
        found = [await projects.get(eyes.owner)] if eyes.own_only else await projects.list()
        return JSONResponse({"items": [_body(one) for one in found]})

    @paths.get(
        "/projects/{name}", dependencies=[may("GetProject", "Tenancy")], response_model=ProjectBody
    )
    async def get_project(request: Request, name: str) -> JSONResponse:
        """Limits, and what is used of them."""
        project = checks.name(name)
        if not viewer(request).sees_owner(project):
            raise ForbiddenError(f"project {project!r} is not yours")
        return JSONResponse(_body(await projects.get(project)))

    @paths.put(
        "/projects/{name}/quota",
        dependencies=[may("SetQuota", "Tenancy")],
        response_model=ProjectBody,
    )
    async def set_quota(request: Request, name: str, body: QuotaBody) -> JSONResponse:
        """Replace the limits of a project. Admins only."""
        quota = Quota(body.running, body.gpu, body.dataset_bytes)
        who = viewer(request).who
        changed = await finish(projects.set_quota(checks.name(name), quota, who))
        return JSONResponse(_body(changed))

    @paths.get("/audit", dependencies=[may("Audit", "Tenancy")], response_model=AuditLines)
    async def read_audit(
        who: str = "",
        project: str = "",
        method: str = "",
        resource: str = "",
        outcome: str = "",
        address: str = "",
        since: Annotated[float, Query(ge=0)] = 0.0,
        after: Annotated[int, Query(ge=0)] = 0,
        tail: Annotated[int, Query(ge=1, le=MOST_LINES)] = 100,
    ) -> JSONResponse:
        """Who called what, oldest first: the last of those asked for. Admins only."""
        if audit is None:
            raise Permanent("this controller keeps no journal of calls", reason="NoAudit")
        query = AuditQuery(who, project, method, resource, outcome, address, since, after, tail)
        found = [asdict(line) async for line in audit.read(query.checked())]
        return JSONResponse({"items": [AuditLine(**line).to_dict() for line in found]})

    return paths


def _body(project: Project) -> dict[str, object]:
    return ProjectBody.model_validate(asdict(project)).to_dict()
