"""`cumulusctl outputs`: what jobs left in /results. I/O."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...api.outputs import Output
from ...crd_like_specs.errors import NotFoundError, ValidationError
from ...crd_like_specs.units import show_bytes
from ..client import AsyncCumulusClient
from ..outputs import AsyncJobOutputs
from . import output, session, talk

app = typer.Typer()
outputs = typer.Typer(no_args_is_help=True, help="What jobs left in /results.")
app.add_typer(outputs, name="outputs")
app.callback()(lambda: None)

Job = Annotated[
    str, typer.Argument(metavar="JOB", help="Name or uid.", autocompletion=session.job_names)
]
Attempt = Annotated[int, typer.Option(min=0, help="Which one's; 0: the newest that left anything.")]


def _paths(ctx: typer.Context, incomplete: str) -> list[str]:
    """Paths of the outputs of the command's job, for completion."""
    job = str(ctx.params.get("job") or "")

    async def paths(client: AsyncCumulusClient) -> list[str]:
        return [one.path for one in await client.outputs(job, wait=False)]

    return session.complete(ctx, paths, incomplete) if job else []


@outputs.command()
def ls(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)] = "",
    attempt: Attempt = 0,
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="Of all jobs of an experiment instead.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List what a job left, waiting a moment for what is still on its way.

    What was not kept, such as files beyond outputs.size, is said on stderr.
    """
    if bool(job) == bool(experiment):
        raise ValidationError("either a JOB or --experiment is expected")

    async def listed(client: AsyncCumulusClient) -> list[Output]:
        if experiment:
            return await client.experiment_outputs(experiment)
        return list(await _found(client, job, attempt))

    found = session.run(ctx, listed)
    if as_json:
        sys.stdout.write(json.dumps([_data(one) for one in found], indent=2) + "\n")
        return
    if not found:
        talk.say(f"{'experiment' if experiment else 'job'} {experiment or job} has no outputs")
        return
    sys.stdout.write(_table(found, jobs=bool(experiment)))


@outputs.command()
def get(
    ctx: typer.Context,
    job: Job,
    path: Annotated[
        str, typer.Argument(help="Path or id of one of them.", autocompletion=_paths)
    ] = "",
    to: Annotated[
        str,
        typer.Option("--output", "-o", help="File or folder; - for stdout. Without it, see above."),
    ] = "",
    attempt: Attempt = 0,
) -> None:
    """Download what a job left: all into a folder named like the job, or one file to here.

    Each file's path is printed. A download that broke off goes on where it was when it is asked
    for again; what is there in the end is checked.
    """
    if to == "-" and not path:
        raise ValidationError("-o - is for one file: give its path too")

    async def download(client: AsyncCumulusClient) -> list[Path]:
        found = await _found(client, job, attempt)
        if to == "-":
            async for piece in found.stream(path):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return []
        if path:
            return [await found.download(path, to or ".")]
        if not len(found):
            raise NotFoundError(f"job {found.found.job_name} has no outputs")
        return await found.download_all(to or found.found.job_name)

    for file in session.run(ctx, download):
        sys.stdout.write(f"{file}\n")


async def _found(client: AsyncCumulusClient, job: str, attempt: int) -> AsyncJobOutputs:
    """All of them, however long they are on their way; what is not kept is said."""
    found = await client.outputs(job, attempt=attempt, wait=False)
    if found.pending:
        talk.say("waiting for outputs that are on their way from the worker")
        found = await client.outputs(job, attempt=attempt)
    if found.message:
        talk.say(f"attempt {found.attempt}: {found.message}")
    return found


def _table(found: Iterable[Output], *, jobs: bool) -> str:
    rows = [[*(["JOB"] if jobs else []), "PATH", "ID", "TYPE", "SIZE"]]
    rows += [
        [*([one.job_name] if jobs else []), one.path, one.id, one.role.value, show_bytes(one.size)]
        for one in found
    ]
    return output.table(rows)


def _data(one: Output) -> dict[str, Any]:
    return {**asdict(one), "role": one.role.value}
