"""Templates: what may stand in one, what a run may tell it, and what comes of both."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.template import Overrides, Template, instantiate
from hypothesis import given
from hypothesis import strategies as st

CODE = {"files": {"main.py": "def main(**given): pass"}}


def template(
    parameters: list[dict[str, Any]], job: dict[str, Any] | None = None, **spec: Any
) -> Template:
    return Template.model_validate(
        {
            "metadata": {"name": "try_it"},
            "spec": {"parameters": parameters, "job": job or {"image": "any"}, **spec},
        }
    )


def one(**parameter: Any) -> Template:
    """With one parameter, `x`, that is the whole of the command's only argument."""
    return template([{"name": "x", **parameter}], {"image": "any", "command": ["{{x}}"]})


def problems(made: Template, params: dict[str, Any], **overrides: Any) -> str:
    with pytest.raises(ValidationError) as error:
        instantiate(made, params, Overrides.model_validate(overrides))
    return str(error.value)


@pytest.mark.parametrize(
    ("parameter", "given", "text"),
    [
        ({"type": "string", "default": "one two"}, {}, "one two"),
        ({"type": "string"}, {}, ""),
        ({"type": "int", "default": 3}, {"x": "-7"}, "-7"),
        ({"type": "int", "default": 3}, {"x": 8}, "8"),
        ({"type": "float", "default": 1}, {}, "1.0"),
        ({"type": "float", "default": 0.5}, {"x": "1e-3"}, "0.001"),
        ({"type": "bool", "default": False}, {"x": "True"}, "true"),
        ({"type": "choice", "choices": ["a", "b"], "required": True}, {"x": "b"}, "b"),
        ({"pattern": "[a-z]+", "default": "a"}, {"x": "abc"}, "abc"),
    ],
)
def test_a_value_becomes_an_argument(
    parameter: dict[str, Any], given: dict[str, Any], text: str
) -> None:
    assert instantiate(one(**parameter), given).command == (text,)


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        ({"type": "int", "default": 3}, "x", "'x' is given, expected a whole number"),
        ({"type": "int", "default": 3}, True, "'true' is given, expected a whole number"),
        ({"type": "int", "default": 3}, "1\n", "expected a whole number"),
        ({"type": "int", "default": 3}, "9" * 19, "expected a whole number"),
        ({"type": "int", "default": 3, "maximum": 5}, 6, "6 is given, expected at most 5"),
        ({"type": "float", "default": 3, "minimum": 0}, "-0.5", "expected at least 0"),
        ({"type": "float", "default": 3}, "nan", "expected a number"),
        ({"type": "float", "default": 3}, float("inf"), "expected a finite number"),
        ({"type": "bool", "default": True}, "yes", "expected true or false"),
        ({"type": "choice", "choices": ["a", "b"], "default": "a"}, "c", "expected a or b"),
        ({"pattern": "[a-z]+", "default": "a"}, "a b", "expected text that matches [a-z]+"),
        ({"pattern": "[a-z]+", "default": "a"}, "abc\n", "expected text that matches"),
        ({"type": "string"}, 5, "'5' is given, expected text"),
        ({"type": "string"}, "a\0b", "zero byte"),
        ({"type": "string"}, "a" * 20_000, "20000 characters are given, expected at most"),
        ({"type": "string"}, "\ud800", "not valid Unicode"),
    ],
)
def test_a_wrong_value_is_named(parameter: dict[str, Any], given: Any, expected: str) -> None:
    said = problems(one(**parameter), {"x": given})
    assert said.startswith("params.x: ")
    assert expected in said


def test_every_problem_is_told_at_once() -> None:
    made = template(
        [
            {"name": "epochs", "type": "int", "default": 1, "maximum": 9},
            {"name": "data", "required": True, "description": "where it lies"},
        ],
        bounds={"duration": "1h", "gpus": 0, "env": ["A"], "cpus": "2"},
    )
    said = problems(
        made,
        {"epochs": 10, "epoch": 1},
        duration="2h",
        gpu={"memory": 0.5},
        env={"B": "x"},
        resources={"cpus": 3},
    )
    assert said.splitlines() == [
        "params.epoch: template try_it has no such parameter: expected epochs, data",
        "params.epochs: 10 is given, expected at most 9",
        "params.data: is missing: expected a string, where it lies",
        "overrides.resources.cpus: 3 is given, the template allows at most 2",
        "overrides.gpu.count: 1 is given, the template allows at most 0",
        "overrides.duration: 2h is given, the template allows at most 1h",
        "overrides.env.B: may not be set: the template allows A",
    ]


@pytest.mark.parametrize(
    ("parameters", "job", "expected"),
    [
        ([], {"image": "a", "command": ["{{x}}"]}, "no parameter 'x', expected none at all"),
        ([{"name": "x"}], {"image": "a", "command": ["{{ X }}"]}, "is no placeholder"),
        (
            [{"name": "x"}],
            {"image": "a", "env": {"A": "{{x"}},
            "job.env.A: '{{x' is no placeholder",
        ),
        ([{"name": "x"}, {"name": "x"}], {"image": "a"}, "'x' is given twice"),
        (
            [{"name": "x", "type": "list"}],
            {"image": "a", "command": ["{{x}}"]},
            "job.command[0]: 'x' is a list",
        ),
        ([{"name": "x", "type": "list"}], {"code": CODE, "args": ["a{{x}}"]}, "is a list"),
        ([{"name": "x", "type": "int"}], {"image": "a"}, "expected a default of this int"),
        ([{"name": "x", "type": "int", "default": "3"}], {"image": "a"}, "got text"),
        ([{"name": "x", "required": True, "default": "3"}], {"image": "a"}, "is required"),
        ([{"name": "x", "pattern": "a)|(b"}], {"image": "a"}, "is no pattern"),
        ([{"name": "x", "pattern": "a+"}], {"image": "a"}, "its default: '' is given"),
        ([{"name": "x", "type": "choice", "default": "a"}], {"image": "a"}, "needs some"),
        ([{"name": "x", "minimum": 1}], {"image": "a"}, "a string has no minimum"),
        (
            [{"name": "x", "type": "int", "default": 1, "minimum": 2, "maximum": 1}],
            {"image": "a"},
            "the minimum 2 is above the maximum 1",
        ),
        ([{"name": "x", "type": "dataset", "path": "/etc"}], {"image": "a"}, "is taken"),
        ([{"name": "x", "path": "/a"}], {"image": "a"}, "a string has no path"),
    ],
)
def test_what_no_template_can_be(
    parameters: list[dict[str, Any]], job: dict[str, Any], expected: str
) -> None:
    with pytest.raises(pydantic.ValidationError, match="spec") as error:
        template(parameters, job)
    assert expected in str(error.value)


def test_code_is_given_values_as_they_are() -> None:
    made = template(
        [
            {"name": "n", "type": "int", "default": 2},
            {"name": "words", "type": "list", "pattern": "[a-z]*"},
        ],
        {"code": CODE, "args": {"n": "{{n}}", "deep": [{"text": "n={{n}}"}], "words": "{{words}}"}},
    )
    spec = instantiate(made, {"words": '["a", "b"]'})
    assert spec.args == {"n": 2, "deep": [{"text": "n=2"}], "words": ["a", "b"]}
    assert "'A' is given, expected text that matches" in problems(made, {"words": ["a", "A"]})


def test_overrides_replace_only_what_they_name() -> None:
    made = template(
        [{"name": "x"}],
        {
            "image": "any",
            "env": {"A": "{{x}}", "B": "b"},
            "resources": {"cpus": "2", "memory": "2Gi"},
            "gpu": {"memory": 0.5, "type": "nvidia"},
        },
    )
    given = {"resources": {"cpus": "500m"}, "env": {"B": "{{x}}"}, "duration": 60}
    spec = instantiate(made, {"x": "1"}, Overrides.model_validate({**given, "gpu": {"count": 2}}))
    assert (spec.resources.cpus, spec.resources.memory, spec.duration) == (500, 2 << 30, 60)
    assert spec.env == {"A": "1", "B": "{{x}}"}
    assert spec.gpu is not None
    assert (spec.gpu.memory, spec.gpu.count, spec.gpu.type) == (500, 2, "nvidia")
    assert instantiate(made, {}, Overrides.model_validate({"gpu": {"count": 0}})).gpu is None


def test_a_dataset_is_mounted_and_its_placeholder_is_where() -> None:
    made = template(
        [
            {"name": "data", "type": "dataset", "required": True},
            {"name": "more", "type": "dataset", "path": "/data/more"},
        ],
        {"image": "any", "command": ["run", "{{data}}/x", "{{more}}"]},
        bounds={"datasets": 0},
    )
    spec = instantiate(made, {"data": "cats"})
    assert spec.command == ("run", "/datasets/cats/x", "")
    assert [(one.name, one.path) for one in spec.datasets] == [("cats", "/datasets/cats")]
    digest = f"sha256:{'ab' * 32}"
    spec = instantiate(made, {"data": "cats", "more": digest})
    assert (spec.command[2], spec.datasets[1].digest) == ("/data/more", digest)
    assert "params.data: is missing" in problems(made, {})
    assert "expected a dataset's name" in problems(made, {"data": "../x"})
    assert "expected a dataset's name" in problems(made, {"data": "cats\n"})
    said = problems(made, {"data": "cats"}, datasets=[{"name": "dogs"}])
    assert said == "overrides.datasets: 1 are given, the template allows 0 at most"


@given(value=st.text(max_size=60).filter(lambda text: "\0" not in text) | st.just("{{x}} {{y}}"))
def test_no_value_becomes_a_second_argument_or_a_placeholder(value: str) -> None:
    made = template(
        [{"name": "x"}, {"name": "y", "default": "Y"}],
        {"image": "any", "command": ["run", "a{{x}}b{{ x }}", "{{y}}"], "env": {"E": "-{{x}}"}},
    )
    spec = instantiate(made, {"x": value})
    assert spec.command == ("run", f"a{value}b{value}", "Y")
    assert spec.env == {"E": f"-{value}"}
    called = instantiate(template([{"name": "x"}], {"code": CODE, "args": ["{{x}}"]}), {"x": value})
    assert called.args == [value]
