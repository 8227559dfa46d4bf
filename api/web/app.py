"""The HTTP application: every router of this folder, behind one guard. No I/O of its own.

Tests call it without a socket; `server.HttpServer` is it on a port. To add an API: a folder here with
a `face(ports…)`, and a line below; `guard.viewer(request)` tells whose jobs may be shown, and
errors of our tree become answers by the one table.
"""

from __future__ import annotations

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from ..auth import Tokens
from ..datasets import DatasetsPort
from ..gate import Gate
from ..numbers import NumbersPort
from ..outputs import OutputsPort
from ..overview import OverviewPort
from ..ports import BlobsPort, JobsPort
from ..templates import TemplatesPort
from ..tenancy import ProjectsPort
from . import dashboard, login
from . import probes as probe_paths
from .answers import add_errors
from .assets import Assets
from .detailed import Detailed
from .guard import Guard
from .jobrunner.face import face as jobrunner_face
from .jobrunner.models import JobRunnerOptions
from .live import Streams
from .probes import Probes
from .render import Pages
from .runner.face import face as runner_face
from .runner.models import RunnerOptions
from .sessions import Sessions
from .v1.face import face as v1_face


def build_app(
    *,
    jobs: JobsPort,
    blobs: BlobsPort,
    datasets: DatasetsPort,
    numbers: NumbersPort,
    outputs: OutputsPort,
    templates: TemplatesPort,
    overview: OverviewPort,
    probes: Probes,
    registry: CollectorRegistry,
    tokens: Tokens | None = None,
    gate: Gate | None = None,
    projects: ProjectsPort | None = None,
    local: bool = False,
    runner: RunnerOptions | None = None,
    jobrunner: JobRunnerOptions | None = None,
) -> FastAPI:
    """The application. tokens: None lets everybody in (loopback only); local: only this machine can
    reach it; runner, jobrunner: None for the defaults. `app.state.streams` are the open streams, to be ended before a server can stop.
    """
    app = FastAPI(title="cumulus", docs_url=None, redoc_url=None, openapi_url=None)
    sessions = Sessions(tokens) if tokens is not None else None
    assets = Assets()
    pages = Pages(assets.base, login=sessions is not None)
    app.state.streams = Streams()
    add_errors(app)
    gate = gate or Gate(tokens)
    app.add_middleware(Guard, gate=gate, sessions=sessions, now=overview.now, local=local)
    app.add_middleware(Detailed, below=("/jobrunner/", "/runner/"))
    app.include_router(probe_paths.router(probes, registry))
    app.include_router(assets.router())
    app.include_router(login.router(pages, sessions, overview))
    app.include_router(dashboard.router(jobs, outputs, overview, pages, app.state.streams))
    streams = app.state.api_streams = Streams(app.state.streams.stopping)
    v1 = v1_face(
        jobs_port=jobs,
        blobs=blobs,
        datasets_port=datasets,
        outputs_port=outputs,
        templates_port=templates,
        open_streams=streams,
        projects_port=projects,
        audit=gate.audit,
    )
    app.mount("/v1", v1)
    slurm = jobrunner_face(
        jobs=jobs,
        templates=templates,
        datasets=datasets,
        outputs=outputs,
        numbers=numbers,
        streams=streams,
        unready=probes.ready,
        options=jobrunner,
    )
    app.mount("/jobrunner", slurm)
    app.mount("/runner", runner_face(jobs_port=jobs, overview=overview, options=runner))
    return app
