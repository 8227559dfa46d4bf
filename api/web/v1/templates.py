"""`/v1/templates`: jobs with blanks, and runs of them. I/O through the ports only.

They are written as every resource is, by `PUT` here or by `/v1/apply`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ....crd_like_specs.errors import Problem, ValidationError
from ....crd_like_specs.job import Job
from ....crd_like_specs.meta import Model
from ....crd_like_specs.template import Overrides, Template
from ...ports import JobsPort
from ...servicers import checks
from ...templates import TemplateRun, TemplatesPort
from ..calls import finish, made, may, seen, takes
from ..guard import viewer
from . import bodies
from .models import AppliedBody, applied


class TemplateList(Model):
    """All of them, by name."""

    items: list[Template]


class RunBody(Model):
    """A run that is asked for. params: what the template's parameters are; overrides: what is
    otherwise than it says; name: of the job, "" for one that is made; labels: of the job.
    """

    params: dict[str, Any] = Field(default_factory=dict)
    overrides: Overrides = Overrides()
    name: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


def router(templates: TemplatesPort, jobs: JobsPort) -> APIRouter:
    """See the module docstring."""
    paths = APIRouter(tags=["templates"])

    @paths.get("/templates", dependencies=[may("List")], response_model=TemplateList)
    async def list_templates(request: Request) -> JSONResponse:
        """What there is to run."""
        found = await templates.seen_by(viewer(request)).list()
        return JSONResponse({"items": [one.to_dict() for one in found]})

    @paths.get("/templates/{template}", dependencies=[may("Get")], response_model=Template)
    async def get_template(request: Request, template: str) -> JSONResponse:
        """One of them."""
        name = checks.name_of("Template", template)
        return JSONResponse((await templates.seen_by(viewer(request)).get(name)).to_dict())

    @paths.put(
        "/templates/{template}",
        dependencies=[may("Apply"), may("Delete", "Templates")],
        response_model=AppliedBody,
        openapi_extra=takes(Template),
    )
    async def apply_template(request: Request, template: str) -> JSONResponse:
        """Create or change it; admins only."""
        name = checks.name_of("Template", template)
        given = await bodies.resources(request, name)
        if len(given) != 1 or not isinstance(given[0], Template) or given[0].metadata.name != name:
            raise ValidationError([Problem(f"expected one Template called {name}", "body")])
        done = await finish(seen(jobs, request).apply(given[0], dry_run=False))
        return JSONResponse(applied(done))

    @paths.delete(
        "/templates/{template}",
        dependencies=[may("Delete", "Templates")],
        response_model=Template,
    )
    async def delete_template(request: Request, template: str) -> JSONResponse:
        """Gives it as it was; its jobs stay. Admins only."""
        name = checks.name_of("Template", template)
        gone = await finish(templates.seen_by(viewer(request)).delete(name))
        return JSONResponse(gone.to_dict())

    @paths.post(
        "/templates/{template}/run",
        dependencies=[may("Run", "Templates")],
        response_model=Job,
        status_code=201,
    )
    async def run_template(
        request: Request,
        template: str,
        body: RunBody,
        key: Annotated[str, Header(alias="Idempotency-Key", max_length=256)] = "",
    ) -> JSONResponse:
        """Submit a job of it."""
        wanted = TemplateRun(
            template=checks.name_of("Template", template),
            params=body.params,
            overrides=body.overrides,
            name=checks.name(body.name) if body.name else "",
            labels=body.labels,
            idempotency_key=key,
        )
        job = await finish(templates.seen_by(viewer(request)).run(wanted))
        made(request, job.metadata.name)
        return JSONResponse(job.to_dict(), 201)

    return paths
