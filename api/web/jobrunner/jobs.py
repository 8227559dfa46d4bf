"""Jobs of `/jobrunner`: submitted by a form, asked for by a number. I/O through the ports only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.errors import ConflictError, NotFoundError, Problem, ValidationError
from ....crd_like_specs.job import Job
from ...datasets import DatasetsPort
from ...numbers import NumbersPort
from ...ports import JobsPort
from ...servicers import checks
from ...templates import TemplatesPort
from ..calls import as_given, finish, made, may, seen
from ..downloads import served, streamed
from ..faces import Face
from ..forms import documented, fields
from ..guard import viewer
from ..live import Streams
from . import models, submitting
from .models import JobRunnerOptions

TAKEN: Final = 100
"""Numbers whose names somebody else may have before we give up."""

_TEXT: Final[dict[int | str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}
_FORM: Final = documented(
    command_key={"type": "string", "required": True},
    dataset_sha={"type": "string"},
    params_json={"type": "string", "default": "{}"},
    gpus={"type": "integer", "minimum": 0, "default": 1},
    cpus={"type": "integer", "minimum": 1, "default": 4},
    mem_gb={"type": "integer", "minimum": 1, "default": 16},
    time_limit={"type": "string", "default": "04:00:00"},
)


def add_jobs(
    app: Face,
    jobs: JobsPort,
    templates: TemplatesPort,
    datasets: DatasetsPort,
    numbers: NumbersPort,
    streams: Streams,
    options: JobRunnerOptions,
) -> None:
    """Everything below `/jobs` but results, which are outputs."""

    @app.post(
        "/jobs",
        dependencies=[may("Run", "Templates")],
        response_model=models.Submitted,
        openapi_extra=_FORM,
    )
    async def submit_job(request: Request) -> Response:
        """Submit a run of the template `command_key`; further fields are parameters of it."""
        form = await fields(request)
        eyes = viewer(request)
        key = form.get("command_key", "")
        if not key:
            raise ValidationError(
                [Problem("is missing: expected a template's name", "command_key")]
            )
        template = await templates.seen_by(eyes).get(checks.name_of("Template", key))
        digest = submitting.dataset_digest(form.get("dataset_sha", ""))
        if digest:
            await datasets.seen_by(eyes).get(digest)
        for _ in range(TAKEN):
            number = await numbers.next()
            with as_given("experimentId", "experiment", "mem_gb", "memory"):
                run = submitting.run_of(form, template, number, options)
            try:
                await finish(templates.seen_by(eyes).run(run))
            except ConflictError as error:
                if error.job_id not in (run.name, ""):
                    raise
                continue  # somebody gave that name to a job of theirs
            made(request, run.name)
            return _answer({"job_id": number, "status": "SUBMITTED"})
        raise ConflictError(f"the names of {TAKEN} jobs are taken")

    @app.get("/jobs/{job_id}", dependencies=[may("Get")], response_model=models.JobStatusBody)
    async def get_job_status(request: Request, job_id: str) -> Response:
        """Where it is."""
        return _answer(models.job_body(await one(jobs, request, job_id)))

    @served(app, "/jobs/{job_id}/log", may("Logs"), _TEXT, head="head_job_log")
    async def get_job_log(request: Request, job_id: str) -> Response:
        """What it wrote so far."""
        job = await one(jobs, request, job_id)
        records = seen(jobs, request).logs(
            job.metadata.uid, attempt=0, offset=0, tail=0, follow=False
        )
        return await streamed(request, _written(records), streams, "text/plain; charset=utf-8")

    @app.post(
        "/jobs/{job_id}/cancel", dependencies=[may("Cancel")], response_model=models.Submitted
    )
    async def cancel_job(request: Request, job_id: str) -> Response:
        """End it; a job that is over stays as it is."""
        job = await one(jobs, request, job_id)
        await finish(seen(jobs, request).cancel(job.metadata.uid))
        number = models.number_of(job.metadata.name)
        return _answer({"job_id": number, "status": "CANCELLED_REQUESTED"})


async def one(jobs: JobsPort, request: Request, job_id: str) -> Job:
    """The job with this number. NotFoundError."""
    name = models.asked_name(job_id)
    try:
        job = await seen(jobs, request).get("Job", name)
    except NotFoundError as error:
        raise NotFoundError(f"job {job_id} not found", job_id=job_id) from error
    if not isinstance(job, Job) or job.metadata.labels.get(models.LABEL) != models.VALUE:
        raise NotFoundError(f"job {job_id} not found", job_id=job_id)
    return job


def _answer(body: dict[str, Any]) -> Response:
    """Without blanks: scripts of that system look for `"status":"…"`."""
    return JSONResponse(body)


async def _written(records: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    found: Any = records
    async with aclosing(found):
        async for record in found:
            yield record.data
