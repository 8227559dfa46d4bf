"""What every part of the configuration is: a frozen model that takes no field it does not know; and
what lists of them have in common.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Fields are in camel case in files, in snake case here."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


def check_once(names: Iterable[str], kind: str, of: str) -> None:
    """PydanticCustomError of this kind where a name comes twice. of: what each has one entry for."""
    given = list(names)
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise PydanticCustomError(
            kind,
            "{twice} is given more than once: expected one entry for each {of}",
            {"twice": ", ".join(twice), "of": of},
        )
