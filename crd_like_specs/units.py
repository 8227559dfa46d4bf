"""Quantities as people write them, and the pydantic types that read and write them. Pure.

    Bytes     8Gi, 512Mi, 1.5G, 1048576          → whole bytes
    Cpus      500m, 2, 0.5                       → thousandths of a core
    Seconds   90, 90s, 90m, 1h30m, 2d, PT90M     → whole seconds
    Fraction  0.5, 50%, 500m                     → thousandths, 1 to 1000

Each `parse_*` raises ValueError naming what was given and what was expected; each `format_*`
gives the shortest canonical text that parses back to the same number. Nothing is rounded, and
nothing reaches 2**63, which is where stores and wires end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction as Exact
from functools import lru_cache, wraps
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

Raw = str | int | float

_SUFFIXES: Final = {
    "": 1,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_LIMIT: Final = 1 << 63
_DIGITS: Final = 30  # more than any number below 2**63 needs, with decimals
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z%]*)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII)


def _remembered(parse: Callable[[Raw], int]) -> Callable[[Raw], int]:
    """A fleet's jobs ask for the same few quantities, each time a record is read."""
    known = lru_cache(maxsize=4096, typed=True)(parse)

    @wraps(parse)
    def read(raw: Raw) -> int:
        short = isinstance(raw, str) and len(raw) <= _DIGITS
        return known(raw) if short or type(raw) in (int, float) else parse(raw)

    return read


@_remembered
def parse_bytes(raw: Raw) -> int:
    """`8Gi` → 8589934592. A number without a suffix is bytes."""
    number, suffix = _split(raw, "a size such as 8Gi, 512Mi or 1048576")
    if suffix not in _SUFFIXES:
        raise ValueError(
            f"unknown size suffix {suffix!r} in {_shown(raw)}: expected Ki Mi Gi Ti k M G T"
        )
    return _whole(number * _SUFFIXES[suffix], raw, "bytes")


@_remembered
def parse_cpus(raw: Raw) -> int:
    """`500m` → 500, `2` → 2000, `0.5` → 500 (thousandths of a core)."""
    number, suffix = _split(raw, "cores such as 500m, 2 or 0.5")
    if suffix not in ("", "m"):
        raise ValueError(
            f"unknown suffix {suffix!r} in {_shown(raw)}: expected cores or thousandths (m)"
        )
    milli = _whole(number if suffix == "m" else number * 1000, raw, "thousandths of a core")
    if milli < 1:
        raise ValueError(f"{_shown(raw)} is no cores at all: expected at least 1m")
    return milli


@_remembered
def parse_seconds(raw: Raw) -> int:
    """`1h30m` → 5400; ISO 8601 durations and bare seconds too."""
    expected = "a duration such as 90m, 1h30m, PT90M or seconds"
    text = _text(raw, expected)
    match = _CLOCK.fullmatch(text) or _ISO.fullmatch(text)
    if match and any(match.groups()) and len(text) <= 4 * _DIGITS:
        days, hours, minutes, seconds = (Exact(part or 0) for part in match.groups())
        return _whole(((days * 24 + hours) * 60 + minutes) * 60 + seconds, raw, "seconds")
    number, suffix = _split(raw, expected)
    if suffix:
        raise ValueError(f"{_shown(raw)} is not understood: expected {expected}")
    return _whole(number, raw, "seconds")


@_remembered
def parse_fraction(raw: Raw) -> int:
    """`0.5`, `50%`, `500m` → 500 thousandths; more than 0 and at most 1."""
    number, suffix = _split(raw, "a fraction such as 0.5, 50% or 500m")
    scale = {"": 1000, "%": 10, "m": 1}.get(suffix)
    if scale is None:
        raise ValueError(f"unknown suffix {suffix!r} in {_shown(raw)}: expected 0.5, 50% or 500m")
    milli = _whole(number * scale, raw, "thousandths of a device")
    if not 1 <= milli <= 1000:
        raise ValueError(f"{_shown(raw)} is out of range: expected more than 0 and at most 1")
    return milli


def format_bytes(value: int) -> str:
    """Shortest exact text: 8589934592 → `8Gi`."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if value and value % _SUFFIXES[suffix] == 0:
            return f"{value // _SUFFIXES[suffix]}{suffix}"
    return str(value)


def show_bytes(value: int) -> str:
    """For people to read, not to parse back: 25276518400 → `23.5Gi`."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if value >= _SUFFIXES[suffix]:
            return f"{value / _SUFFIXES[suffix]:.4g}{suffix}"
    return str(value)


def format_cpus(milli: int) -> str:
    """2000 → `2`, 500 → `500m`."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def format_seconds(value: int) -> str:
    """5400 → `1h30m`; 0 → `0s`."""
    parts = []
    for suffix, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, value = divmod(value, size)
        if count:
            parts.append(f"{count}{suffix}")
    return "".join(parts) or "0s"


def format_fraction(milli: int) -> float:
    """500 → 0.5."""
    return milli / 1000


def _text(raw: Raw, expected: str) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError(f"{_shown(raw)} is not understood: expected {expected}")  # noqa: TRY004 (pydantic reads ValueError)
    if isinstance(raw, str):
        return raw.strip()
    if isinstance(raw, int):
        return str(raw) if -_LIMIT < raw < _LIMIT else "too large"
    return f"{Decimal(repr(raw)):f}" if 0 <= raw < _LIMIT else "no such number"


def _split(raw: Raw, expected: str) -> tuple[Exact, str]:
    match = _QUANTITY.fullmatch(_text(raw, expected))
    if not match or len(match[1]) > _DIGITS:
        raise ValueError(f"{_shown(raw)} is not understood: expected {expected}")
    return Exact(match[1]), match[2]


def _whole(number: Exact, raw: Raw, unit: str) -> int:
    if number >= _LIMIT:
        raise ValueError(f"{_shown(raw)} is too large: expected less than 2**63 {unit}")
    if number.denominator != 1:
        raise ValueError(f"{_shown(raw)} is not a whole number of {unit}")
    return int(number)


def _shown(raw: object) -> str:
    """What was given, recognisable and short."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) >= _LIMIT:
        return "the number"
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _schema(examples: list[str], pattern: str, number: str, **limits: float) -> WithJsonSchema:
    """What an editor may accept and suggest; the parsers above say the last word."""
    text = {"type": "string", "pattern": pattern, "examples": examples}
    return WithJsonSchema({"anyOf": [text, {"type": number, **limits}]}, mode="validation")


Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    PlainSerializer(format_bytes, return_type=str),
    _schema(["8Gi", "512Mi"], r"^\s*\d+(\.\d+)?\s*([kKMGT]|[KMGT]i)?\s*$", "integer", minimum=0),
]
Cpus = Annotated[
    int,
    BeforeValidator(parse_cpus),
    PlainSerializer(format_cpus, return_type=str),
    _schema(["500m", "2"], r"^\s*\d+(\.\d+)?\s*m?\s*$", "number", exclusiveMinimum=0),
]
Seconds = Annotated[
    int,
    BeforeValidator(parse_seconds),
    PlainSerializer(format_seconds, return_type=str),
    _schema(
        ["90m", "1h30m", "PT90M"],
        r"^\s*((\d+d)?(\d+h)?(\d+m)?(\d+s)?|P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?|\d+(\.0+)?)\s*$",
        "integer",
        minimum=0,
    ),
]
Fraction = Annotated[
    int,
    BeforeValidator(parse_fraction),
    PlainSerializer(format_fraction, return_type=float),
    _schema(
        ["50%", "500m"], r"^\s*\d+(\.\d+)?\s*[%m]?\s*$", "number", exclusiveMinimum=0, maximum=1
    ),
]
