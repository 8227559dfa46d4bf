"""`cumulusctl fence`, `unfence` and `remove`: workers that are lost, or leave. I/O."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...crd_like_specs.errors import ValidationError
from . import output, session, talk
from .cmd_get import kind_of

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="WORKER", autocompletion=session.worker_names)]


@app.command()
def fence(
    ctx: typer.Context,
    worker: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Vouch that nothing runs on a worker that is out of reach, so that its jobs go elsewhere.

    Only what you know yourself counts: the machine is off, or its rental ended. If a job still
    runs there, it runs twice. The worker takes no jobs until it is unfenced.
    """
    if not yes:
        _ask(worker)
    session.run(ctx, lambda client: client.fence(worker))
    sys.stdout.write(f"worker/{worker} fenced\n")


@app.command()
def unfence(ctx: typer.Context, worker: Name) -> None:
    """Let a fenced worker take jobs again, once it is back and clean."""
    session.run(ctx, lambda client: client.fence(worker, fenced=False))
    sys.stdout.write(f"worker/{worker} no longer fenced\n")


@app.command()
def remove(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="worker.")],
    name: Name,
) -> None:
    """Forget a worker that is drained or fenced; its certificate is refused from then on."""
    if kind_of(kind) != "Worker":
        raise ValidationError(f"a {kind} is not removed: expected worker (jobs are deleted)")
    worker = session.run(ctx, lambda client: client.remove_worker(name))
    sys.stdout.write(f"{output.label(worker)} removed\n")


def _ask(worker: str) -> None:
    if not sys.stdin.isatty():
        raise ValidationError(
            f"fencing {worker} says that nothing runs there: expected --yes where nobody can be asked"
        )
    talk.say(f"You vouch that no job runs on worker {worker}: if one does, it will run twice.")
    if not typer.confirm("Is the machine off, or gone for good?", err=True):
        raise typer.Exit(1)
