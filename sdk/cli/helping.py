"""Help texts as they are shown: paragraphs that fill the line, and examples below them. PURE."""

from __future__ import annotations

import re
from typing import Any

from .examples import EXAMPLES

_AS_IS = "\b"
"""Begins a paragraph whose lines are left as they are."""


def dress(command: Any, words: str) -> Any:
    """The command (a group's own commands too) with its whole help. words: such as `get`."""
    below = getattr(command, "commands", None)
    if below:
        for name, one in below.items():
            dress(one, f"{words} {name}")
    command.rich_markup_mode = None  # plain, as the page above them: it is read by grep too
    if command.help and _AS_IS not in command.help:
        command.short_help = re.split(r"(?<=\.)\s", command.help.strip(), maxsplit=1)[0]
        command.help = "\n\n".join([filled(command.help), *_examples(words)])
    return command


def filled(text: str) -> str:
    """Each paragraph in one line: whoever shows it knows how wide it may be."""
    parts = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(part.split()) for part in parts)


def _examples(words: str) -> list[str]:
    lines = EXAMPLES.get(words, ())
    return ["\n".join([_AS_IS, "Examples:", *(f"  {line}" for line in lines)])] if lines else []
