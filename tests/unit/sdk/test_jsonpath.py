"""`-o jsonpath=`: kubectl's templates over a kept JSONPath library."""

from __future__ import annotations

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Code, Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk.cli.jsonpath import Template

from .ctl import Ctl
from .fake_server import FakeServer

LIST = {
    "items": [
        {"metadata": {"name": "a", "labels": {"x.y/z": "1"}}, "status": {"phase": "Running"}},
        {"metadata": {"name": "b"}, "status": {"phase": "Failed", "attempt": 2}},
    ]
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (".items[0].status.phase", "Running"),
        ("{.items[*].metadata.name}", "a b"),
        ("{$.items[1].status}", '{"phase": "Failed", "attempt": 2}'),
        ("{.items[1].status.attempt}", "2"),
        ("{.nothing}", ""),
        ("{..name}", "a b"),
        ("name: {.items[0].metadata.name}!", "name: a!"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.phase}{"\\n"}{end}', "a\tRunning\nb\tFailed\n"),
        ("{range .items[*]}{@.metadata.name},{end}", "a,b,"),
        ('{.items[?(@.status.phase=="Running")].metadata.name}', "a"),
        ("{.items[0].metadata.labels['x.y/z']}", "1"),
        (r"{.items[0].metadata.labels.x\.y/z}", "1"),
    ],
)  # fmt: skip
def test_a_template_gives_text(template: str, text: str) -> None:
    assert Template(template).of(LIST) == text


@pytest.mark.parametrize(
    "template", ["{.items[0", "{range .items}", "{end}", "{.items[?}", '{"open}', "{.a}}"]
)
def test_what_is_not_understood_is_said_in_a_line(template: str) -> None:
    with pytest.raises(ValidationError) as error:
        Template(template)
    assert "\n" not in error.value.message
    assert error.value.message.startswith("jsonpath: ")


def test_get_prints_values_alone(ctl: Ctl, server: FakeServer) -> None:
    for name in ("a", "b"):
        code = Code(files={"main.py": "def main():\n    return 1\n"})
        server.put(Job(metadata=ObjectMeta(name=name), spec=JobSpec(code=code)))
    assert ctl("get", "job", "a", "-o", "jsonpath={.metadata.name}") == 0
    assert ctl.out == "a"
    assert ctl("get", "jobs", "-o", "jsonpath={.items[*].spec.duration}") == 0
    assert ctl.out == "1h 1h"
    assert ctl("get", "jobs", "-o", "jsonpath={.items[") == 2
    assert ctl.err.startswith("error: jsonpath: ")
    assert not ctl.out
