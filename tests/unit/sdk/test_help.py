"""--help of every command: a summary, whole paragraphs, and examples that are command lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from cumulus.sdk.cli.app import COMMANDS, Commands, app
from cumulus.sdk.cli.examples import EXAMPLES

from .ctl import Ctl


def commands() -> Iterator[tuple[str, Any]]:
    root = typer.main.get_command(app)
    assert isinstance(root, Commands)
    stack = [(name, root.get_command(None, name)) for name in [*COMMANDS, "version"]]
    while stack:
        words, command = stack.pop()
        below = getattr(command, "commands", None)
        if below:
            stack += [(f"{words} {name}", one) for name, one in below.items()]
        else:
            yield words, command


FOUND = dict(commands())


@pytest.mark.parametrize("words", FOUND)
def test_every_command_explains_itself(words: str, ctl: Ctl) -> None:
    command = FOUND[words]
    assert command.help
    assert ctl.bare(*words.split(), "--help") == 0
    assert "Usage: cumulusctl" in ctl.out
    for line in EXAMPLES.get(words, ()):
        assert f"  {line[:60]}" in ctl.out


def test_lists_of_commands_leave_no_sentence_open(ctl: Ctl) -> None:
    for words in ([], ["auth"], ["auth", "token"], ["config"], ["token"]):
        assert ctl.bare(*words, "--help") == 0
        listed = ctl.out.partition("Commands:")[2]
        assert listed.strip()
        assert "..." not in listed
    assert ctl.bare("get", "--help") == 0
    assert "\u2502" not in ctl.out  # no boxes: it is read by grep, and on narrow terminals


def test_no_example_is_of_a_command_that_does_not_exist() -> None:
    assert set(EXAMPLES) <= set(FOUND)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_command_lines(line: str) -> None:
    words = shlex.split(line.split(" < ", maxsplit=1)[0].split(" > ", maxsplit=1)[0])
    assert words[0] == "cumulusctl"
    root = typer.main.get_command(app)
    ctx = root.make_context("cumulusctl", words[1:], resilient_parsing=False)
    command: Any = root
    rest = [*ctx._protected_args, *ctx.args]
    while hasattr(command, "get_command"):
        command = command.get_command(ctx, rest.pop(0))
    command.make_context("x", rest, parent=ctx)
