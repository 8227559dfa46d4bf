"""What `-o` takes: wide, json, yaml, name, or jsonpath=TEMPLATE. PURE but for how it is declared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...api.frames import Resource
from ...crd_like_specs import codec
from ...crd_like_specs.errors import ValidationError
from . import output
from .output import Format

if TYPE_CHECKING:
    from .jsonpath import Template


@dataclass(frozen=True, slots=True)
class Form:
    """How objects are written. template: of jsonpath only."""

    format: Format
    template: Template | None = None

    @property
    def table(self) -> bool:
        """Whether it is for people to read."""
        return self.format is Format.WIDE

    @classmethod
    def parse(cls, text: str) -> Form:
        """ValidationError names what there is."""
        word, equals, template = text.partition("=")
        if word == Format.JSONPATH.value:
            if not equals or not template:
                raise ValidationError(
                    "-o jsonpath= expects a template, such as -o jsonpath={.status.phase}"
                )
            from .jsonpath import Template  # noqa: PLC0415 (costs 30 ms, for this format only)

            return cls(Format.JSONPATH, Template(template))
        try:
            return cls(Format(text))
        except ValueError:
            known = ", ".join(one.value for one in Format)
            raise ValidationError(f"-o {text!r} is no format: expected {known}=TEMPLATE") from None

    def text(self, objects: Sequence[Resource], *, single: bool) -> str:
        """Objects of any kinds. single: one was asked for by name, else they are a list."""
        if self.format is Format.NAME:
            return output.names(objects)
        if self.format is Format.YAML:
            return codec.dump_yaml(objects)
        return self.data(objects[0].to_dict() if single else output.listing(objects))

    def only(self, *formats: Format, what: str) -> None:
        """ValidationError where it is another one."""
        if self.format not in formats:
            known = ", ".join(one.value for one in formats)
            raise ValidationError(f"-o {self.format.value}: {what} are printed as {known}")

    def data(self, body: Any) -> str:
        """What is JSON already; for names and YAML it is JSON too."""
        if self.template is not None:
            return self.template.of(body)
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def for_people(form: Form | None) -> bool:
    """Whether a table is wanted."""
    return form is None or form.table


def _offered(incomplete: str) -> list[str]:
    """For completion in shells."""
    known = [one.value for one in Format if one is not Format.JSONPATH]
    return [word for word in (*known, "jsonpath=") if word.startswith(incomplete)]


Output = Annotated[
    Form | None,
    typer.Option(
        "--output",
        "-o",
        parser=Form.parse,
        autocompletion=_offered,
        metavar="wide|json|yaml|name|jsonpath=TEMPLATE",
        help="How it is printed; without it a table.",
    ),
]
