"""`/v1/jobs`: what should run, and what became of it. I/O through the ports only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse

from ....crd_like_specs.errors import NotFoundError, Problem, ValidationError
from ....crd_like_specs.job import Job
from ....crd_like_specs.template import Template
from ....crd_like_specs.worker import Worker
from ...auth import Role, require
from ...ports import BlobsPort, JobsPort
from ...servicers import checks
from ...servicers.submission import unique_name
from ..calls import finish, made, may, seen, takes
from ..guard import holder, viewer
from . import bodies, models

Name = str


def router(jobs: JobsPort, blobs: BlobsPort) -> APIRouter:
    """Jobs as the asking viewer sees them; streams of them are in `streams.py`."""
    paths = APIRouter(tags=["jobs"])
    _add_reads(paths, jobs)
    _add_verbs(paths, jobs)

    @paths.post(
        "/jobs",
        dependencies=[may("Submit")],
        response_model=Job,
        status_code=201,
        openapi_extra=takes(Job),
    )
    async def submit(
        request: Request, key: Annotated[str, Header(alias="Idempotency-Key", max_length=256)] = ""
    ) -> JSONResponse:
        """Submit a job. `metadata.name` may be left out: one is made. With the same
        `Idempotency-Key`, or sent twice with the same name and spec, it is one job.
        """
        job = await bodies.job(request, unique_name(key, viewer(request).owner))
        await _check_code(job, blobs)
        stored = await finish(seen(jobs, request).submit(job, idempotency_key=key))
        made(request, stored.metadata.name)
        return JSONResponse(stored.to_dict(), 201)

    @paths.put(
        "/jobs/{name}",
        dependencies=[may("Apply")],
        response_model=models.AppliedBody,
        openapi_extra=takes(Job),
    )
    async def apply_job(request: Request, name: Name, dry_run: DryRun = False) -> JSONResponse:
        """Create or change the job of this name; an equal spec changes nothing."""
        job = await bodies.job(request, checks.name(name))
        if job.metadata.name != name:
            text = f"{job.metadata.name!r} is given, expected {name!r} as in the path"
            raise ValidationError([Problem(text, "metadata.name")], job_id=name)
        done = await finish(seen(jobs, request).apply(job, dry_run=dry_run))
        return JSONResponse(models.applied(done))

    @paths.post(
        "/apply",
        dependencies=[may("Apply")],
        response_model=models.AppliedList,
        openapi_extra=takes(Job),
    )
    async def apply(request: Request, dry_run: DryRun = False) -> JSONResponse:
        """Create or change every document of the body, in their order. All are checked before the
        first is applied; the first one that is refused ends it, and those before it stay.
        """
        results = []
        given = await bodies.resources(request)
        for resource in given:
            if isinstance(resource, Worker | Template):
                known = holder(request)
                what = f"change {resource.kind.lower()}s"
                require(known.role if known else None, {Role.ADMIN}, what)
        for resource in given:
            done = await finish(seen(jobs, request).apply(resource, dry_run=dry_run))
            results.append(models.applied(done))
        return JSONResponse({"results": results})

    @paths.post(
        "/plan",
        dependencies=[may("Plan")],
        response_model=models.PlanBody,
        openapi_extra=takes(Job, required=False),
    )
    async def plan(request: Request, prune: str = "", forecast: bool = True) -> JSONResponse:
        """What applying the documents of the body would do; nothing is written. prune: selector of
        jobs that would go where they are not among them.
        """
        given = await bodies.resources(request)
        preview = await seen(jobs, request).plan(given, prune=prune, forecast=forecast)
        return JSONResponse(models.plan(preview))

    return paths


DryRun = Annotated[bool, Query(alias="dryRun", description="Only say what would be done.")]


def _add_reads(paths: APIRouter, jobs: JobsPort) -> None:
    @paths.get("/jobs", dependencies=[may("List")], response_model=models.JobLines)
    async def list_jobs(
        request: Request,
        phase: str = checks.ACTIVE,
        limit: Annotated[int, Query(ge=1)] = checks.PAGE_LIMIT,
        continue_token: Annotated[str, Query(alias="continue")] = "",
        label_selector: Annotated[str, Query(alias="labelSelector")] = "",
        full: bool = False,
    ) -> JSONResponse:
        """Active jobs, or those of one phase; `phase=` empty for all. full: whole jobs."""
        page = await seen(jobs, request).list(
            "Job",
            label_selector=label_selector,
            phase=checks.phase(phase),
            limit=checks.limit(limit),
            continue_token=continue_token,
        )
        return JSONResponse(models.page(page, lines=not full))

    @paths.get("/jobs/{name}", dependencies=[may("Get")], response_model=Job)
    async def get_job(request: Request, name: Name) -> JSONResponse:
        """The whole job, by its name or uid, as YAML files name its fields."""
        return _one(await seen(jobs, request).get("Job", checks.name(name)))

    @paths.get("/jobs/{name}/why", dependencies=[may("Why")], response_model=models.WhyBody)
    async def why(request: Request, name: Name) -> JSONResponse:
        """Why it waits, or what became of it."""
        found = await seen(jobs, request).why(checks.name(name))
        workers = [reason.to_dict() for reason in found.workers]
        body = {"job": found.job.to_dict(), "summary": found.summary, "workers": workers}
        return JSONResponse(body)


def _add_verbs(paths: APIRouter, jobs: JobsPort) -> None:
    @paths.delete("/jobs/{name}", dependencies=[may("Delete")], response_model=Job)
    async def delete_job(request: Request, name: Name) -> JSONResponse:
        """Mark for deletion; it goes when what it holds is gone."""
        return _one(await finish(seen(jobs, request).delete(checks.name(name))))

    @paths.post("/jobs/{name}/cancel", dependencies=[may("Cancel")], response_model=Job)
    async def cancel(request: Request, name: Name) -> JSONResponse:
        """Mark for cancelling; a finished job stays as it is."""
        return _one(await finish(seen(jobs, request).cancel(checks.name(name))))

    @paths.post("/jobs/{name}/pause", dependencies=[may("Pause")], response_model=Job)
    async def pause(request: Request, name: Name) -> JSONResponse:
        """End its attempt with notice and keep its checkpoint."""
        return _one(await finish(seen(jobs, request).pause(checks.name(name), paused=True)))

    @paths.post("/jobs/{name}/resume", dependencies=[may("Pause")], response_model=Job)
    async def resume(request: Request, name: Name) -> JSONResponse:
        """Let it go on from there."""
        return _one(await finish(seen(jobs, request).pause(checks.name(name), paused=False)))

    @paths.post("/jobs/{name}/extend", dependencies=[may("Extend")], response_model=Job)
    async def extend(request: Request, name: Name, body: models.Extension) -> JSONResponse:
        """Let it last longer; refused where that cannot be promised."""
        extended = seen(jobs, request).extend(checks.name(name), seconds=body.seconds)
        return _one(await finish(extended))


def _one(resource: Any) -> JSONResponse:
    return JSONResponse(resource.to_dict())


async def _check_code(job: Job, blobs: BlobsPort) -> None:
    """As for Submit without code: it is here already."""
    code = job.spec.code
    if code is not None and code.digest is not None and await blobs.has(code.digest) is None:
        raise NotFoundError(
            f"the code {code.digest} is not here: PUT it to /v1/code/{code.digest}",
            job_id=job.metadata.name,
        )
