"""Templates and what overrides them cross the wire, and files, and come back equal."""

from __future__ import annotations

import json
from typing import Any

from cumulus.api import convert
from cumulus.api.gen.cumulus.v1 import resources_pb2
from cumulus.api.walk import from_message, to_message
from cumulus.crd_like_specs.codec import dump_yaml, load_text
from cumulus.crd_like_specs.job import JobSpec
from cumulus.crd_like_specs.parameters import Parameter, ParameterType
from cumulus.crd_like_specs.template import (
    Bounds,
    GpuOverride,
    Overrides,
    ResourcesOverride,
    Template,
    TemplateMeta,
    TemplateSpec,
)
from hypothesis import given
from hypothesis import strategies as st

from .api_values import specs, texts

some = st.none() | st.integers(1, 1 << 31)
words = st.text(max_size=9).filter(lambda text: "\0" not in text)
variables = st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True)


def named(name: str) -> st.SearchStrategy[Parameter]:
    def of(type_: ParameterType, default: st.SearchStrategy[Any], **more: Any) -> Any:
        return st.builds(
            Parameter, name=st.just(name), type=st.just(type_), default=default,
            description=words, **more,
        )  # fmt: skip

    kind = ParameterType
    return (
        of(kind.STRING, st.none() | words)
        | of(kind.INT, st.integers(-9, 9), minimum=st.none() | st.integers(-99, -9))
        | of(kind.FLOAT, st.floats(-1, 1), maximum=st.none() | st.floats(1, 2))
        | of(kind.BOOL, st.booleans())
        | of(kind.LIST, st.none() | st.lists(words, max_size=2))
        | of(kind.CHOICE, st.just("a"), choices=st.just(("a", "b")))
        | of(kind.DATASET, st.just("") | st.just("cats"), path=st.just("") | st.just("/data/x"))
        | st.builds(Parameter, name=st.just(name), required=st.just(True))
    )


bounds = st.builds(
    Bounds,
    cpus=st.none() | st.just("500m"),
    memory=some,
    pids=some.map(lambda n: n and min(n, 999)),
    shm=some,
    gpus=st.none() | st.integers(0, 8),
    gpu_memory=st.none() | st.just(0.5),
    duration=some,
    datasets=st.none() | st.integers(0, 8),
    env=st.none() | st.lists(variables, max_size=2).map(tuple),
)


def without_openings(spec: JobSpec) -> bool:
    return "{{" not in json.dumps(spec.to_dict(), ensure_ascii=False)


templates = st.builds(
    Template,
    metadata=st.builds(TemplateMeta, name=st.just("run_it"), labels=st.just({"a": "b"})),
    spec=st.builds(
        TemplateSpec,
        description=words,
        parameters=st.tuples(named("x"), named("y_2")),
        job=specs.filter(without_openings),
        bounds=bounds,
    ),
)


@given(templates)
def test_every_template_comes_back_equal(template: Template) -> None:
    message = convert.resource_to_proto(template)
    back = convert.resource_from_proto(
        resources_pb2.Resource.FromString(message.SerializeToString())
    )
    assert back == template
    assert json.dumps(back.to_dict(), sort_keys=True) == json.dumps(
        template.to_dict(), sort_keys=True
    )


@given(templates)
def test_files_say_the_same(template: Template) -> None:
    (back,) = load_text(dump_yaml(template))
    assert back == template


@given(
    st.builds(
        Overrides,
        gpu=st.none() | st.builds(GpuOverride, count=st.none() | st.integers(0, 4)),
        resources=st.none() | st.builds(ResourcesOverride, memory=some),
        duration=st.none() | st.integers(1, 999),
        env=st.dictionaries(variables, texts, max_size=2),
        experiment=st.sampled_from(["", "night-3"]),
    )
)
def test_overrides_come_back_equal(overrides: Overrides) -> None:
    message = to_message(overrides, resources_pb2.Overrides)
    back = resources_pb2.Overrides.FromString(message.SerializeToString())
    assert from_message(back, Overrides) == overrides
