"""`cumulusctl pause`, `resume` and `checkpoints`. I/O."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...crd_like_specs.job import Job
from ..client import AsyncCumulusClient
from . import kept, session, talk
from .each import each

app = typer.Typer()

Jobs = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", help="Names or uids.", autocompletion=session.job_names),
]


@app.command()
def pause(
    ctx: typer.Context,
    jobs: Jobs,
    wait: Annotated[bool, typer.Option("--wait", help="Return when nothing of them runs.")] = False,
) -> None:
    """Let jobs save their state and give their leases back, until they are resumed.

    A job that asks should_pause() is given its checkpoint.grace (30s) for that, any other has
    SIGTERM at once and 10s. What it keeps in /checkpoint is there when it goes on.
    """

    async def one(client: AsyncCumulusClient, name: str) -> str:
        job = await client.pause(name)
        if wait:
            job = await _until_paused(client, job)
        paused = _is_paused(job)
        return f"job/{job.metadata.name} {'is paused' if paused else 'is being paused'}"

    raise typer.Exit(session.run(ctx, lambda client: each(client, jobs, one)))


@app.command()
def resume(ctx: typer.Context, jobs: Jobs) -> None:
    """Let paused jobs go on from their newest checkpoint, on any worker."""

    async def one(client: AsyncCumulusClient, name: str) -> str:
        job = await client.resume(name)
        return f"job/{job.metadata.name} goes on"

    raise typer.Exit(session.run(ctx, lambda client: each(client, jobs, one)))


@app.command()
def checkpoints(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
) -> None:
    """List the checkpoints that are kept of a job, the newest first."""
    found = session.run(ctx, lambda client: client.get_job(job))
    if not found.status.checkpoints:
        talk.say(f"job {job} has no checkpoint")
    sys.stdout.write(kept.table(found.status.checkpoints, time.time()))


async def _until_paused(client: AsyncCumulusClient, job: Job) -> Job:
    """Paused, or over: one that finished meanwhile is not paused any more."""
    changes = client.watch("Job", name=job.metadata.name)
    try:
        async for item in changes:
            found = item.resource
            if isinstance(found, Job) and (_is_paused(found) or found.status.phase.terminal):
                return found
    finally:
        await changes.aclose()
    return job


def _is_paused(job: Job) -> bool:
    return job.spec.suspend and job.status.phase.rank == 0
