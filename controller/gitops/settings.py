"""One entry of `sources` in the controller's configuration.

sources:
- name: nightly
path: /srv/jobs            # a folder, or a git working copy or a folder in one
interval: 10s              # between looks
pull: 5m                   # git pull --ff-only that often; without it never
prune: true                # delete jobs whose file is gone
substitute: {REGION: eu-1} # ${REGION} in specs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ...crd_like_specs.errors import Problem, ValidationError
from ...crd_like_specs.identity import NAME_PATTERN
from ...crd_like_specs.source import SourceSpec
from ...crd_like_specs.units import Seconds
from ..config_section import Section, check_once
from .declared import Rules
from .substitute import wrong_name, wrong_value

_REF = re.compile(r"[A-Za-z0-9](?!.*(\.\.|//|@\{))[A-Za-z0-9._/-]*")


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise PydanticCustomError(
            "path", "'{given}' is no absolute path: expected one without ..", {"given": str(path)}
        )
    return path


def _ref(text: str) -> str:
    if text and not _REF.fullmatch(text):
        raise PydanticCustomError(
            "ref", "'{given}' is no name of a branch, tag, commit or remote", {"given": text[:80]}
        )
    return text


def _listed(name: str) -> str:
    wrong = wrong_name(name)
    if wrong:
        raise PydanticCustomError("name", "{name} {wrong}", {"name": name[:80], "wrong": wrong})
    return name


def _value(text: str) -> str:
    wrong = wrong_value(text)
    if wrong:
        raise PydanticCustomError("value", "{wrong}", {"wrong": wrong})
    return text


_Ref = Annotated[str, AfterValidator(_ref)]
_Listed = Annotated[str, AfterValidator(_listed)]
_Value = Annotated[str, AfterValidator(_value)]
_Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=56)]


class SourceConfig(Section):
    """See the module docstring and `SourceSpec`. type: auto takes what lies in a git working copy
    for one; templates: its files may declare templates too, which everybody may run; owner: whom
    its jobs belong to, `source-<name>` where it is not given; substitute_from: names of environment
    variables of the controller, taken at its start, that files may use.
    """

    name: _Name
    path: Annotated[Path, AfterValidator(_absolute)]
    type: Literal["auto", "folder", "git"] = "auto"
    ref: _Ref = ""
    interval: Seconds = Field(default=10, ge=1)
    pull: Seconds = 0
    remote: Annotated[str, Field(min_length=1), AfterValidator(_ref)] = "origin"
    prune: bool = Field(default=False, strict=True)
    allow_empty: bool = Field(default=False, strict=True)
    suspend: bool = Field(default=False, strict=True)
    templates: bool = Field(default=False, strict=True)
    owner: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    substitute: dict[_Listed, _Value] = Field(default_factory=dict)
    substitute_from: tuple[_Listed, ...] = ()

    @model_validator(mode="after")
    def _git_only(self) -> SourceConfig:
        if self.type == "folder" and (self.ref or self.pull):
            raise PydanticCustomError("source", "ref and pull are for type git only")
        return self

    @property
    def rules(self) -> Rules:
        """As the plan has them."""
        return Rules(
            name=self.name,
            owner=self.owner or f"source-{self.name}",
            prune=self.prune,
            allow_empty=self.allow_empty,
            suspend=self.suspend,
        )

    @property
    def is_git(self) -> bool:
        """Whether commits are read; looks at the disk where `type` leaves it open."""
        if self.type != "auto" or self.ref or self.pull:
            return self.type != "folder"
        return any((folder / ".git").exists() for folder in (self.path, *self.path.parents))

    def spec(self, *, git: bool) -> SourceSpec:
        """As it is shown; of the substitution only names."""
        return SourceSpec(
            path=str(self.path),
            type="git" if git else "folder",
            ref=self.ref,
            interval=self.interval,
            pull=self.pull,
            prune=self.prune,
            allow_empty=self.allow_empty,
            suspend=self.suspend,
            substitute=tuple(sorted({*self.substitute, *self.substitute_from})),
        )

    def values(self, environment: Mapping[str, str]) -> dict[str, str | None]:
        """What files may use: name → text, None where the environment has none.

        ValidationError for text that no file may be given.
        """
        taken = {name: environment.get(name) for name in self.substitute_from}
        problems = [
            Problem(f"{name}: {wrong}", path=f"sources[{self.name}].substituteFrom")
            for name, value in taken.items()
            if value is not None and (wrong := wrong_value(value))
        ]
        if problems:
            raise ValidationError(problems)
        return {**taken, **self.substitute}


def each_once(entries: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
    """For a list of them: no two of one name."""
    check_once((entry.name for entry in entries), "sources", "name")
    return entries
