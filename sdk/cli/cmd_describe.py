"""`cumulusctl describe` and `cumulusctl why`. I/O; the text is made in describing.py."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...api.frames import Resource, WorkerUse
from ...api.happened import EventQuery, Happened
from ...crd_like_specs.errors import NotFoundError
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
    kind: Annotated[
        str,
        typer.Argument(
            help="job, lease, worker, source, dataset or template.", autocompletion=session.kinds
        ),
    ],
    name: Annotated[
        str, typer.Argument(help="Name, or a job's uid.", autocompletion=session.names)
    ],
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
        return obj, leases, uses, await _events(client, obj)

    obj, leases, uses, events = session.run(ctx, look)
    sys.stdout.write(describing.text(obj, time.time(), leases=leases, uses=uses))
    if events:
        sys.stdout.write(f"\n{telling.table(events, sys.stdout)}")


async def _events(client: AsyncCumulusClient, obj: Resource) -> list[Happened]:
    """The last events of it; none of what has none of its own."""
    if isinstance(obj, Worker):
        query = EventQuery(worker=obj.metadata.name, tail=EVENTS)
    elif isinstance(obj, Job | Lease):
        job = obj.spec.job if isinstance(obj, Lease) else obj.metadata.uid
        query = EventQuery(job=job or obj.metadata.name, tail=EVENTS)
    else:
        return []
    try:
        return [event async for event in client.events(query)]
    except NotFoundError:  # the job of a lease that is yet to be taken down
        return []


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
