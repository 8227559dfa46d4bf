"""`cumulusctl events`: what happened, and what happens. I/O; `telling.py` makes the text."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...api.happened import TYPES, EventQuery, Happened
from . import moments, session, telling
from .formats import Output
from .recorded import Records

app = typer.Typer()


def _types(incomplete: str) -> list[str]:
    """Types that complete the last of those typed so far."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{one}" for one in sorted(TYPES) if one.startswith(last)]


@app.command()
def events(
    ctx: typer.Context,
    job: Annotated[
        str,
        typer.Argument(help="Only of this job, name or uid.", autocompletion=session.job_names),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with each new one.")] = False,
    since: Annotated[
        str, typer.Option(help="Only what happened since: 10m ago, or 2026-12-01T10:00:00Z.")
    ] = "",
    types: Annotated[
        str,
        typer.Option("--type", help="Only these, with commas.", autocompletion=_types),
    ] = "",
    worker: Annotated[
        str, typer.Option(help="Only of this worker.", autocompletion=session.worker_names)
    ] = "",
    warnings: Annotated[bool, typer.Option("--warnings", help="Only what went wrong.")] = False,
    tail: Annotated[
        int, typer.Option(min=0, help="Only the last so many; 0: all that are kept.")
    ] = 100,
    format_: Output = None,
) -> None:
    """Show what happened to jobs, leases and workers, oldest first, and who asked for it.

    The controller keeps the last 20,000 events, for a week at most. Of other people's jobs you see
    nothing. With --watch and -o json there is a line of JSON for each; Ctrl-C ends with 130.
    """
    query = EventQuery(
        job=job,
        worker=worker,
        types=frozenset(filter(None, types.split(","))),
        since=moments.past(since, "--since", time.time()) if since else 0.0,
        tail=tail,
        watch=watch,
        warnings=warnings,
    ).checked()
    shown = Records("events", telling.as_dict, _table, telling.Rows(sys.stdout).add)
    shown.show(ctx, lambda client: client.events(query), format_, watch=watch)


def _table(found: list[Happened]) -> str:
    return telling.table(found, sys.stdout)
