"""What a job's `nodeSelector` may say of a label, and whether a worker's label satisfies it. Pure.

    gpu: a100               the label is a100
    gpu: [a100, h100]       the label is one of these (also written "a100,h100")
    zone: "!eu"             the label is anything else, or is not there ("!eu,us": none of these)
    ssd: "*"                the label is there, whatever it says
    spot: "!*"              the label is not there

As in Kubernetes' In, NotIn, Exists and DoesNotExist; order and numbers are not compared. All
entries must be satisfied. A spec holds them as text in the form on the right or left.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

WORKER_LABEL: Final = "cumulus.dev/worker"
"""Every worker has it: its own name. Nobody can set it."""

_EXPECTED: Final = 'a value, a list of values, "!value", "*" or "!*"'
_VALUE: Final = re.compile(r"[^!*\x00-\x1f][^*\x00-\x1f]{0,255}|")


def parse_constraint(raw: object) -> str:
    """Canonical text. ValueError names what was given and what was expected."""
    if isinstance(raw, list | tuple):
        if not raw or not all(isinstance(part, str) and part and "!" not in part for part in raw):
            raise ValueError(f"{_shown(raw)} is not understood: expected {_EXPECTED}")
        raw = ",".join(raw)
    if not isinstance(raw, str):
        raise ValueError(f"{_shown(raw)} is not understood: expected {_EXPECTED} (quote numbers)")  # noqa: TRY004 (pydantic reads ValueError)
    negated, values = _read(raw)
    if values != ["*"] and not all(_VALUE.fullmatch(value) for value in values):
        raise ValueError(f"{_shown(raw)} is not understood: expected {_EXPECTED}")
    if len(values) > 1 and not all(values):
        raise ValueError(f"{_shown(raw)} has nothing before or behind a comma")
    return f"{'!' if negated else ''}{','.join(values)}"


def satisfied(constraint: str, value: str | None) -> bool:
    """Whether a label of this value (None: not there) satisfies a canonical constraint."""
    negated, values = _read(constraint)
    found = value is not None and (values == ["*"] or value in values)
    return found is not negated


def _read(text: str) -> tuple[bool, list[str]]:
    text = text.strip()
    negated = text.startswith("!")
    return negated, [value.strip() for value in text[negated:].split(",")]


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}…"


Constraint = Annotated[
    str,
    BeforeValidator(parse_constraint),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["a100", "a100,h100", "!eu", "*", "!*"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
        mode="validation",
    ),
]
