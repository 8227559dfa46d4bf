"""Contexts: named controllers in `$XDG_CONFIG_HOME/cumulus/config.yaml`, and which one is meant.

Reads and writes that one file (mode 0600); used by every command that talks to a server.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...crd_like_specs.errors import NotFoundError, Problem, ValidationError
from ..address import DEFAULT_SERVER, Address
from .given import Given

_FIELDS = {"server": str, "token_file": str, "ca_file": str, "insecure": bool}


@dataclass(frozen=True, slots=True)
class Context:
    """One controller. token_file: path of a file that holds the bearer token; insecure: send it
    unencrypted too; ca_file: path of a PEM file with the authority to trust, which means TLS.
    """

    server: str
    token_file: str = ""
    insecure: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """The file: contexts by name and the one in use ("": none)."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call."""

    server: str
    token: str | None = field(default=None, repr=False)
    insecure: bool = False
    ca: str | None = None


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, whether it exists or not."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "cumulus" / "config.yaml"


def load(path: Path) -> Config:
    """An absent file is an empty configuration. ValidationError names every wrong entry."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as e:
        raise ValidationError([Problem(f"cannot be read: {e}", file=str(path))]) from e
    try:
        body = yaml.safe_load(text) or {}
    except yaml.YAMLError as e:
        raise ValidationError([Problem(f"is not YAML: {e}", file=str(path))]) from e
    return _config(body, str(path))


def save(path: Path, config: Config) -> None:
    """Replace the file at once, readable by its owner only."""
    body = {
        "current": config.current,
        "contexts": {
            name: {
                key: value for key in _FIELDS if (value := getattr(context, key)) not in ("", False)
            }
            for name, context in sorted(config.contexts.items())
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".config-")  # made with 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yaml.safe_dump(body, file, sort_keys=False)
        Path(temporary).replace(path)
    except BaseException:  # also Ctrl-C: no half-written file stays behind
        Path(temporary).unlink(missing_ok=True)
        raise


def resolve(given: Given, environ: Mapping[str, str] = os.environ) -> Target:
    """--server, --context, CUMULUS_SERVER, the current context, this machine: the first counts.

    The token is --token-file's, CUMULUS_TOKEN_FILE's or CUMULUS_TOKEN's, the authority --ca's or
    CUMULUS_CA_FILE's. A context's own token and authority are for that context's server only.
    """
    context = Context(given.server or environ.get("CUMULUS_SERVER") or DEFAULT_SERVER)
    if given.server is None and (given.context or not environ.get("CUMULUS_SERVER")):
        path = config_path(environ)
        config = load(path)
        name = given.context or config.current
        if name and name not in config.contexts:
            known = ", ".join(sorted(config.contexts)) or "none"
            raise NotFoundError(f"there is no context {name!r} in {path}; there are: {known}")
        context = config.contexts[name] if name else context
    file = given.token_file or environ.get("CUMULUS_TOKEN_FILE")
    token = _token(file) if file else environ.get("CUMULUS_TOKEN")
    if not token and context.token_file:
        token = _token(context.token_file)
    ca = given.ca or environ.get("CUMULUS_CA_FILE") or context.ca_file
    trusted = str(Path(ca).expanduser()) if ca else None
    return Target(context.server, token or None, given.insecure or context.insecure, trusted)


def _token(path: str) -> str:
    try:
        token = Path(path).expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no text"
        raise ValidationError(f"the token file {path!r} cannot be read: {reason}") from e
    if not token:
        raise ValidationError(f"the token file {path!r} is empty")
    return token


def _config(body: Any, file: str) -> Config:
    problems: list[Problem] = []

    def wrong(path: str, message: str) -> None:
        problems.append(Problem(message, path=path, file=file))

    if not isinstance(body, dict):
        raise ValidationError([Problem("expected a mapping with current and contexts", file=file)])
    for key in body.keys() - {"current", "contexts"}:
        wrong(str(key), "is not known; expected current and contexts")
    current, entries = body.get("current") or "", body.get("contexts") or {}
    if not isinstance(current, str):
        wrong("current", "expected the name of a context")
    if not isinstance(entries, dict):
        wrong("contexts", "expected a mapping of names")
        entries = {}
    contexts = {
        str(name): _context(entry, f"contexts.{name}", wrong) for name, entry in entries.items()
    }
    if problems:
        raise ValidationError(problems)
    return Config(current, contexts)


def _context(entry: Any, path: str, wrong: Callable[[str, str], None]) -> Context:
    if not isinstance(entry, dict) or "server" not in entry:
        wrong(path, "expected a mapping with a server")
        return Context("")
    good: dict[str, Any] = {}
    for key, value in entry.items():
        kind = _FIELDS.get(key)
        if kind is None:
            wrong(f"{path}.{key}", f"is not known; expected {', '.join(_FIELDS)}")
        elif not isinstance(value, kind):
            wrong(f"{path}.{key}", f"{value!r} is given, expected {kind.__name__}")
        else:
            good[key] = value
    try:
        Address.parse(good.get("server", ""))
    except ValidationError as e:
        wrong(f"{path}.server", e.message)
    return Context(**{"server": "", **good})
