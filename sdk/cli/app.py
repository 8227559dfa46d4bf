"""`cumulusctl` itself: global options, and which module holds which command.

A command's module is imported when the command is used, so that `version` starts as fast as
Python does. Pure wiring; `main.py` calls it.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ... import __version__
from .given import Given
from .helping import dress, filled

EXIT_PIPE = 141  # 128 + SIGPIPE, as for programs that the signal ends

COMMANDS = {
    "apply": "cmd_apply",
    "diff": "cmd_plan",
    "plan": "cmd_plan",
    "run": "cmd_run",
    "get": "cmd_get",
    "describe": "cmd_describe",
    "why": "cmd_describe",
    "events": "cmd_events",
    "top": "cmd_top",
    "logs": "cmd_logs",
    "wait": "cmd_wait",
    "extend": "cmd_extend",
    "pause": "cmd_pause",
    "resume": "cmd_pause",
    "checkpoints": "cmd_pause",
    "outputs": "cmd_outputs",
    "datasets": "cmd_datasets",
    "cancel": "cmd_end",
    "delete": "cmd_end",
    "cordon": "cmd_workers",
    "uncordon": "cmd_workers",
    "drain": "cmd_workers",
    "fence": "cmd_fence",
    "unfence": "cmd_fence",
    "remove": "cmd_fence",
    "set": "cmd_workers",
    "explain": "cmd_explain",
    "schema": "cmd_schema",
    "config": "cmd_config",
    "auth": "cmd_auth",
    "audit": "cmd_audit",
    "info": "cmd_info",
    "token": "cmd_token",
}


class Commands(TyperGroup):
    """The group whose commands are loaded when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.help = filled(self.help or "")

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a user meets them."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None; then typer says which ones are similar."""
        if cmd_name not in COMMANDS:
            found = super().get_command(ctx, cmd_name)
            return found and dress(found, cmd_name)
        module = import_module(f".{COMMANDS[cmd_name]}", __package__)
        return dress(typer.main.get_group(module.app).commands[cmd_name], cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """A reader that went away (`| head`) ends the command quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as e:
            raise typer.Exit(EXIT_PIPE) from e

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """An unknown command is answered with those that are similar."""
        if args and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            similar = get_close_matches(args[0], self.list_commands(ctx))
            hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
            ctx.fail(f"there is no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="cumulusctl",
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def root(
    ctx: typer.Context,
    server: Annotated[
        str | None, typer.Option(help="Controller, HOST:PORT or https://HOST:PORT.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Named controller of the config file.")
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(help="File that holds the bearer token.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Send the token unencrypted too.")
    ] = False,
    ca: Annotated[
        str | None, typer.Option(help="File with the authority to trust (PEM); it means TLS.")
    ] = None,
) -> None:
    """Run jobs on fractions of a GPU for a bounded time.

    Data goes to stdout, everything else to stderr. Without --server and --context the
    controller is CUMULUS_SERVER's, the current context's, or the one of this machine.

    Exit codes: 0 done; 1 failed (or the job's own code); 2 invalid input; 3 no connection;
    4 not found; 5 conflict; 6 not allowed; 7 no workers, or none large enough; 8 over a quota, or
    too many calls; 124 time is up; 130 interrupted (the job goes on); 141 the reader of stdout went
    away; 143 the job was cancelled; 70 a bug of cumulusctl.
    """
    ctx.obj = Given(server, context, token_file, insecure, ca)


@app.command()
def version() -> None:
    """Print the version of this command."""
    typer.echo(__version__)
