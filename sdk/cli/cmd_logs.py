"""`cumulusctl logs`: a job's output on stdout. I/O."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...api.frames import Log, LogStream
from ..client import AsyncCumulusClient
from ..stream import Event, LogsLost, Position
from . import session, talk

app = typer.Typer()


@app.command()
def logs(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has finished.")
    ] = False,
    tail: Annotated[int, typer.Option(min=0, help="Only the last so many lines; 0: all.")] = 0,
    attempt: Annotated[int, typer.Option(min=0, help="0: the current one.")] = 0,
) -> None:
    """Print what a job wrote. Breaks of the connection lose and repeat nothing.

    With -f and without --attempt, later attempts follow. Ctrl-C ends with 130; the job goes on.
    """
    session.run(ctx, lambda client: _logs(client, job, attempt, tail, follow=follow))


async def _logs(
    client: AsyncCumulusClient, job: str, attempt: int, tail: int, *, follow: bool
) -> None:
    through = follow and not attempt
    at = Position()
    if tail or not through:
        waits = follow and not through
        async for log in client.logs(job, attempt=attempt, tail=tail, wait=waits):
            _write(log)
            if isinstance(log, Log):
                at = Position(log.record.attempt, log.record.sequence + 1)
    if through:
        async for event in client.stream(job, attempt=at.attempt, offset=at.offset):
            _write(event)


def _write(event: Event) -> None:
    if isinstance(event, LogsLost):
        talk.say(f"[{event.count} log records are no longer kept]")
    if not isinstance(event, Log) or not event.record.data:
        return
    if event.record.stream is LogStream.SYSTEM:
        talk.say(event.record.data.decode("utf-8", "replace").rstrip("\n"))
        return
    sys.stdout.buffer.write(event.record.data)
    sys.stdout.buffer.flush()
