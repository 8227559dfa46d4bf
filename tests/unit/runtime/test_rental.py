"""Whose word on the end of a rental holds."""

from __future__ import annotations

import pytest
from cumulus.controller.runtime.rental import LABEL, with_rental
from cumulus.crd_like_specs.worker import WorkerSpec

OLD, NEW = "2026-12-01T10:00:00Z", "2026-12-02T10:00:00Z"
AT = 1796119200.0  # OLD


@pytest.mark.parametrize(
    ("set_to", "before", "now", "expected"),
    [
        (None, None, OLD, AT),  # it joins
        (None, OLD, OLD, None),  # an operator took it back
        (5.0, OLD, OLD, 5.0),  # or set another
        (5.0, OLD, NEW, AT + 86400),  # until the worker's own set-up is told anew
        (5.0, OLD, None, 5.0),
        (5.0, None, "tomorrow", 5.0),
    ],
)
def test_the_last_word_holds(
    set_to: float | None, before: str | None, now: str | None, expected: float | None
) -> None:
    def labels(value: str | None) -> dict[str, str]:
        return {} if value is None else {LABEL: value}

    spec = WorkerSpec(available_until=set_to)
    assert with_rental(spec, labels(before), labels(now)).available_until == expected
