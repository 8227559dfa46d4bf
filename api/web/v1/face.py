"""`/v1` put together. No I/O of its own."""

from __future__ import annotations

from ...audited import AuditPort
from ...datasets import DatasetsPort
from ...outputs import OutputsPort
from ...ports import BlobsPort, JobsPort
from ...templates import TemplatesPort
from ...tenancy import ProjectsPort
from ..faces import Face
from ..live import Streams
from . import code, datasets, fleet, jobs, outputs, streams, templates, tenancy

_ABOUT = """The HTTP twin of the gRPC service `cumulus.v1.Cumulus`: the same objects, rules and errors.

Bearer tokens where the controller has any. Resources are JSON or YAML, with the fields of files."""


def face(
    *,
    jobs_port: JobsPort,
    blobs: BlobsPort,
    datasets_port: DatasetsPort,
    outputs_port: OutputsPort,
    templates_port: TemplatesPort,
    open_streams: Streams,
    projects_port: ProjectsPort | None = None,
    audit: AuditPort | None = None,
) -> Face:
    """open_streams: those of all APIs; projects_port, audit: None where none are kept."""
    app = Face("Cumulus", _ABOUT)
    app.include_router(jobs.router(jobs_port, blobs))
    app.include_router(streams.router(jobs_port, open_streams))
    app.include_router(fleet.router(jobs_port))
    app.include_router(code.router(blobs))
    app.include_router(datasets.router(datasets_port, open_streams))
    app.include_router(outputs.router(outputs_port, open_streams))
    app.include_router(templates.router(templates_port, jobs_port))
    if projects_port is not None:
        app.include_router(tenancy.router(projects_port, audit))
    return app
