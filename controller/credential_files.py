"""Files with secrets that the configuration names: the clients' tokens, the registries' passwords.

I/O: reads them. Nothing of what is in them is ever part of an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..api.auth import Holder, Role
from ..api.viewer import PERMISSIONS
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.identity import NAME_PATTERN
from .basic_settings import RegistryConfig
from .platforms.registries import Registries, Registry

MIN_TOKEN = 16
_ROLES = tuple(role.value for role in Role)


def read_registries(entries: Sequence[RegistryConfig]) -> Registries:
    """With their passwords. ValidationError names every file that cannot be used."""
    found: list[Registry] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        password = ""
        if entry.password_file is not None:
            try:
                password = text_of(entry.password_file).rstrip("\r\n")
            except ValidationError as error:
                problems += error.problems
                continue
            if not password or "\n" in password:
                problems.append(
                    Problem(
                        f"expected the password of {entry.username}, in one line",
                        path=f"registries[{number}].passwordFile",
                        file=str(entry.password_file),
                    )
                )
        found.append(Registry(entry.server, entry.username, password))
    if problems:
        raise ValidationError(problems)
    return Registries(found)


def read_tokens(path: Path) -> dict[str, Holder]:
    """Token → who holds it, from lines `role:token` or `role:name:token`; comments and empty lines
    are passed over. ValidationError repeats nothing of a line.
    """
    tokens: dict[str, Holder] = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        role, *rest = (part.strip() for part in line.split(":"))
        name, token = rest[:-1], rest[-1] if rest else ""
        wrong = ""
        if len(name) > 1 or role not in _ROLES or len(token) < MIN_TOKEN:
            wrong = (
                "expected admin|submitter|viewer|agent, a colon, perhaps a name and a colon, "
                f"and at least {MIN_TOKEN} characters without colons"
            )
        elif name:
            wrong = _wrong_name(role, name[0])
        if not wrong and token in tokens:
            wrong = "this token stands further up already: expected each one once"
        if wrong:
            raise ValidationError([Problem(wrong, file=str(path), line=number)])
        tokens[token] = _holder(Role(role), name[0] if name else "")
    return tokens


def _wrong_name(role: str, text: str) -> str:
    """What is wrong with `name@project+permission`, "" where it is right."""
    name, *permissions = text.split("+")
    name, at, project = name.partition("@")
    if not re.fullmatch(NAME_PATTERN, name) or (at and not re.fullmatch(NAME_PATTERN, project)):
        return "expected a name of lower-case letters, digits and inner dashes"
    if set(permissions) - PERMISSIONS:
        return f"expected permissions of {', '.join(sorted(PERMISSIONS))}"
    if role == Role.AGENT.value and (at or permissions):
        return "expected an agent's name alone, which is its worker's"
    return ""


def _holder(role: Role, text: str) -> Holder:
    name, *permissions = text.split("+")
    name, _, project = name.partition("@")
    return Holder(role, name, project=project, permissions=frozenset(permissions))


def text_of(path: Path) -> str:
    """What is in it. ValidationError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValidationError(
            [Problem(f"cannot be read: {error.strerror}", file=str(path))]
        ) from error
    except UnicodeDecodeError as error:
        raise ValidationError([Problem(f"is no UTF-8 text: {error}", file=str(path))]) from error
