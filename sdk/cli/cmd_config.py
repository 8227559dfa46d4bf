"""`cumulusctl config`: contexts, that is named controllers. Reads and writes the config file."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from ...crd_like_specs.errors import NotFoundError, ValidationError
from ..address import Address
from . import output, settings, talk
from .settings import Config, Context

app = typer.Typer()
config = typer.Typer(no_args_is_help=True, help="Named controllers.")
app.add_typer(config, name="config")
app.callback()(lambda: None)


def _names(incomplete: str) -> list[str]:
    known = settings.load(settings.config_path()).contexts
    return [name for name in known if name.startswith(incomplete)]


@config.command("get-contexts")
def get_contexts() -> None:
    """List the contexts; * marks the one in use."""
    found = settings.load(settings.config_path())
    rows = [["CURRENT", "NAME", "SERVER", "TOKEN-FILE", "CA-FILE"]]
    for name, one in sorted(found.contexts.items()):
        mark = "*" if name == found.current else ""
        rows.append([mark, name, one.server, one.token_file or "-", one.ca_file or "-"])
    if not found.contexts:
        talk.say("no contexts; the first: cumulusctl config set-context NAME --server HOST:PORT")
        return
    sys.stdout.write(output.table(rows))


@config.command("use-context")
def use_context(name: Annotated[str, typer.Argument(autocompletion=_names)]) -> None:
    """Talk to this one from now on."""
    path = settings.config_path()
    found = settings.load(path)
    _known(found, name)
    settings.save(path, replace(found, current=name))
    sys.stdout.write(f"context {name} is in use\n")


@config.command("set-context")
def set_context(
    name: Annotated[str, typer.Argument(autocompletion=_names)],
    server: Annotated[str | None, typer.Option(help="HOST:PORT or https://HOST:PORT.")] = None,
    token_file: Annotated[str | None, typer.Option(help="File that holds the token.")] = None,
    ca_file: Annotated[
        str | None, typer.Option(help="File with the authority to trust (PEM).")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure/--secure", help="Send the token unencrypted too.")
    ] = None,
) -> None:
    """Add or change a context. The first one is used from then on."""
    path = settings.config_path()
    found = settings.load(path)
    old = found.contexts.get(name)
    if old is None and server is None:
        raise ValidationError(f"context {name!r} is new: expected --server")
    one = old or Context("")
    if server is not None:
        Address.parse(server)
        one = replace(one, server=server)
    if token_file is not None:
        one = replace(one, token_file=token_file)
    if ca_file is not None:
        one = replace(one, ca_file=ca_file)
    if insecure is not None:
        one = replace(one, insecure=insecure)
    contexts = {**found.contexts, name: one}
    settings.save(path, Config(found.current or name, contexts))
    sys.stdout.write(f"context {name} {'created' if old is None else 'changed'}\n")


@config.command("current-context")
def current_context() -> None:
    """Print the name of the one in use."""
    found = settings.load(settings.config_path())
    if not found.current:
        raise NotFoundError(
            "no context is in use: choose one with `cumulusctl config use-context NAME`, "
            "or make one with `cumulusctl config set-context NAME --server HOST:PORT`"
        )
    sys.stdout.write(f"{found.current}\n")


@config.command("delete-context")
def delete_context(name: Annotated[str, typer.Argument(autocompletion=_names)]) -> None:
    """Forget one. Its files of token and authority stay; of the one in use none is in use then."""
    path = settings.config_path()
    found = settings.load(path)
    _known(found, name)
    rest = {key: one for key, one in found.contexts.items() if key != name}
    current = "" if found.current == name else found.current
    settings.save(path, Config(current, rest))
    sys.stdout.write(f"context {name} deleted\n")
    if not current and rest:
        talk.say(f"no context is in use now; there are: {', '.join(sorted(rest))}")


def _known(found: Config, name: str) -> None:
    if name not in found.contexts:
        known = ", ".join(sorted(found.contexts)) or "none"
        raise NotFoundError(f"there is no context {name!r}; there are: {known}")
