"""`cumulusctl top`: what jobs and workers use now. I/O; the tables are made in using.py."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...api.frames import WorkerUse
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.worker import Worker
from ..client import AsyncCumulusClient
from . import session, talk, using
from .cmd_get import kind_of

app = typer.Typer()


@app.command()
def top(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="jobs or workers.")] = "jobs",
    worker: Annotated[
        str,
        typer.Argument(help="Only of this worker.", autocompletion=session.worker_names),
    ] = "",
) -> None:
    """Show what running jobs, or workers and their devices, use now (a look every five seconds)."""
    wanted = kind_of(kind)
    if wanted == "Lease":
        raise ValidationError("leases use nothing themselves: expected jobs or workers")

    async def look(client: AsyncCumulusClient) -> tuple[tuple[WorkerUse, ...], list[Worker]]:
        uses = await client.usage(worker)
        found = await client.list("Worker") if wanted == "Worker" else []
        listed = [one for one in found if isinstance(one, Worker)]
        return uses, [one for one in listed if worker in ("", one.metadata.name)]

    uses, workers = session.run(ctx, look)
    text = using.workers(workers, uses) if workers else using.jobs(uses)
    if not text or (wanted == "Worker" and not workers):
        talk.say("no workers found" if wanted == "Worker" else "no jobs run now")
        return
    sys.stdout.write(text)
