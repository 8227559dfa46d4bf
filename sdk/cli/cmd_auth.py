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
from ...api.tenancy import Project
from ...api.viewer import PERMISSIONS
from ...crd_like_specs.errors import CumulusError, ValidationError
from ...crd_like_specs.instants import show_instant
from ..client import AsyncCumulusClient
from . import output, quotas, session, talk
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


def _permissions(incomplete: str) -> list[str]:
    return sorted(one for one in PERMISSIONS if one.startswith(incomplete))


Running = Annotated[str, typer.Option(help="Jobs of the project at once, such as 4.")]
Hours = Annotated[str, typer.Option(help="GPU-hours of the project in a UTC day, such as 2.5.")]
DatasetBytes = Annotated[str, typer.Option(help="Of the project's datasets, such as 50Gi.")]


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
    project: Annotated[
        str, typer.Option(help="Whose jobs it submits and sees; NAME without it.")
    ] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may beyond its role: root (containers as root). May be given again.",
            autocompletion=_permissions,
        ),
    ] = None,
    max_running: Running = "",
    gpu_hours: Hours = "",
    dataset_bytes: DatasetBytes = "",
    out: Annotated[
        Path | None, typer.Option(help="New file for the token, for your eyes only.")
    ] = None,
) -> None:
    """Make a token and write it to stdout, or to a new file of mode 0600. Admins only.

    A submitter runs jobs and sees its project's only; a viewer sees everything and changes nothing;
    an admin does everything. Tokens of one project own the same jobs and share its limits: where it
    has a limit already, another one given here is refused, see `cumulusctl auth quota`. Only a hash
    is kept: a token that is lost cannot be shown again, make another and revoke it.
    """
    quota_, lift = quotas.limits(max_running, gpu_hours, dataset_bytes)
    if lift:
        raise ValidationError("a new token lifts no limits: use cumulusctl auth quota")
    if out is not None and out.exists():
        raise ValidationError(f"--out: {str(out)!r} exists already: name a new file")
    made = session.run(
        ctx,
        lambda client: client.create_token(
            name,
            role=role,
            ttl=ttl or 0,
            project=project,
            permissions=allow or (),
            quota=quota_,
        ),
    )
    if out is None:
        sys.stdout.write(f"{made.secret}\n")
        sys.stdout.flush()
    else:
        _write(out, made.secret)
    kept, until = made.token, _until(made.token.expires_at)
    where = f" in {out}" if out is not None else ""
    of = f", project {kept.project}" if kept.project not in ("", kept.name) else ""
    talk.say(f"token {kept.id} of {kept.name} ({kept.role}{of}){where}, good {until}")
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
    rows = [["ID", "NAME", "ROLE", "PROJECT", "MAY", "AGE", "EXPIRES-IN", "BY"]]
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
    facts = [
        ("name", found.name or "-"),
        ("role", found.role),
        ("token", found.id or "of the controller's configuration"),
        ("good", _until(found.expires_at)),
    ]
    if found.permissions:
        facts.append(("may", ", ".join(found.permissions)))
    if found.project:
        facts.append(("project", found.project))
        facts += quotas.lines(session.run(ctx, lambda client: client.get_project()))
    _write_facts(facts)


@auth.command()
def quota(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="All that you may see without it.")] = "",
    max_running: Running = "",
    gpu_hours: Hours = "",
    dataset_bytes: DatasetBytes = "",
    format_: Output = None,
) -> None:
    """Show what projects use of their limits, or change the limits of one. Only admins change them.

    Limits are a project's: all of its tokens share them. A job that is over one waits, and nobody
    else because of it; GPU-hours count by the UTC day. `none` lifts a limit.
    """
    given, lift = quotas.limits(max_running, gpu_hours, dataset_bytes)
    changes = bool(lift) or not given.empty
    if changes and not project:
        raise ValidationError("name the project whose limits are to change")
    if format_ is not None:
        format_.only(Format.WIDE, Format.JSON, Format.JSONPATH, what="projects")

    async def look(client: AsyncCumulusClient) -> tuple[Project, ...]:
        if changes:
            return (await client.set_quota(project, given, lift=lift),)
        return (await client.get_project(project),) if project else await client.list_projects()

    found = session.run(ctx, look)
    if not for_people(format_):
        assert format_ is not None
        items = [quotas.project_as_dict(one) for one in found]
        sys.stdout.write(format_.data(items[0] if project else {"items": items}))
    elif found:
        sys.stdout.write(quotas.table(found))
    else:
        talk.say("no project has limits or tokens")


def _write_facts(facts: list[tuple[str, str]]) -> None:
    wide = max(len(key) for key, _ in facts) + 2
    sys.stdout.write("".join(f"{key + ':':<{wide}}{value}\n" for key, value in facts))


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
        one.project,
        ",".join(one.permissions) or "-",
        output.ago(one.created_at, now),
        "over" if over else left,
        one.created_by or "-",
    ]


def _as_dict(one: ApiToken) -> dict[str, object]:
    body: dict[str, object] = json.loads(json.dumps(asdict(one)))
    return body


def _until(expires_at: float) -> str:
    return f"until {show_instant(expires_at)}" if expires_at else "until it is revoked"
