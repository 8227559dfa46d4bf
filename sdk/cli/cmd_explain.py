"""`cumulusctl explain`: what a field of a file is. I/O: stdout only; needs no controller."""

from __future__ import annotations

import sys
import textwrap
from typing import Annotated

import typer

from ...crd_like_specs import explaining
from ...crd_like_specs.codec import KINDS
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.explaining import Explained
from . import output, talk

app = typer.Typer()

WIDTH = 88


def _paths(incomplete: str) -> list[str]:
    """Fields below what was typed so far, for completion."""
    above, dot, word = incomplete.rpartition(".")
    if not dot:
        return [kind.lower() for kind in KINDS if kind.lower().startswith(word.lower())]
    try:
        found = explaining.explain(above)
    except NotFoundError:
        return []
    return [f"{above}.{child.name}" for child in found.children if child.name.startswith(word)]


@app.command()
def explain(
    field: Annotated[
        str,
        typer.Argument(metavar="FIELD", help="Such as job.spec.gpu.memory.", autocompletion=_paths),
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Every field below it too, a line each.")
    ] = False,
) -> None:
    """Say what a field of a file is: its type, default, bounds, meaning, and an example.

    What is said comes from the same models by which files are checked. jobspec.gpu is short for
    job.spec.gpu. A path that is wrong is answered with the ones that come nearest.
    """
    if recursive:
        sys.stdout.write(_tree(field))
        return
    sys.stdout.write(_text(explaining.explain(field)))


def _text(found: Explained) -> str:
    facts = [
        ("FIELD", found.path),
        ("TYPE", found.type + (", required" if found.required else "")),
        ("DEFAULT", found.default),
        ("BOUNDS", found.bounds),
        ("ONE OF", ", ".join(found.choices)),
    ]
    parts = ["".join(f"{name + ':':<10}{value}\n" for name, value in facts if value)]
    parts += [f"{_wrapped(found.description)}\n"] if found.description else []
    if found.children:
        head = talk.paint("FIELDS", "bold", sys.stdout)
        parts.append(f"{head}\n{_children(found)}")
    if found.example:
        head = talk.paint("EXAMPLE", "bold", sys.stdout)
        parts.append(f"{head}\n{textwrap.indent(found.example, '  ')}")
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(part, WIDTH) for part in text.splitlines())


def _children(found: Explained) -> str:
    rows = [
        [
            f"  {child.name}",
            child.type,
            "required" if child.required else child.default or "-",
            textwrap.shorten(child.description, 72, placeholder="…"),
        ]
        for child in found.children
    ]
    return output.table([["  NAME", "TYPE", "DEFAULT", ""], *rows])


def _tree(field: str) -> str:
    rows = [["FIELD", "TYPE", "DEFAULT"]]
    for one in explaining.leaves(field):
        default = "required" if one.required else one.default or "-"
        rows.append([one.path, one.type, textwrap.shorten(default, 40, placeholder="…")])
    return output.table(rows)
