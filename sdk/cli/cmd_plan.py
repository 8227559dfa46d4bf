"""`cumulusctl diff` and `cumulusctl plan`: what apply would do. I/O; previews.py makes the text."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...api import status as table
from ...api.previews import Preview
from ...crd_like_specs.errors import CumulusError, ValidationError
from .. import sources
from . import previews, session, talk
from .formats import Form, Output, for_people
from .output import Format

app = typer.Typer()

SAME, DIFFERS, WRONG, NO_ROOM = 0, 1, 2, 7

Paths = Annotated[
    list[str] | None, typer.Argument(metavar="FILE...", help="Files, folders, or - for stdin.")
]
Files = Annotated[list[str] | None, typer.Option("--file", "-f", help="The same.")]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="With -l: jobs with these labels that no file has would go."),
]
Selector = Annotated[
    str, typer.Option("--selector", "-l", help="With --prune: key=value, key!=value or key.")
]


@app.command()
def diff(
    ctx: typer.Context,
    paths: Paths = None,
    file: Files = None,
    prune: Prune = False,
    selector: Selector = "",
    format_: Output = None,
) -> None:
    """Show what apply would change, field by field. Nothing is written.

    Jobs are created, changed (the run goes on), replaced (the run there is ends, another begins) or
    pruned; what stays as it is is not shown. Exit codes: 0 nothing differs; 1 something does; more
    than 1 an error, 2 where apply would refuse a document.
    """
    found = _ask(ctx, paths, file, prune_selector(prune, selector), format_, forecast=False)
    if for_people(format_):
        sys.stdout.write(previews.differences(found, sys.stdout))
    raise typer.Exit(_code(found))


@app.command()
def plan(
    ctx: typer.Context,
    paths: Paths = None,
    file: Files = None,
    prune: Prune = False,
    selector: Selector = "",
    format_: Output = None,
) -> None:
    """Show what apply would do, and where and when each job would start. Nothing is written.

    All documents are lined up together in the queue as it is now. A start is told as it would be
    at the latest: if every lease lasted to its end, and nothing came in between. For a job that
    nothing could ever take it says why, worker by worker. Exit codes: 0 nothing would change;
    1 something would; more than 1 an error, 2 where apply would refuse a document, 7 where a job
    would fail since nothing that exists can take it.
    """
    found = _ask(ctx, paths, file, prune_selector(prune, selector), format_, forecast=True)
    if for_people(format_):
        sys.stdout.write(previews.starts(found, sys.stdout))
    code = _code(found)
    raise typer.Exit(NO_ROOM if code < WRONG and previews.hopeless(found) else code)


def prune_selector(prune: bool, selector: str) -> str:
    """Which jobs may go, "" for none; ValidationError where one of the options is missing."""
    if prune and not selector.strip():
        raise ValidationError("--prune needs -l SELECTOR: which jobs it may delete")
    if selector and not prune:
        raise ValidationError("-l says what --prune may delete: give both")
    return selector.strip() if prune else ""


def _ask(
    ctx: typer.Context,
    paths: list[str] | None,
    file: list[str] | None,
    prune: str,
    form: Form | None,
    *,
    forecast: bool,
) -> Preview:
    """The answer, printed already where it is to be data. An error's exit code is never 1 here."""
    if form is not None:
        form.only(Format.WIDE, Format.JSON, Format.JSONPATH, what="plans")
    given = [*(paths or []), *(file or [])]
    if not given:
        raise ValidationError("nothing to compare: expected files, folders or - for stdin")
    try:
        wanted = [one.resource for one in sources.load(given, sys.stdin.buffer)]
        found = session.run(ctx, lambda client: client.plan(wanted, prune=prune, forecast=forecast))
    except CumulusError as e:
        if table.exit_code(e) > DIFFERS:
            raise
        talk.complain(e.message)
        raise typer.Exit(WRONG) from e
    for problem in previews.problems(found):
        talk.complain(problem)
    if form is not None and not form.table:
        sys.stdout.write(form.data(previews.as_dict(found)))
    return found


def _code(found: Preview) -> int:
    if previews.problems(found):
        return WRONG
    return DIFFERS if previews.differs(found) else SAME
