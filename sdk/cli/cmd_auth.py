"""`cumulusctl auth`: who may call, and who calls. I/O.

A token is written to a file or to stdout, once, and never shown again; it is taken from a file or
the environment, never from the command line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...api import status as table
from ...api.api_tokens import ApiToken
from ...crd_like_specs.errors import CumulusError, ValidationError
from ...crd_like_specs.instants import show_instant
from ..client import AsyncCumulusClient
from . import output, session, talk
from .formats import Output, for_people
from .output import Format

app = typer.Typer()
auth = typer.Typer(no_args_is_help=True, help="Who may call the controller, and who calls.")
token = typer.Typer(no_args_is_help=True, help="Bearer tokens of people and programs.")
auth.add_typer(token, name="token")
app.add_typer(auth, name="auth")
app.callback()(lambda: None)

ROLES = ("submitter", "viewer", "admin")


def _roles(incomplete: str) -> list[str]:
    return [role for role in ROLES if role.startswith(incomplete)]


def _ids(ctx: typer.Context, incomplete: str) -> list[str]:
    async def ids(client: AsyncCumulusClient) -> list[str]:
        return [one.id for one in await client.list_tokens()]

    return session.complete(ctx, ids, incomplete)


@token.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Of its holder; jobs are marked with it.")],
    role: Annotated[
        str,
        typer.Option(help="submitter, viewer or admin.", autocompletion=_roles),
    ] = "submitter",
    ttl: Annotated[
        str, typer.Option(help="How long it is good, such as 90d; until revoked without it.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="New file for the token, for your eyes only.")
    ] = None,
) -> None:
    """Make a token and write it to stdout, or to a new file of mode 0600. Admins only.

    A submitter runs jobs and sees its own only; a viewer sees everything and changes nothing; an
    admin does everything. Tokens of one name own the same jobs. Only a hash is kept: a token that
    is lost cannot be shown again, make another and revoke it.
    """
    if out is not None and out.exists():
        raise ValidationError(f"--out: {str(out)!r} exists already: name a new file")
    made = session.run(ctx, lambda client: client.create_token(name, role=role, ttl=ttl or 0))
    if out is None:
        sys.stdout.write(f"{made.secret}\n")
        sys.stdout.flush()
    else:
        _write(out, made.secret)
    kept, until = made.token, _until(made.token.expires_at)
    where = f" in {out}" if out is not None else ""
    talk.say(f"token {kept.id} of {kept.name} ({kept.role}){where}, good {until}")
    talk.say(f"to use it: cumulusctl --token-file {out or 'FILE'} auth whoami")


@token.command("list")
def list_(ctx: typer.Context, format_: Output = None) -> None:
    """List the tokens that were handed out; not those of the controller's configuration."""
    if format_ is not None:
        format_.only(Format.WIDE, Format.JSON, Format.JSONPATH, what="tokens")
    found = session.run(ctx, lambda client: client.list_tokens())
    if not for_people(format_):
        assert format_ is not None
        sys.stdout.write(format_.data({"items": [_as_dict(one) for one in found]}))
        return
    if not found:
        talk.say(
            "no tokens were handed out; those of the controller's configuration are not listed"
        )
        return
    now = time.time()
    rows = [["ID", "NAME", "ROLE", "AGE", "EXPIRES-IN", "BY"]]
    rows += [_row(one, now) for one in found]
    sys.stdout.write(output.table(rows))


@token.command()
def revoke(
    ctx: typer.Context,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="As `list` shows them.", autocompletion=_ids),
    ],
) -> None:
    """End tokens now: streams that are open with them are cut off. Jobs go on."""

    async def work(client: AsyncCumulusClient) -> int:
        code = 0
        for one in ids:
            try:
                revoked = await client.revoke_token(one)
            except CumulusError as e:
                talk.complain(e.message)
                code = code or table.exit_code(e)
            else:
                sys.stdout.write(f"token {revoked.id} of {revoked.name} revoked\n")
        return code

    raise typer.Exit(session.run(ctx, work))


@auth.command()
def whoami(ctx: typer.Context, format_: Output = None) -> None:
    """Say who the controller takes you for."""
    found = session.run(ctx, lambda client: client.whoami())
    if not for_people(format_):
        assert format_ is not None
        format_.only(Format.JSON, Format.JSONPATH, what="callers")
        sys.stdout.write(format_.data(asdict(found)))
        return
    if not found.role:
        sys.stdout.write("everybody: this controller asks for no tokens\n")
        return
    facts = {
        "name": found.name or "-",
        "role": found.role,
        "token": found.id or "of the controller's configuration",
        "good": _until(found.expires_at),
    }
    sys.stdout.write("".join(f"{key + ':':<7}{value}\n" for key, value in facts.items()))


def _write(path: Path, secret: str) -> None:
    """A new file that nobody else may read."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{secret}\n")
    except OSError as e:
        # It exists on the controller by now, and nobody has it: say how to end it.
        raise ValidationError(
            f"--out: {str(path)!r} cannot be written ({e.strerror}): revoke the token that was made, "
            "`cumulusctl auth token list` shows it"
        ) from e


def _row(one: ApiToken, now: float) -> list[str]:
    left = "never" if not one.expires_at else output.span(one.expires_at - now)
    over = 0 < one.expires_at <= now
    return [
        one.id,
        one.name,
        one.role,
        output.ago(one.created_at, now),
        "over" if over else left,
        one.created_by or "-",
    ]


def _as_dict(one: ApiToken) -> dict[str, object]:
    body: dict[str, object] = json.loads(json.dumps(asdict(one)))
    return body


def _until(expires_at: float) -> str:
    return f"until {show_instant(expires_at)}" if expires_at else "until it is revoked"
