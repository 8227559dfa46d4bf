"""`/jobrunner` put together. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import Response
from fastapi.responses import JSONResponse

from ...datasets import DatasetsPort
from ...numbers import NumbersPort
from ...outputs import OutputsPort
from ...ports import JobsPort
from ...templates import TemplatesPort
from ..faces import DetailedError, Face
from ..live import Streams
from . import models
from .datasets import add_datasets
from .jobs import add_jobs
from .models import JobRunnerOptions
from .outputs import add_outputs

_ABOUT = """The API of the Slurm job runner, for those who call it already."""


def face(
    *,
    jobs: JobsPort,
    templates: TemplatesPort,
    datasets: DatasetsPort,
    outputs: OutputsPort,
    numbers: NumbersPort,
    streams: Streams,
    unready: Callable[[], Sequence[str]],
    options: JobRunnerOptions | None = None,
) -> Face:
    """unready: what stands against starting jobs; options: None for the defaults."""
    known = options or JobRunnerOptions()
    app = Face("Job runner", _ABOUT, DetailedError)
    add_jobs(app, jobs, templates, datasets, numbers, streams, known)
    add_outputs(app, jobs, outputs, streams)
    add_datasets(app, datasets, known)

    @app.get("/health", response_model=models.HealthBody)
    async def health() -> Response:
        """Whether it answers, and whether jobs can start; asks for no token."""
        body = models.HealthBody(ok=True, slurm=not unready(), b2_mounted=bool(known.import_from))
        return JSONResponse(body.model_dump())

    return app
