"""`cumulusctl token`: what lets a machine become a worker. I/O."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from ..address import Address
from . import session, settings, talk

app = typer.Typer()
token = typer.Typer(no_args_is_help=True, help="Tokens with which machines join as workers.")
app.add_typer(token, name="token")
app.callback()(lambda: None)


@token.command()
def create(
    ctx: typer.Context,
    ttl: Annotated[str, typer.Option(help="How long it is good, such as 30m; 24h at most.")] = "1h",
    worker: Annotated[str, typer.Option(help="Name that the worker must take.")] = "",
) -> None:
    """Print a join token: good for one machine, and shown only here."""
    made = session.run(ctx, lambda client: client.create_join_token(ttl=ttl, worker=worker))
    sys.stdout.write(f"{made.token}\n")
    sys.stdout.flush()
    until = datetime.fromtimestamp(made.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    server = Address.parse(settings.resolve(session.given(ctx)).server)
    controller = made.controller or ("HOST:50051" if server.local else server.target)
    # What is not a terminal may be a log, where no secret belongs.
    shown = made.token if sys.stderr.isatty() else "TOKEN"
    talk.say(f"it lets one machine in until {until}; there, as root:")
    talk.say(f"  ./bootstrap/worker.sh --controller {controller} --token {shown}")
