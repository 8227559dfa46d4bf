"""`cumulusctl cancel` and `cumulusctl delete`. I/O."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job import Job
from ...crd_like_specs.template import Template
from .. import sources
from ..client import AsyncCumulusClient
from . import output, session
from .each import each

app = typer.Typer()


@app.command()
def cancel(
    ctx: typer.Context,
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB...", help="Names or uids.", autocompletion=session.job_names),
    ],
) -> None:
    """End jobs now; what they were is kept. A finished job stays as it is."""

    async def one(client: AsyncCumulusClient, name: str) -> str:
        job = await client.cancel(name)
        over = job.status.phase.terminal
        said = f"had finished as {job.status.phase.value}" if over else "is being cancelled"
        return f"job/{job.metadata.name} {said}"

    raise typer.Exit(session.run(ctx, lambda client: each(client, jobs, one)))


@app.command()
def delete(
    ctx: typer.Context,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JOB...]",
            help="Names; of others: template/NAME, dataset/NAME.",
            autocompletion=session.job_names,
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", help="The jobs and templates of these files."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when they are gone.")] = False,
) -> None:
    """End jobs and forget them with their logs and results."""
    names = [*(jobs or [])]
    if file:
        found = [one.resource for one in sources.load(file, sys.stdin.buffer, pack=False)]
        names += [one.metadata.name for one in found if isinstance(one, Job)]
        names += [output.label(one) for one in found if isinstance(one, Template)]
    if not names:
        raise ValidationError("nothing to delete: expected names of jobs, or -f FILE")

    async def one(client: AsyncCumulusClient, name: str) -> str:
        kind, slash, other = name.partition("/")
        if slash and kind == "template":
            await client.delete_template(other)
            return f"{name} deleted"
        if slash and kind == "dataset":
            await client.datasets.delete(other)
            return f"{name} deleted"
        job = await client.delete(name)
        if wait:
            await client.wait(name, "delete")
        return f"job/{job.metadata.name} {'deleted' if wait else 'is being deleted'}"

    raise typer.Exit(session.run(ctx, lambda client: each(client, names, one)))
