"""`cumulusctl run`: a folder with a main.py, or a template, becomes a job that is followed to its
end. I/O.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...crd_like_specs.errors import ValidationError
from .. import sources
from ..client import AsyncCumulusClient
from ..errors import JobError, WaitTimeoutError
from ..functions.needs import read_listed
from ..stream import Done
from . import session, streaming, talk, templates
from .cmd_apply import duration as seconds_of

app = typer.Typer()


@app.command()
def run(
    ctx: typer.Context,
    folder: Annotated[
        str, typer.Argument(help="Folder or zip with a main.py that has main().")
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            "--template", "-t", help="Instead of a folder.", autocompletion=session.template_names
        ),
    ] = "",
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="K=V",
            help="Parameter of the template; repeatable, a list by giving it again.",
            autocompletion=session.parameters,
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="Fraction of a device, such as 0.5; 0: no GPU. Of a folder 0.5."),
    ] = None,
    cpus: Annotated[str | None, typer.Option(help="With --template: cores.")] = None,
    memory: Annotated[str | None, typer.Option(help="With --template: such as 4Gi.")] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="With --template; repeatable.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:PATH]",
            help="What it finds to read, in /datasets/NAME or PATH; repeatable.",
            autocompletion=session.dataset_names,
        ),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="Hard limit, such as 90s, 30m, 1h30m. Of a folder 1h.")
    ] = None,
    requirement: Annotated[
        list[str] | None,
        typer.Option(
            "--requirement",
            "-r",
            metavar="PACKAGE|FILE",
            help="A package, a requirements.txt, a pyproject.toml, or a script with inline"
            " metadata; repeatable.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of the job; made from the folder's or template's by default."),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Argument of main(): JSON, else text; repeatable."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="Leave after this time; the job goes on; exit 124.")
    ] = None,
) -> None:
    """Run the main() of a folder, or a template, and print its result.

    States and log lines go to stderr, the result to stdout as JSON. The exit code is the job's.
    Ctrl-C detaches with 130; the job goes on.
    """
    if bool(folder) == bool(template):
        raise ValidationError("expected a FOLDER or --template NAME, one of them")
    limit = seconds_of(timeout)
    if template:
        if requirement or arg:
            raise ValidationError("-r and --arg go with a folder: a template has -p")
        wanted = templates.overrides(
            gpu=gpu,
            cpus=cpus,
            memory=memory,
            duration=duration,
            env=env or (),
            datasets=dataset or (),
        )
        params = templates.given(param or ())
        raise typer.Exit(_run_template(ctx, template, params, wanted, name or "", limit))
    if param or env or cpus or memory:
        raise ValidationError("-p, --env, --cpus and --memory go with --template")
    share = gpu or "0.5"
    job = sources.folder_job(
        Path(folder),
        name=name,
        gpu_memory=None if share in ("0", "none") else share,
        duration=duration or "1h",
        requirements=read_listed(requirement or ()),
        args=arguments(arg or []) or None,
        datasets=dataset or (),
    )
    label = job.metadata.name

    live = talk.Live()

    async def work(client: AsyncCumulusClient) -> Done:
        with live:
            return await streaming.show(client.submit_and_stream(job), live)

    done = _followed(ctx, work, label, limit)
    raise typer.Exit(streaming.finish(done, live))


def _followed(
    ctx: typer.Context,
    work: Callable[[AsyncCumulusClient], Awaitable[Done]],
    label: str,
    limit: int | None,
) -> Done:
    """What the work comes to. limit: seconds for which it is waited."""
    try:
        return session.run(
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


def _run_template(
    ctx: typer.Context,
    template: str,
    params: dict[str, Any],
    overrides: dict[str, Any],
    name: str,
    limit: int | None,
) -> int:
    """The job's exit code."""
    job = session.run(
        ctx,
        lambda client: client.submit_template(template, params, overrides=overrides, name=name),
    )
    label = job.metadata.name
    live = talk.Live()

    async def work(client: AsyncCumulusClient) -> Done:
        with live:
            return await streaming.show(client.stream(job), live)

    return streaming.finish(_followed(ctx, work, label, limit), live)


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
        except (ValueError, RecursionError):
            found[key] = text
    return found
