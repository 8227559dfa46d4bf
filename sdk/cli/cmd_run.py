"""`cumulusctl run`: a folder with a main.py becomes a job, followed to its end. I/O."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ...crd_like_specs.errors import ValidationError
from .. import sources
from ..client import AsyncCumulusClient
from ..errors import JobError, WaitTimeoutError
from ..stream import Done
from . import session, streaming, talk
from .cmd_apply import duration as seconds_of

app = typer.Typer()


@app.command()
def run(
    ctx: typer.Context,
    folder: Annotated[str, typer.Argument(help="Folder or zip with a main.py that has main().")],
    gpu: Annotated[str, typer.Option(help="Fraction of a device, such as 0.5; 0: no GPU.")] = "0.5",
    duration: Annotated[str, typer.Option(help="Hard limit, such as 90s, 30m, 1h30m.")] = "1h",
    requirement: Annotated[
        list[str] | None, typer.Option("--requirement", "-r", help="A package; repeatable.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Made from the folder's name by default.")
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Argument of main(): JSON, else text; repeatable."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="Leave after this time; the job goes on; exit 124.")
    ] = None,
) -> None:
    """Run the main() of a folder and print its result.

    States and log lines go to stderr, the result to stdout as JSON. The exit code is the job's.
    Ctrl-C detaches with 130; the job goes on.
    """
    job = sources.folder_job(
        Path(folder),
        name=name,
        gpu_memory=None if gpu in ("0", "none") else gpu,
        duration=duration,
        requirements=requirement or (),
        args=arguments(arg or []) or None,
    )
    label = job.metadata.name
    limit = seconds_of(timeout)

    live = talk.Live()

    async def work(client: AsyncCumulusClient) -> Done:
        with live:
            return await streaming.show(client.submit_and_stream(job), live)

    try:
        done = session.run(
            ctx,
            lambda client: asyncio.wait_for(work(client), limit),
            detach=f"the job goes on: cumulusctl logs -f {label}",
        )
    except JobError:  # a job that ran out of time is also a TimeoutError; it is not our own
        raise
    except TimeoutError:
        raise WaitTimeoutError(
            f"not finished within {limit} s; the job goes on: cumulusctl logs -f {label}"
        ) from None
    raise typer.Exit(streaming.finish(done, live))


def arguments(pairs: list[str]) -> dict[str, Any]:
    """`["n=3", "who=me"]` → `{"n": 3, "who": "me"}`; ValidationError for what is no pair."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, mark, text = pair.partition("=")
        if not mark or not key.isidentifier():
            raise ValidationError(f"--arg {pair!r}: expected NAME=VALUE")
        if key in found:
            raise ValidationError(f"--arg {key} is given twice")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found
