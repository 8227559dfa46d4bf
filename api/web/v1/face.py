"""`/v1` put together. No I/O of its own."""

from __future__ import annotations

from ...ports import BlobsPort, JobsPort
from ..faces import Face
from ..live import Streams
from . import code, fleet, jobs, streams

_ABOUT = """The HTTP twin of the gRPC service `cumulus.v1.Cumulus`: the same objects, rules and errors.

Bearer tokens where the controller has any. Resources are JSON or YAML, with the fields of files."""


def face(*, jobs_port: JobsPort, blobs: BlobsPort, open_streams: Streams) -> Face:
    """open_streams: those of all APIs."""
    app = Face("Cumulus", _ABOUT)
    app.include_router(jobs.router(jobs_port, blobs))
    app.include_router(streams.router(jobs_port, open_streams))
    app.include_router(fleet.router(jobs_port))
    app.include_router(code.router(blobs))
    return app
