"""What nodeSelector may say, and how times are written."""

from __future__ import annotations

import pytest
from cumulus.crd_like_specs.codec import dump_yaml, load_text
from cumulus.crd_like_specs.constraints import parse_constraint, satisfied
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.instants import parse_instant, show_clock, show_instant
from cumulus.crd_like_specs.job import JobSpec
from cumulus.crd_like_specs.worker import Worker


@pytest.mark.parametrize(
    ("raw", "canonical", "yes", "no"),
    [
        ("a100", "a100", ["a100"], ["h100", "", None]),
        (["a100", "h100"], "a100,h100", ["a100", "h100"], ["l4", None]),
        (" a100 , h100 ", "a100,h100", ["h100"], [" h100"]),
        ("!eu", "!eu", ["us", "", None], ["eu"]),
        ("!eu,us", "!eu,us", ["asia", None], ["eu", "us"]),
        ("*", "*", ["x", ""], [None]),
        ("!*", "!*", [None], ["x", ""]),
        ("", "", [""], ["x", None]),
        ("NVIDIA H200", "NVIDIA H200", ["NVIDIA H200"], ["NVIDIA"]),
    ],
)
def test_constraints(
    raw: object, canonical: str, yes: list[str | None], no: list[str | None]
) -> None:
    assert parse_constraint(raw) == canonical
    assert parse_constraint(canonical) == canonical
    assert all(satisfied(canonical, value) for value in yes)
    assert not any(satisfied(canonical, value) for value in no)


@pytest.mark.parametrize(
    "raw", ["!!a", "a,*", "*,a", "a,,b", "a,", ["a", "!b"], [], [1], 5, None, "a\x00b", "x" * 999]
)
def test_constraints_that_are_none(raw: object) -> None:
    with pytest.raises(ValueError, match=r"expected|comma"):
        parse_constraint(raw)


def test_a_list_is_the_same_run_as_its_text() -> None:
    one = JobSpec.model_validate({"image": "x", "nodeSelector": {"gpu": ["a", "b"]}})
    other = JobSpec.model_validate({"image": "x", "nodeSelector": {"gpu": "a, b"}})
    assert one.run_hash() == other.run_hash()


@pytest.mark.parametrize(
    "raw", ["2026-12-01T10:00:00Z", "2026-12-01T11:00:00+01:00", 1796119200, 1796119200.0]
)
def test_instants(raw: object) -> None:
    assert parse_instant(raw) == 1796119200.0
    assert show_instant(1796119200.9) == "2026-12-01T10:00:00Z"


@pytest.mark.parametrize(
    "raw", ["soon", "2026-12-01T10:00:00", True, None, float("nan"), -1, 1e18, 10**400]
)
def test_instants_that_are_none(raw: object) -> None:
    with pytest.raises(ValueError, match="expected a time with its zone"):
        parse_instant(raw)


def test_clocks_are_never_too_early_nor_too_late() -> None:
    now = 1796119200.0
    assert show_clock(now + 61, now) == "10:02 UTC"
    assert show_clock(now + 61, now, early=True) == "10:01 UTC"
    assert show_clock(now + 86400, now) == "Dec 2 10:00 UTC"


def test_a_rental_in_a_file_is_a_time_with_its_zone() -> None:
    head = "apiVersion: cumulus.dev/v1\nkind: Worker\nmetadata: {name: gpu-1}\nspec: "
    (found,) = load_text(f"{head}{{availableUntil: 2026-12-01T10:00:00Z}}\n")
    assert isinstance(found, Worker)
    assert found.spec.available_until == 1796119200.0
    assert load_text(dump_yaml(found)) == [found]
    with pytest.raises(ValidationError, match=r"4:\d+: spec.availableUntil: .* names no zone"):
        load_text(f"{head}{{availableUntil: 2026-12-01T10:00:00}}\n")
    with pytest.raises(ValidationError, match=r"spec.nodeSelector.gpu: 'a,,b' has nothing before"):
        load_text(
            "apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {name: a}\n"
            "spec: {image: x, nodeSelector: {gpu: 'a,,b'}}\n"
        )
