"""`cumulusctl cordon`, `uncordon` and `drain`. I/O."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import output, session

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="WORKER", autocompletion=session.worker_names)]


@app.command()
def cordon(ctx: typer.Context, worker: Name) -> None:
    """Let a worker take no new jobs; what runs there goes on."""
    _set(ctx, worker, cordoned=True, drain=False)


@app.command()
def uncordon(ctx: typer.Context, worker: Name) -> None:
    """Let a worker take jobs again."""
    _set(ctx, worker, cordoned=False, drain=False)


@app.command()
def drain(ctx: typer.Context, worker: Name) -> None:
    """Let a worker take no new jobs, and move the ones it has away."""
    _set(ctx, worker, cordoned=True, drain=True)


def _set(ctx: typer.Context, name: str, *, cordoned: bool, drain: bool) -> None:
    worker = session.run(ctx, lambda client: client.cordon(name, cordoned=cordoned, drain=drain))
    sys.stdout.write(f"{output.label(worker)} {output.worker_status(worker)}\n")
