"""What one argument or variable of a program may be on Linux. Pure.

Limits of the kernel (`MAX_ARG_STRLEN`, and texts that end with a NUL), whatever the platform: what
is beyond them would be found out only when the job is to start, on a worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from .errors import Problem
from .job import JobSpec
from .job_secrets import ENV_SECRETS

MOST: Final = 131_071
"""Bytes of UTF-8 of one argument, or of one variable as `NAME=value`; the byte that ends it is
counted apart."""


def problems(spec: JobSpec) -> Iterator[Problem]:
    """Every word of the job that no program could be started with."""
    for number, word in enumerate(spec.command):
        yield from _argument(word, f"spec.command[{number}]")
    if spec.image is not None:
        for number, argument in enumerate(spec.args):
            yield from _argument(str(argument), f"spec.args[{number}]")
    for number, requirement in enumerate(spec.requirements):
        yield from _argument(requirement, f"spec.requirements[{number}]")
    for name, value in spec.env.items():
        yield from variable(name, value, f"spec.env.{name:.80}")
    told: Mapping[str, str] = {one.env: one.file or one.name for one in spec.secrets if one.env}
    if told:
        yield from variable(ENV_SECRETS, json.dumps(told), "spec.secrets")


def variable(name: str, value: str, path: str) -> Iterator[Problem]:
    """What is wrong with a variable of this name and value."""
    size = len(name.encode()) + 1 + len(value.encode())
    if size > MOST:
        text = f"{size} bytes are given with the variable's name {name:.80}"
        yield Problem(f"{text}, {_EXPECTED}", path=path)
    yield from _nul(value, path)


def _argument(word: str, path: str) -> Iterator[Problem]:
    size = len(word.encode())
    if size > MOST:
        yield Problem(f"{size} bytes are given, {_EXPECTED}", path=path)
    yield from _nul(word, path)


def _nul(text: str, path: str) -> Iterator[Problem]:
    at = text.find("\0")
    if at >= 0:
        message = (
            f"a NUL character stands at position {at}, expected text without: it would end there"
        )
        yield Problem(message, path=path)


_EXPECTED: Final = (
    f"expected at most {MOST}: Linux takes no longer argument or variable; "
    "give what is larger as a file or a dataset"
)
