"""`cumulusctl schema`: JSON Schema of the files, for editors. I/O: stdout only."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from ...crd_like_specs import schema as schemas
from .cmd_get import kind_of

app = typer.Typer()


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="job, lease or worker; any of them by default.")] = "",
) -> None:
    """Print the JSON Schema of a kind, or of every document that a file may hold."""
    found = schemas.schema(kind_of(kind)) if kind else schemas.schema()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
