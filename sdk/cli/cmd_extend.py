"""`cumulusctl extend`: a job may last longer. I/O."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.units import format_seconds
from . import moments, output, session

app = typer.Typer()


@app.command()
def extend(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
    by: Annotated[str, typer.Argument(metavar="DURATION", help="How much longer, such as 30m.")],
) -> None:
    """Let a job's lease last longer, while it waits or runs. It is no new run.

    It adds up, and holds for further attempts of the run too; another duration in the file is
    another run, as ever. It is refused with the reason where it cannot be promised: the job has
    ended, the worker's rental does, or the room is kept for a job that waits. The worker enforces
    the new end as it did the old one. The job's CUMULUS_DEADLINE stays what it was at its start.
    """
    seconds = moments.seconds(by, "DURATION")
    if seconds < 1:
        raise ValidationError("DURATION: expected at least 1s")
    found = session.run(ctx, lambda client: client.extend(job, seconds))
    status, now = found.status, time.time()
    words = f"job/{found.metadata.name} extended by {format_seconds(seconds)}"
    if status.expires_at:
        words += f": its lease ends in {output.span(status.expires_at + seconds - now)}"
    else:
        words += f": it may last {format_seconds(found.lasting.duration)} from its start"
    sys.stdout.write(f"{words}\n")
