"""The JSON Schema that editors get: whole, in their dialect, and in people's units."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from cumulus.crd_like_specs import units
from cumulus.crd_like_specs.codec import KINDS
from cumulus.crd_like_specs.schema import DIALECT, schema


def walk(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from walk(value)
    elif isinstance(part, list):
        for value in part:
            yield from walk(value)


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_every_reference_leads_somewhere(kind: str) -> None:
    whole = schema(kind)
    assert whole["$schema"] == DIALECT
    refs = [part["$ref"] for part in walk(whole) if isinstance(part.get("$ref"), str)]
    assert refs
    for ref in refs:
        assert ref.removeprefix("#/$defs/") in whole["$defs"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_names_itself_and_forbids_what_it_does_not_know(kind: str) -> None:
    found = schema(kind)
    assert found["properties"]["kind"]["const"] == kind
    assert found["additionalProperties"] is False
    assert {"apiVersion", "kind", "metadata", "spec"} - {"spec"} <= set(found["required"])
    assert "status" not in found["required"]


def test_quantities_are_shown_as_people_write_them() -> None:
    defs = schema("Job")["$defs"]
    resources, spec = defs["Resources"]["properties"], defs["JobSpec"]["properties"]
    assert resources["memory"]["default"] == "1Gi"
    assert resources["cpus"]["default"] == "1"
    assert spec["duration"]["default"] == "1h"
    assert "90m" in spec["duration"]["anyOf"][0]["examples"]
    assert {"whenUnschedulable", "ttlAfterFinished"} <= set(spec)


@pytest.mark.parametrize(
    ("field", "parse", "good", "bad"),
    [
        (("Resources", "memory"), units.parse_bytes, ["8Gi", "512", "1.5G", "2 k"], ["8GB", "-1", "x"]),
        (("Resources", "cpus"), units.parse_cpus, ["500m", "2", "0.5"], ["2x", "-1"]),
        (("JobSpec", "duration"), units.parse_seconds,
         ["90", "90m", "1h30m", "PT90M", "P1D"], ["1:30", "90min", "1m1h", "x"]),
        (("Gpu", "memory"), units.parse_fraction, ["50%", "0.5", "500m"], ["1/2", "-1", "1Gi"]),
    ],
)  # fmt: skip
def test_patterns_agree_with_the_parsers(
    field: tuple[str, str], parse: Any, good: list[str], bad: list[str]
) -> None:
    text = schema("Job")["$defs"][field[0]]["properties"][field[1]]["anyOf"][0]
    for raw in [*good, *text["examples"]]:
        parse(raw)
        assert re.search(text["pattern"], raw), raw
    for raw in bad:
        with pytest.raises(ValueError, match="expected"):
            parse(raw)
        assert not re.search(text["pattern"], raw), raw
