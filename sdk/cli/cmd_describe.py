"""`cumulusctl describe` and `cumulusctl why`. I/O; the text is made in describing.py."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...api.frames import Resource
from ...crd_like_specs.lease import Lease
from ..client import AsyncCumulusClient
from . import describing, session
from .cmd_get import kind_of

app = typer.Typer()


@app.command()
def describe(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="job, lease or worker.")],
    name: Annotated[str, typer.Argument(help="Name, or a job's uid.")],
) -> None:
    """Explain one object: where it stands, why, and what happened before."""
    wanted = kind_of(kind)

    async def look(client: AsyncCumulusClient) -> tuple[Resource, list[Lease]]:
        found = await client.list("Lease") if wanted == "Worker" else []
        leases = [lease for lease in found if isinstance(lease, Lease)]
        return await client.get(wanted, name), leases

    obj, leases = session.run(ctx, look)
    sys.stdout.write(describing.text(obj, time.time(), leases=leases))


@app.command()
def why(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
) -> None:
    """Say why a job waits, worker by worker, or what became of it."""
    answer = session.run(ctx, lambda client: client.why(job))
    sys.stdout.write(describing.why(answer))
