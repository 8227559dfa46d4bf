"""`cumulusctl audit`: who called what, and what came of it. I/O; `quotas.py` makes the text."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated

import typer

from ...api.audited import Audited, AuditQuery, Came
from ..client import AsyncCumulusClient
from . import moments, output, quotas, session, talk
from .formats import Form, Output, for_people
from .output import Format

app = typer.Typer()
app.callback()(lambda: None)


def _outcomes(incomplete: str) -> list[str]:
    return [one.value for one in Came if one.value.startswith(incomplete)]


@app.command()
def audit(
    ctx: typer.Context,
    who: Annotated[str, typer.Option(help="Only of this token's holder.")] = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    method: Annotated[str, typer.Option(help="Only calls with this in their name.")] = "",
    resource: Annotated[str, typer.Option(help="Only of what has this in its name.")] = "",
    address: Annotated[str, typer.Option(help="Only from this address.")] = "",
    outcome: Annotated[
        str,
        typer.Option(help="allowed, refused or failed.", autocompletion=_outcomes),
    ] = "",
    since: Annotated[
        str, typer.Option(help="Only what was since: 10m ago, or 2026-12-01T10:00:00Z.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with each new one.")] = False,
    tail: Annotated[
        int, typer.Option(min=0, help="Only the last so many; 0: all that are kept.")
    ] = 100,
    format_: Output = None,
) -> None:
    """Show who called what, by gRPC and HTTP, oldest first. Admins only.

    Every call that changes something is here, and every one that was refused; no bodies and no
    secrets. The controller keeps the last 50,000 lines, for 90 days at most; refusals that repeat
    are one line a minute with their number. With --watch and -o json there is a line of JSON for
    each; Ctrl-C ends with 130.
    """
    query = AuditQuery(
        who=who,
        project=project,
        method=method,
        resource=resource,
        outcome=outcome,
        address=address,
        since=moments.past(since, "--since", time.time()) if since else 0.0,
        tail=tail,
        watch=watch,
    ).checked()
    if format_ is not None:
        format_.only(Format.WIDE, Format.JSON, Format.JSONPATH, what="calls")
    if watch:
        session.run(ctx, lambda client: _watch(client, query, format_))
        return

    async def look(client: AsyncCumulusClient) -> list[Audited]:
        return [line async for line in client.audit(query)]

    found = session.run(ctx, look)
    if not for_people(format_):
        assert format_ is not None
        sys.stdout.write(format_.data({"items": [quotas.audited_as_dict(one) for one in found]}))
    elif found:
        sys.stdout.write(quotas.audit_table(found))
    else:
        talk.say("no calls found")


async def _watch(client: AsyncCumulusClient, query: AuditQuery, form: Form | None) -> None:
    header = [quotas.AUDIT_HEADER]
    async for line in client.audit(query):
        if for_people(form):
            sys.stdout.write(output.table([*header, quotas.audit_row(line)], _WIDTHS))
            header = []
        else:
            assert form is not None
            body = quotas.audited_as_dict(line)
            text = json.dumps(body) if form.format is Format.JSON else form.data(body)
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


_WIDTHS = (20, 12, 12, 15, 22, 24)
