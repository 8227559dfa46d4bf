"""`cumulusctl top`: what jobs and workers use now. I/O; the tables are made in using.py."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from ...api.frames import WorkerUse
from ...crd_like_specs.errors import UnavailableError, ValidationError
from ...crd_like_specs.worker import Worker
from ..client import AsyncCumulusClient
from . import moments, session, talk, using
from .cmd_get import kind_of

app = typer.Typer()

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"

Seen = tuple[tuple[WorkerUse, ...], list[Worker]]


@app.command()
def top(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="jobs or workers.")] = "jobs",
    worker: Annotated[
        str,
        typer.Argument(help="Only of this worker.", autocompletion=session.worker_names),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again.")] = False,
    every: Annotated[str, typer.Option(help="With --watch: so often; 1s at least.")] = "5s",
) -> None:
    """Show what running jobs, or workers and their devices, use now (a look every five seconds).

    With --watch a terminal shows the newest table only; elsewhere one follows the other, with an
    empty line between. Ctrl-C ends with 130.
    """
    wanted = kind_of(kind)
    if wanted not in ("Job", "Worker"):
        raise ValidationError(f"{kind} use nothing themselves: expected jobs or workers")
    pause = moments.seconds(every, "--every")
    if pause < 1:
        raise ValidationError("--every: expected at least 1s")

    async def look(client: AsyncCumulusClient) -> Seen:
        uses = await client.usage(worker)
        found = await client.list("Worker") if wanted == "Worker" else []
        listed = [one for one in found if isinstance(one, Worker)]
        return uses, [one for one in listed if worker in ("", one.metadata.name)]

    async def again(client: AsyncCumulusClient) -> None:
        while True:
            try:
                text = _text(wanted, await look(client))
            except UnavailableError as e:
                talk.say(f"{e.message}; trying again")
            else:
                sys.stdout.write(f"{_CLEAR}{text}" if sys.stdout.isatty() else f"{text}\n")
                sys.stdout.flush()
            await asyncio.sleep(pause)

    if watch:
        session.run(ctx, again)
        return
    seen = session.run(ctx, look)
    text = _text(wanted, seen)
    if text:
        sys.stdout.write(text)
    else:
        talk.say("no workers found" if wanted == "Worker" else "no jobs run now")


def _text(kind: str, seen: Seen) -> str:
    """The table, "" where there is nothing to show."""
    uses, workers = seen
    if kind == "Worker":
        return using.workers(workers, uses) if workers else ""
    return using.jobs(uses)
