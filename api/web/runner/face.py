"""`/runner` put together: jobs, executors, numbers. I/O through the ports only.

Scheduling is nobody's call here: jobs start as soon as there is room, and `POST /schedule` says
what is being started. What that system calls stale ends by itself, with its lease.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from ....crd_like_specs.errors import NotFoundError, ValidationError
from ....crd_like_specs.job import Job, Phase
from ...overview import OverviewPort
from ...ports import JobsPort
from ...servicers import checks
from ..calls import as_given, finish, made, may, seen
from ..faces import DetailedError, Face
from . import models
from .models import RunnerOptions, Status

LINES: Final = 1000
LOG_BYTES: Final = 1 << 20
"""Of a log in a job's details, its end."""

MOST: Final = 1000
"""Jobs in one answer."""

_ABOUT = """The API of the distributed workload runner, for those who call it already."""

_PHASES: Final = {
    Status.PENDING: (Phase.PENDING, Phase.LEASING, Phase.STARTING),
    Status.RUNNING: (Phase.RUNNING,),
    Status.SUCCEEDED: (Phase.SUCCEEDED,),
    Status.FAILED: (Phase.FAILED, Phase.CANCELLED, Phase.TIMED_OUT),
}


def face(
    *, jobs_port: JobsPort, overview: OverviewPort, options: RunnerOptions | None = None
) -> Face:
    """options: None for the defaults."""
    app = Face("Workload runner", _ABOUT, DetailedError)
    _add_jobs(app, jobs_port, options or RunnerOptions())
    _add_abort(app, jobs_port, overview)
    _add_fleet(app, jobs_port, overview)
    return app


def _add_jobs(app: Face, jobs: JobsPort, options: RunnerOptions) -> None:
    @app.post("/jobs", dependencies=[may("Submit")], response_model=models.JobBody, status_code=201)
    async def create_job(request: Request, body: models.JobWanted) -> Response:
        """Submit a job."""
        with as_given("docker_image", "image", "cpu_cores", "cpus", "memory_gb", "memory"):
            job = models.job_of(body, f"runner-{uuid.uuid4().hex[:20]}", options)
        stored = await finish(seen(jobs, request).submit(job, idempotency_key=""))
        made(request, stored.metadata.name)
        return _answer(models.job_body(stored), 201)

    @app.get("/jobs", dependencies=[may("List")], response_model=list[models.JobBody])
    async def list_jobs(
        request: Request,
        status_filter: Status | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> Response:
        """Those that came this way, the newest first."""
        phases = _PHASES[status_filter] if status_filter else ()
        found = await _found(seen(jobs, request), phases)
        if status_filter is not None:
            found = [job for job in found if models.status_of(job) is status_filter]
        bodies = [models.job_body(job).model_dump(mode="json") for job in found[::-1][:limit]]
        return JSONResponse(bodies)

    @app.get("/jobs/{job_id}", dependencies=[may("Get")], response_model=models.JobDetail)
    async def get_job(request: Request, job_id: str) -> Response:
        """A job with the end of its log."""
        port = seen(jobs, request)
        job = await _one(port, job_id)
        body = models.job_body(job).model_dump()
        return _answer(models.JobDetail(**body, logs=await _log(port, job)))


def _add_abort(app: Face, jobs: JobsPort, overview: OverviewPort) -> None:
    async def abort_job(request: Request, job_id: str) -> Response:
        """End a job that waits or runs; it counts as failed."""
        port = seen(jobs, request)
        job = await _one(port, job_id)
        status = models.status_of(job)
        if status not in (Status.PENDING, Status.RUNNING):
            raise ValidationError(
                f"cannot abort a job in status {status.value}: "
                "only pending or running jobs can be aborted",
                job_id=job_id,
            )
        return _answer(models.job_body(await finish(port.cancel(job.metadata.uid))))

    for method, path, name in (
        ("DELETE", "/jobs/{job_id}", "delete_job"),
        ("POST", "/jobs/{job_id}/abort", "abort_job"),
    ):
        app.add_api_route(
            path,
            abort_job,
            methods=[method],
            dependencies=[may("Cancel")],
            response_model=models.JobBody,
            name=name,
        )

    @app.post("/cleanup", dependencies=[may("Cancel")], response_model=models.Cleaned)
    async def cleanup(
        request: Request, timeout_minutes: Annotated[int, Query(ge=0, le=1 << 30)] = 60
    ) -> Response:
        """End the jobs that have run longer than that."""
        port, before = seen(jobs, request), overview.now() - timeout_minutes * 60
        running = await _found(port, _PHASES[Status.RUNNING])
        stale = [job for job in running if job.status.started_at < before]
        for job in stale:
            await finish(port.cancel(job.metadata.uid))
        body = models.Cleaned(cleaned_jobs=len(stale), timeout_minutes=timeout_minutes)
        return _answer(body)


def _add_fleet(app: Face, jobs: JobsPort, overview: OverviewPort) -> None:
    @app.get("/health", response_model=models.Health)
    async def health() -> Response:
        """Whether it answers; asks for no token."""
        return _answer(models.Health(status="healthy", service="scheduler"))

    @app.get("/executors", dependencies=[may("List")], response_model=models.Executors)
    async def list_executors() -> Response:
        """The workers that take jobs, with what is set aside on them for everybody's."""
        return _answer(models.executors(overview.board()))

    @app.get("/stats", dependencies=[may("List")], response_model=models.Stats)
    async def stats(request: Request) -> Response:
        """The queue, as its viewer sees it, and the workers."""
        port = seen(jobs, request)
        waiting, running = models.Waiting(), 0
        async for job in _each(port, _PHASES[Status.PENDING]):
            waiting.add(job)
        async for _ in _each(port, _PHASES[Status.RUNNING]):
            running += 1
        body = models.Stats(
            queue=waiting.queue(running),
            cluster=models.executors(overview.board()).cluster_stats,
            timestamp=models.when(overview.now()),
        )
        return _answer(body)

    @app.post("/schedule", dependencies=[may("Submit")], response_model=models.Scheduled)
    async def schedule(request: Request) -> Response:
        """The jobs that have a worker and are about to start; nothing needs to be triggered."""
        found = await _found(seen(jobs, request), (Phase.LEASING, Phase.STARTING))
        assigned = [
            models.Assignment(job_id=models.id_of(job), executor_ip=job.status.worker)
            for job in found
        ]
        return _answer(models.Scheduled(scheduled_jobs=len(assigned), assignments=assigned))


def _answer(body: Any, code: int = 200) -> Response:
    return JSONResponse(body.model_dump(mode="json"), code)


async def _one(jobs: JobsPort, job_id: str) -> Job:
    uid = models.uid_of(job_id)
    job = await jobs.get("Job", uid)
    if not isinstance(job, Job) or job.metadata.labels.get(models.LABEL) != models.VALUE:
        raise NotFoundError(f"job {job_id} not found", job_id=job_id)
    return job


async def _each(jobs: JobsPort, phases: tuple[Phase, ...]) -> AsyncIterator[Job]:
    """Those of this face in these phases (none: in any), page by page."""
    for phase in [one.value for one in phases] or [""]:
        token = ""
        while True:
            page = await jobs.list(
                "Job",
                label_selector=f"{models.LABEL}={models.VALUE}",
                phase=phase,
                limit=checks.PAGE_LIMIT,
                continue_token=token,
            )
            for job in page.items:
                if isinstance(job, Job):
                    yield job
            token = page.continue_token
            if not token:
                break


async def _found(jobs: JobsPort, phases: tuple[Phase, ...]) -> list[Job]:
    """The newest MOST of them, oldest first; no more of them are ever held."""
    found: list[Job] = []
    async for job in _each(jobs, phases):
        found.append(job)
        if len(found) >= 2 * MOST:
            del _by_age(found)[:-MOST]
    return _by_age(found)[-MOST:]


def _by_age(found: list[Job]) -> list[Job]:
    """The same list, in order."""
    found.sort(key=lambda job: (job.metadata.creation_timestamp, job.metadata.name))
    return found


async def _log(jobs: JobsPort, job: Job) -> list[str]:
    """The last lines that the job wrote."""
    if not job.status.attempt:
        return []
    records = jobs.logs(job.metadata.uid, attempt=0, offset=0, tail=LINES, follow=False)
    text = await _text(records)
    return text.decode("utf-8", "replace").splitlines()


async def _text(records: AsyncIterator[Any]) -> bytes:
    kept = bytearray()
    found: Any = records
    async with aclosing(found):
        async for record in found:
            kept += record.data
            del kept[: max(0, len(kept) - LOG_BYTES)]
    return bytes(kept)
