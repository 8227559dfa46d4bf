"""What is asked of Chronos so that its arithmetic and its clock do no harm."""

from __future__ import annotations

import struct

import pytest
from cumulus.chronos_bindings.rules import check_request, native_fraction, native_seconds
from cumulus.crd_like_specs.errors import Permanent
from hypothesis import given
from hypothesis import strategies as st


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


@given(st.data(), st.integers(1 << 20, 1 << 38))
def test_parts_that_add_up_to_one_fit_as_chronos_counts(data: st.DataObject, total: int) -> None:
    left, parts = 1000, []
    while left:
        parts.append(data.draw(st.integers(1, left)))
        left -= parts[-1]
    free = total
    for part in parts:
        asked = int(float32(float32(total) * float32(native_fraction(part))))
        assert asked <= free
        free -= asked


@pytest.mark.parametrize(
    ("seconds", "margin", "expected"),
    [(60, 0, 60), (1.2, 0, 2), (60, 3600, 3660), (2**31 - 1, 3600, 2**31 - 1), (0.001, 0, 1)],
)
def test_durations_are_rounded_up_and_never_wrap(
    seconds: float, margin: float, expected: int
) -> None:
    assert native_seconds(seconds, margin) == expected


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(Permanent) as caught:
        check_request(-1, 2000, 0)
    assert [part.split()[0] for part in caught.value.message.split("; ")] == [
        "device",
        "memory",
        "duration",
    ]
