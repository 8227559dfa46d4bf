"""Quantities: what is taken, what is refused, and in which words."""

from collections.abc import Callable
from typing import Any

import pytest
from cumulus.crd_like_specs.units import (
    format_bytes,
    format_cpus,
    format_fraction,
    format_seconds,
    parse_bytes,
    parse_cpus,
    parse_fraction,
    parse_seconds,
)

Parse = Callable[[Any], int]


@pytest.mark.parametrize(
    ("parse", "raw", "value"),
    [
        (parse_bytes, "8Gi", 8 << 30),
        (parse_bytes, "512Mi", 512 << 20),
        (parse_bytes, "1.5G", 1_500_000_000),
        (parse_bytes, "1.5Gi", 3 << 29),
        (parse_bytes, " 2 k ", 2000),
        (parse_bytes, 1048576, 1048576),
        (parse_bytes, 1e6, 1_000_000),
        (parse_bytes, "0", 0),
        (parse_bytes, (1 << 63) - 1, (1 << 63) - 1),
        (parse_cpus, "500m", 500),
        (parse_cpus, "2", 2000),
        (parse_cpus, 0.5, 500),
        (parse_cpus, 1e-3, 1),
        (parse_seconds, "90", 90),
        (parse_seconds, 90.0, 90),
        (parse_seconds, "90s", 90),
        (parse_seconds, "90m", 5400),
        (parse_seconds, "1h30m", 5400),
        (parse_seconds, "PT90M", 5400),
        (parse_seconds, "P1DT1S", 86401),
        (parse_seconds, "2d", 172800),
        (parse_seconds, "0s", 0),
        (parse_fraction, 0.5, 500),
        (parse_fraction, "50%", 500),
        (parse_fraction, "33.3%", 333),
        (parse_fraction, "500m", 500),
        (parse_fraction, 1, 1000),
        (parse_fraction, 0.001, 1),
    ],
)
def test_what_people_write(parse: Parse, raw: object, value: int) -> None:
    assert parse(raw) == value


@pytest.mark.parametrize(
    ("parse", "raw", "words"),
    [
        (parse_bytes, "8GB", "unknown size suffix 'GB' in '8GB': expected Ki Mi Gi Ti k M G T"),
        (parse_bytes, "0.3", "'0.3' is not a whole number of bytes"),
        (parse_bytes, "8Ei", "unknown size suffix 'Ei'"),
        (parse_bytes, -1, "-1 is not understood: expected a size such as 8Gi"),
        (parse_bytes, 1 << 63, "the number is not understood"),
        (parse_bytes, "9223372036854775808", "is too large: expected less than 2**63 bytes"),
        (parse_bytes, "9" * 1000, "is not understood"),
        (parse_bytes, "1" + "0" * 14 + "." + "0" * 13 + "1k", "is not a whole number of bytes"),
        pytest.param(parse_bytes, 10**5000, "the number is not understood", id="digits"),
        (parse_bytes, float("inf"), "inf is not understood"),
        (parse_bytes, [1], "[1] is not understood"),
        (parse_bytes, None, "None is not understood"),
        (parse_bytes, "\uff18Gi", "is not understood"),
        (parse_cpus, "0", "'0' is no cores at all: expected at least 1m"),
        (parse_cpus, "0.5m", "'0.5m' is not a whole number of thousandths of a core"),
        (parse_cpus, "2x", "unknown suffix 'x' in '2x'"),
        (parse_cpus, float("nan"), "nan is not understood"),
        (parse_seconds, True, "True is not understood: expected a duration such as 90m"),
        (parse_seconds, "1:30", "'1:30' is not understood"),
        (parse_seconds, "1m1h", "'1m1h' is not understood"),
        (parse_seconds, "90min", "'90min' is not understood"),
        (parse_seconds, "PT", "'PT' is not understood"),
        (parse_seconds, "P1DT", "'P1DT' is not understood"),
        (parse_seconds, "", "'' is not understood"),
        (parse_seconds, "1.5", "'1.5' is not a whole number of seconds"),
        (parse_seconds, "9" * 30 + "d", "is too large: expected less than 2**63 seconds"),
        (parse_seconds, "9" * 5000 + "d", "is not understood"),
        (parse_fraction, 0, "0 is out of range: expected more than 0 and at most 1"),
        (parse_fraction, "101%", "'101%' is out of range"),
        (parse_fraction, 1e-05, "1e-05 is not a whole number of thousandths"),
        (parse_fraction, "1/2", "'1/2' is not understood: expected a fraction such as 0.5"),
        (parse_fraction, "1Gi", "unknown suffix 'Gi' in '1Gi': expected 0.5, 50% or 500m"),
    ],
)
def test_what_is_refused_says_what_was_given_and_expected(
    parse: Parse, raw: object, words: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(raw)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_canonical_text() -> None:
    assert [format_bytes(n) for n in (8 << 30, 1 << 40, 1000, 0, 1536)] == [
        "8Gi", "1Ti", "1000", "0", "1536",
    ]  # fmt: skip
    assert [format_cpus(n) for n in (2000, 500, 1500)] == ["2", "500m", "1500m"]
    assert [format_seconds(n) for n in (5400, 0, 90061)] == ["1h30m", "0s", "1d1h1m1s"]
    assert [format_fraction(n) for n in (500, 1, 1000)] == [0.5, 0.001, 1.0]
