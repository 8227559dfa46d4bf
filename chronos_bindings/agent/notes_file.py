"""What the agent notes beside a unit's folders, so that a restarted one goes on with it. File I/O."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ...crd_like_specs.meta import Model

N = TypeVar("N", bound=Model)


def read(file: Path, kind: type[N]) -> N | None:
    """None where there are no notes, or none that can be read."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def write(file: Path, notes: Model) -> None:
    """Whole at once. OSError."""
    aside = file.with_name(f".{file.name}")
    aside.write_text(notes.model_dump_json(), encoding="utf-8")
    aside.replace(file)
