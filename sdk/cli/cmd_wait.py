"""`cumulusctl wait`: until an object is what is asked for. I/O."""

from __future__ import annotations

from typing import Annotated

import typer

from ..waiting import Goal
from . import output, session, talk
from .cmd_apply import duration
from .cmd_get import kind_of

app = typer.Typer()


@app.command()
def wait(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A job, or KIND/NAME.", autocompletion=session.job_names)
    ],
    goal: Annotated[
        str,
        typer.Option("--for", help="finished, phase=PHASE, condition=TYPE[=false] or delete."),
    ] = "finished",
    timeout: Annotated[str | None, typer.Option(help="Such as 90s or 5m; exit 124.")] = None,
) -> None:
    """Wait for a job's end, a phase, a condition, or its removal.

    What has ended otherwise will not become what is waited for: exit 1, or the job's own code.
    """
    wanted = Goal.parse(goal)
    word, slash, rest = name.partition("/")
    kind, name = (kind_of(word), rest) if slash else ("Job", name)
    seconds = duration(timeout)
    found = session.run(ctx, lambda client: client.wait(name, wanted, kind=kind, timeout=seconds))
    label = output.label(found) if found is not None else f"{kind.lower()}/{name}"
    talk.say(f"{label}: {wanted.text} is met")
