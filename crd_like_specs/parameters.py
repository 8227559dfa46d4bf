"""What a template may be told: parameters, their types and bounds, and reading values of them. Pure.

Values come as JSON, or as text from a command line or a form; either way `read` gives the same
value, or says in one line what was expected. Called by `template.py`.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final

import pydantic
import pydantic_core
from pydantic import Field, TypeAdapter, field_validator, model_validator

from .identity import DIGEST_PATTERN, NAME_PATTERN
from .job_datasets import DatasetMount
from .json_values import INTEGERS, check_json
from .meta import Model
from .placeholders import as_text

MOST_CHARACTERS: Final = 16_384
"""Of one text: what an argument may be has an end, and an error here is told better."""

MOST_ITEMS: Final = 256
"""Texts of one list."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(
    r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?"
)

Value = bool | int | float | str | list[str]


class ParameterType(str, Enum):
    """What a value is."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    CHOICE = "choice"
    LIST = "list"  # of texts; only where the job's code takes it whole
    DATASET = "dataset"  # by name or digest; its placeholder is the path where the job finds it


_NUMERIC: Final = (ParameterType.INT, ParameterType.FLOAT)
_TEXTUAL: Final = (ParameterType.STRING, ParameterType.LIST)
_EMPTY: Final[dict[ParameterType, Value]] = {
    ParameterType.STRING: "",
    ParameterType.LIST: [],
    ParameterType.DATASET: "",
}


class Parameter(Model):
    """One value that a run of a template may be given. name: as placeholders and callers say it,
    lower-case letters, digits and underscores; type: what it is; description: for people;
    required: every run must give it; default: where a run does not (texts, lists and datasets may
    be without: they are empty then); minimum: of numbers; maximum: of numbers; pattern: a regular
    expression that the whole of a text, and each text of a list, must match; choices: of a choice,
    one of which it must be; path: where the job finds a dataset, `/datasets/NAME` where it is "".
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    type: ParameterType = ParameterType.STRING
    description: str = Field(default="", max_length=1000)
    required: bool = Field(default=False, strict=True)
    default: bool | int | float | str | list[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = Field(default="", max_length=500)
    choices: tuple[str, ...] = ()
    path: str = Field(default="", max_length=255)

    @field_validator("default")
    @classmethod
    def _plain(cls, default: Value | None) -> Value | None:
        check_json(default)
        return default

    @model_validator(mode="after")
    def _fits_together(self) -> Parameter:
        kind = self.type.value
        numeric = self.type in _NUMERIC
        if not numeric and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {kind} has no minimum and no maximum: they go with int and float")
        if numeric and None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError(f"the minimum {self.minimum:g} is above the maximum {self.maximum:g}")
        if self.pattern and self.type not in _TEXTUAL:
            raise ValueError(f"a {kind} has no pattern: it goes with string and list")
        if bool(self.choices) != (self.type is ParameterType.CHOICE):
            raise ValueError(f"choices go with type choice, which needs some; this is a {kind}")
        if self.path and self.type is not ParameterType.DATASET:
            raise ValueError(f"a {kind} has no path: it goes with dataset")
        if self.path:
            DatasetMount(
                name=self.name.replace("_", "-"), path=self.path
            )  # its own words, if wrong
        if self.pattern:
            _check_pattern(self.pattern)
        if self.required:
            if self.default is not None:
                raise ValueError("is required, so that its default would never be used")
        else:
            self._check_default()
        return self

    def _check_default(self) -> None:
        if self.default is None and self.type not in _EMPTY:
            raise ValueError(f"expected a default of this {self.type.value}, or required: true")
        if isinstance(self.default, str) and self.type not in (
            *(ParameterType.STRING, ParameterType.CHOICE, ParameterType.DATASET),
        ):
            raise ValueError(f"expected a default that is a {self.type.value}, got text")
        try:
            _ = self.preset
        except ValueError as error:
            raise ValueError(f"its default: {error}") from error

    @property
    def preset(self) -> Value:
        """What it is where a run does not give it and need not."""
        return self.read(_EMPTY[self.type] if self.default is None else self.default)

    def read(self, given: Any) -> Value:
        """The value. given: JSON, or text that says the same. ValueError that says what is wrong
        with it and what was expected, without the parameter's name.
        """
        if self.type is ParameterType.BOOL:
            return _read_bool(given)
        if self.type is ParameterType.INT:
            return self._within(_read_int(given))
        if self.type is ParameterType.FLOAT:
            return self._within(_read_float(given))
        if self.type is ParameterType.LIST:
            return [self._matching(_read_text(one)) for one in _read_list(given)]
        text = _read_text(given)
        if self.type is ParameterType.CHOICE and text not in self.choices:
            raise ValueError(f"{_shown(given)} is given, expected {' or '.join(self.choices)}")
        if self.type is ParameterType.DATASET:
            return _dataset(text)
        return self._matching(text) if self.type is ParameterType.STRING else text

    def _within(self, number: float) -> float:
        if self.minimum is not None and number < self.minimum:
            raise ValueError(f"{as_text(number)} is given, expected at least {self.minimum:g}")
        if self.maximum is not None and number > self.maximum:
            raise ValueError(f"{as_text(number)} is given, expected at most {self.maximum:g}")
        return number

    def _matching(self, text: str) -> str:
        if self.pattern and not _matches(self.pattern, text):
            raise ValueError(f"{_shown(text)} is given, expected text that matches {self.pattern}")
        return text


def _read_bool(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in ("true", "false"):
        return given.lower() == "true"
    raise ValueError(f"{_shown(given)} is given, expected true or false")


def _read_int(given: Any) -> int:
    number = int(given) if isinstance(given, str) and _WHOLE.fullmatch(given) else given
    if isinstance(number, bool) or not isinstance(number, int) or number not in INTEGERS:
        raise ValueError(f"{_shown(given)} is given, expected a whole number")
    return number


def _read_float(given: Any) -> float:
    number = float(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"{_shown(given)} is given, expected a number")  # noqa: TRY004 (as above)
    if isinstance(number, int) and number not in INTEGERS:
        raise ValueError(f"{_shown(given)} is given, expected a number of at most 64 bits")
    number = float(number)
    if not math.isfinite(number):
        raise ValueError(f"{_shown(given)} is given, expected a finite number")
    return number


def _read_list(given: Any) -> list[Any]:
    found = given
    if isinstance(given, str):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None
    if not isinstance(found, list | tuple):
        raise ValueError(f'{_shown(given)} is given, expected a list such as ["one", "two"]')  # noqa: TRY004 (one kind of error for whoever calls)
    if len(found) > MOST_ITEMS:
        raise ValueError(f"{len(found)} texts are given, expected at most {MOST_ITEMS}")
    return list(found)


def _read_text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{_shown(given)} is given, expected text")  # noqa: TRY004 (as above)
    if "\0" in given:
        raise ValueError("it holds a zero byte, which no argument can")
    if len(given) > MOST_CHARACTERS:
        raise ValueError(f"{len(given)} characters are given, expected at most {MOST_CHARACTERS}")
    check_json(given)
    return given


def _dataset(text: str) -> str:
    if text and not re.fullmatch(f"{NAME_PATTERN}|{DIGEST_PATTERN}", text):
        raise ValueError(f"{_shown(text)} is given, expected a dataset's name or sha256:<hex>")
    return text


def _check_pattern(pattern: str) -> None:
    try:
        TypeAdapter(Annotated[str, Field(pattern=pattern)])  # alone: its brackets close in itself
        _matcher(pattern)
    except pydantic_core.SchemaError as error:
        why = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise ValueError(f"{pattern!r} is no pattern: {why}") from error


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str]:
    """Pydantic's own engine, in which no pattern takes more than linear time."""
    return TypeAdapter(Annotated[str, Field(pattern=f"^(?:{pattern})$")])


def _matches(pattern: str, text: str) -> bool:
    try:
        _matcher(pattern).validate_python(text)
    except pydantic.ValidationError:
        return False
    return True


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else as_text(value)
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}…"
