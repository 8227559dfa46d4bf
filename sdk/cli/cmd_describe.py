"""`cumulusctl describe` and `cumulusctl why`. I/O; the text is made in describing.py."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...api.frames import Resource, WorkerUse
from ...api.happened import EventQuery, Happened
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Worker
from ..client import AsyncCumulusClient
from . import describing, session, telling
from .cmd_get import kind_of

app = typer.Typer()

EVENTS = 20
"""Of an object, at most so many of the last ones are shown."""


@app.command()
def describe(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="job, lease, worker or source.")],
    name: Annotated[str, typer.Argument(help="Name, or a job's uid.")],
) -> None:
    """Explain one object: where it stands, why, and what happened before."""
    wanted = kind_of(kind)

    async def look(
        client: AsyncCumulusClient,
    ) -> tuple[Resource, list[Lease], tuple[WorkerUse, ...], list[Happened]]:
        obj = await client.get(wanted, name)
        found = await client.list("Lease") if wanted == "Worker" else []
        leases = [lease for lease in found if isinstance(lease, Lease)]
        uses = await client.usage(_worker_of(obj)) if _worker_of(obj) else ()
        return obj, leases, uses, [event async for event in client.events(_about(obj))]

    obj, leases, uses, events = session.run(ctx, look)
    sys.stdout.write(describing.text(obj, time.time(), leases=leases, uses=uses))
    if events:
        sys.stdout.write(f"\n{telling.table(events, sys.stdout)}")


def _about(obj: Resource) -> EventQuery:
    """The last events of it."""
    if isinstance(obj, Worker):
        return EventQuery(worker=obj.metadata.name, tail=EVENTS)
    job = obj.spec.job if isinstance(obj, Lease) else obj.metadata.uid
    return EventQuery(job=job, tail=EVENTS)


def _worker_of(obj: Resource) -> str:
    """Whose use tells something about it, "" for nobody's."""
    if isinstance(obj, Job):
        return "" if obj.status.phase.terminal else obj.status.worker
    return obj.metadata.name if isinstance(obj, Worker) else ""


@app.command()
def why(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
) -> None:
    """Say why a job waits, worker by worker, or what became of it."""
    answer = session.run(ctx, lambda client: client.why(job))
    sys.stdout.write(describing.why(answer))
