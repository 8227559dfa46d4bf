"""`cumulusctl audit`: who called what, and what came of it. I/O; `quotas.py` makes the text."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ...api.audited import Audited, AuditQuery, Came
from . import moments, output, quotas
from .formats import Output
from .recorded import Records

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
    shown = Records("calls", quotas.audited_as_dict, quotas.audit_table, _Rows().add)
    shown.show(ctx, lambda client: client.audit(query), format_, watch=watch)


class _Rows:
    """An endless table: its header stands before the first line."""

    def __init__(self) -> None:
        self._header = [quotas.AUDIT_HEADER]

    def add(self, line: Audited) -> str:
        """The text to write for one more."""
        rows, self._header = [*self._header, quotas.audit_row(line)], []
        return output.table(rows, _WIDTHS)


_WIDTHS = (20, 12, 12, 15, 22, 24)
