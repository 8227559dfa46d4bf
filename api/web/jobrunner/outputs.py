"""Outputs of `/jobrunner`: by job, by experiment, file by file. I/O through the ports only.

They are indexed when they come in, so that what that system calls indexing has nothing to do here;
whoever asks for those of a job that has just ended waits for them.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.errors import NotFoundError
from ....crd_like_specs.job import Job
from ...outputs import Output, OutputSet, OutputsPort
from ...ports import JobsPort
from ..calls import may, seen
from ..downloads import DOCUMENTED, Content, download, served, streamed
from ..faces import Face
from ..guard import viewer
from ..live import Streams
from . import models
from .jobs import one

WAIT: Final = 45.0
"""Seconds for outputs that are on their way."""

RESULT: Final = "result.json"
JOBS: Final = 200
"""Of whom all outputs are listed at most, the newest."""

_JSON: Final[dict[int | str, Any]] = {200: {"content": {"application/json": {"schema": {}}}}}


def add_outputs(app: Face, jobs: JobsPort, outputs: OutputsPort, streams: Streams) -> None:
    """Results, and everything below `/outputs`."""
    _add_lists(app, jobs, outputs)

    async def sent(request: Request, output: Output) -> Response:
        name = output.path.rpartition("/")[2]
        content = Content(name, output.size, output.digest, output.modified_at)
        port = outputs.seen_by(viewer(request))
        return await download(
            request,
            content,
            lambda offset, length: port.read(output, offset=offset, length=length),
            streams,
        )

    @served(app, "/jobs/{job_id}/result", may("Result"), _JSON, head="head_job_result")
    async def get_job_result(request: Request, job_id: str) -> Response:
        """The job's `result.json`, or what its code returned: an envelope of `status` and `result`."""
        job = await one(jobs, request, job_id)
        found = await _left(outputs, request, job)
        for output in found.outputs:
            if output.path == RESULT:
                pieces = outputs.seen_by(viewer(request)).read(output)
                return await streamed(request, pieces, streams, "application/json")
        pieces = seen(jobs, request).result(job.metadata.uid)
        return await streamed(request, pieces, streams, "application/json")

    @served(app, "/outputs/download", may("Read", "Outputs"), DOCUMENTED, head="head_output")
    async def download_output(request: Request, experiment_id: str, output_id: str) -> Response:
        """A file of an experiment, by its id."""
        port = outputs.seen_by(viewer(request))
        return await sent(request, await port.find(experiment_id, output_id))

    @served(
        app,
        "/outputs/download_by_job",
        may("Read", "Outputs"),
        DOCUMENTED,
        head="head_output_by_job",
    )
    async def download_output_by_job(request: Request, job_id: str, rel_path: str) -> Response:
        """A file of a job, by its path."""
        job = await one(jobs, request, job_id)
        found = await _left(outputs, request, job)
        for output in found.outputs:
            if output.path == rel_path:
                return await sent(request, output)
        raise NotFoundError(f"job {job_id} left no file {rel_path!r:.200}", job_id=job.metadata.uid)


def _add_lists(app: Face, jobs: JobsPort, outputs: OutputsPort) -> None:
    @app.post(
        "/outputs/index/{job_id}",
        dependencies=[may("List", "Outputs")],
        response_model=models.Indexed,
    )
    async def index_outputs(request: Request, job_id: str) -> Response:
        """How many there are; they are indexed already."""
        found = await _left(outputs, request, await one(jobs, request, job_id))
        body = models.Indexed(experiment_id=found.experiment or None, count=len(found.outputs))
        return JSONResponse(body.model_dump())

    @app.get(
        "/outputs/by_job/{job_id}",
        dependencies=[may("List", "Outputs")],
        response_model=models.JobOutputs,
    )
    async def get_outputs_by_job(request: Request, job_id: str) -> Response:
        """Those of a job."""
        job = await one(jobs, request, job_id)
        found = await _left(outputs, request, job)
        number = models.number_of(job.metadata.name) or 0
        body = models.JobOutputs(
            job_id=number,
            result_dir=models.result_dir(number),
            outputs=models.rows(found.outputs),
            message=found.message,
        )
        return JSONResponse(body.model_dump())

    @app.get("/outputs", dependencies=[may("List", "Outputs")], response_model=models.OutputRows)
    async def list_outputs(request: Request, experiment_id: str = "", prefix: str = "") -> Response:
        """Those of an experiment, or of the newest jobs; prefix: of their paths."""
        port = outputs.seen_by(viewer(request))
        found: list[Output] = []
        if experiment_id:
            found += await port.of_experiment(experiment_id)
        else:
            for job in await _newest(seen(jobs, request)):
                found += (await port.of_job(job.metadata.uid)).outputs
        body = models.OutputRows(
            outputs=models.rows(one for one in found if one.path.startswith(prefix))
        )
        return JSONResponse(body.model_dump())


async def _left(outputs: OutputsPort, request: Request, job: Job) -> OutputSet:
    """Of a job that is over, all; while it runs, nothing."""
    wait = WAIT if job.status.phase.terminal else 0.0
    return await outputs.seen_by(viewer(request)).of_job(job.metadata.uid, wait=wait)


async def _newest(jobs: JobsPort) -> list[Job]:
    found: list[Job] = []
    token = ""
    while True:
        page = await jobs.list(
            "Job",
            label_selector=f"{models.LABEL}={models.VALUE}",
            phase="",
            limit=500,
            continue_token=token,
        )
        found += [job for job in page.items if isinstance(job, Job)]
        token = page.continue_token
        if not token:
            break
    found.sort(key=lambda job: -job.metadata.creation_timestamp)
    return found[:JOBS]
