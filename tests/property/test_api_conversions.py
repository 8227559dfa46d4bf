"""Whatever the models allow crosses the wire and comes back equal; garbage never breaks it."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from cumulus.api import convert, convert_agent, frames
from cumulus.api.gen.cumulus.v1 import agent_pb2, cumulus_pb2, resources_pb2
from cumulus.api.walk import MODELS
from cumulus.crd_like_specs import job
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.meta import ObjectMeta
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from .api_values import (
    I63,
    counts,
    datasets,
    jobs,
    lease_specs,
    lease_statuses,
    leases,
    maps,
    mounts,
    names,
    sources,
    texts,
    times,
    worker_statuses,
    workers,
)


def over_the_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


CODE = job.Code(digest="sha256:" + "0" * 64)


def shaped(**spec: Any) -> job.Job:
    fields = {"code": CODE, **spec}
    return job.Job(metadata=ObjectMeta(name="a"), spec=job.JobSpec(**fields))


@example(shaped(code=job.Code(files={"main.py": "x", "lib/é.py": ""})))
@example(shaped(code=job.Code(path="")))
@example(shaped(retry=job.Retry(limit=3, on=())))
@example(shaped(args={"": [None, 1, 1.0, True, -(2**63), -0.0, 1e300, "\u2028"]}))
@given(jobs | leases | workers | sources | datasets)
def test_every_resource_comes_back_equal(resource: frames.Resource) -> None:
    message = over_the_wire(convert.resource_to_proto(resource))
    back = convert.resource_from_proto(message)
    assert back == resource
    # Equality alone would take 1 for 1.0 and for True; maps come back in any order.
    texts_of = [json.dumps(one.to_dict(), sort_keys=True) for one in (back, resource)]
    assert texts_of[0] == texts_of[1]


records = st.builds(
    frames.LogRecord,
    sequence=st.integers(0, I63),
    stream=st.sampled_from([s for s in frames.LogStream if s is not frames.LogStream.RESULT]),
    time=times,
    data=st.binary(max_size=9),
    attempt=counts,
)
events = (
    st.builds(frames.State, jobs)
    | st.builds(frames.Log, records)
    | st.builds(frames.ResultChunk, st.binary(max_size=9))
    | st.builds(frames.Finished, jobs)
)


@given(events)
def test_every_event_comes_back_equal(event: frames.JobEvent) -> None:
    assert convert.event_from_proto(over_the_wire(convert.event_to_proto(event))) == event


agent_frames = (
    st.builds(
        frames.NodeReport,
        worker=names,
        status=worker_statuses,
        labels=maps,
        leases=st.lists(st.builds(frames.LeaseReport, names, lease_statuses), max_size=2).map(
            tuple
        ),
    )
    | st.builds(frames.Heartbeat, times)
    | st.builds(frames.LookNow, names)
    | st.builds(
        frames.LogBatch,
        unit=names,
        records=st.lists(
            st.builds(
                frames.UnitRecord,
                st.integers(0, I63),
                st.sampled_from(frames.LogStream),
                times,
                st.binary(max_size=9),
            ),
            max_size=3,
        ).map(tuple),
        total=st.none() | counts,
    )
    | st.builds(
        frames.NodeUsage,
        time=times,
        disk_free=counts,
        units=st.lists(
            st.builds(frames.UnitUsage, names, times, counts, counts, counts), max_size=2
        ).map(tuple),
        devices=st.lists(
            st.builds(frames.DeviceUsage, counts, counts, st.integers(-1, 1000)), max_size=2
        ).map(tuple),
    )
)
controller_frames = (
    st.lists(
        st.builds(
            frames.LeaseWanted,
            name=names,
            spec=lease_specs,
            code_digest=texts,
            requirements=st.lists(texts, max_size=3).map(tuple),
            args_json=texts,
            image=texts,
            next_log=counts,
            registry_auth=texts,
            datasets=mounts,
        ),
        max_size=2,
    ).map(lambda wanted: frames.Wanted(tuple(wanted)))
    | st.lists(
        st.builds(frames.ImageWanted, texts, st.lists(texts, max_size=2).map(tuple)), max_size=2
    ).map(lambda images: frames.Wanted(images=tuple(images)))
    | st.lists(texts, max_size=2).map(lambda dropped: frames.Wanted(dropped=tuple(dropped)))
    | st.builds(frames.LogAck, names, counts)
    | st.builds(frames.Heartbeat, times, times)
)


@given(agent_frames)
def test_every_agent_frame_comes_back_equal(frame: frames.AgentFrame) -> None:
    message = over_the_wire(convert_agent.agent_frame_to_proto(frame))
    assert convert_agent.agent_frame_from_proto(message) == frame


@given(controller_frames)
def test_every_controller_frame_comes_back_equal(frame: frames.ControllerFrame) -> None:
    message = over_the_wire(convert_agent.controller_frame_to_proto(frame))
    assert convert_agent.controller_frame_from_proto(message) == frame


@given(st.binary(max_size=60))
def test_any_bytes_become_a_value_or_a_validation_error(data: bytes) -> None:
    for message, read in (
        (resources_pb2.Resource, convert.resource_from_proto),
        (cumulus_pb2.JobEvent, convert.event_from_proto),
        (cumulus_pb2.ListResponse, convert.page_from_proto),
        (cumulus_pb2.ApplyResponse, convert.applied_from_proto),
        (cumulus_pb2.WatchEvent, convert.watch_item_from_proto),
        (agent_pb2.AgentMessage, convert_agent.agent_frame_from_proto),
        (agent_pb2.ControllerMessage, convert_agent.controller_frame_from_proto),
    ):
        try:
            read(message.FromString(data))  # type: ignore[attr-defined]
        except (DecodeError, ValidationError):
            continue


def test_models_and_messages_have_the_same_fields() -> None:
    renamed = {"args": "args_json", "default": "default_json"}
    extra = {"Retry": {"on_nothing"}}
    for name, model in MODELS.items():
        message = resources_pb2.DESCRIPTOR.message_types_by_name[name]
        expected = {renamed.get(field, field) for field in model.model_fields}
        assert {f.name for f in message.fields} == expected | extra.get(name, set()), name
    covered = {*MODELS, "Resource"}
    assert set(resources_pb2.DESCRIPTOR.message_types_by_name) == covered


def test_what_other_clients_leave_out_takes_its_default() -> None:
    message = resources_pb2.Job()
    message.metadata.name = "a"
    message.spec.image = "alpine"
    message.spec.gpu.SetInParent()
    message.spec.resources.cpus = "2"
    message.spec.retry.limit = 3
    expected = job.Job(
        metadata=ObjectMeta(name="a"),
        spec=job.JobSpec(
            image="alpine", gpu=job.Gpu(), resources=job.Resources(cpus=2), retry=job.Retry(limit=3)
        ),
    )
    assert convert.job_from_proto(message) == expected


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("{", "is not JSON"),
        ("NaN", "not a JSON number"),
        ("[" * 9999, "is not JSON"),
        ("3", "list"),
        ('{"a": 1, "b": [{"c": 1, "c": 2}]}', "the key 'c' is given twice"),
    ],
)
def test_args_that_are_no_json_list_or_object(args: str, says: str) -> None:
    message = resources_pb2.Job()
    message.metadata.name = "a"
    message.spec.image = "alpine"
    message.spec.args_json = args
    with pytest.raises(ValidationError, match=says) as caught:
        convert.job_from_proto(message)
    assert caught.value.problems[0].path.startswith("spec.args")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("[NaN]", "NaN is not a JSON number"),
        ("[1e999]", r"\[0\]: inf is not a JSON number"),
        (f"[{1 << 63}]", r"\[0\]: an integer does not fit into 64 bits: send it as text"),
        (f'{{"a": [{-(1 << 63) - 1}]}}', r"a\[0\]: an integer does not fit into 64 bits"),
        (r'["\ud800"]', r"\[0\]: text is not valid Unicode"),
        (r'{"\ud800": 1}', "text is not valid Unicode"),
        ("[" * 66 + "]" * 66, "is nested deeper than 64 levels"),
    ],
)
def test_args_that_not_everyone_could_read_are_refused(args: str, says: str) -> None:
    message = convert.job_to_proto(shaped())
    message.spec.args_json = args
    with pytest.raises(ValidationError, match=says) as caught:
        convert.job_from_proto(message)
    assert [problem.path for problem in caught.value.problems] == ["spec.args"]


@pytest.mark.parametrize("value", [object(), b"", {1: 2}, [{"a": {1}}]])
def test_args_that_are_no_json_are_refused_where_they_are_given(value: object) -> None:
    with pytest.raises(pydantic.ValidationError, match=r"is not JSON|is no text"):
        shaped(args=[value])


def test_what_the_wire_cannot_carry_is_said() -> None:
    wrong = shaped().model_copy(update={"metadata": ObjectMeta(name="a", labels={"x": "\ud800"})})
    with pytest.raises(ValidationError, match="cannot be sent"):
        convert.job_to_proto(wrong)


@given(st.dictionaries(st.text("abcé😀", max_size=3), st.just(""), min_size=2, max_size=20))
def test_maps_come_in_an_order_that_is_the_same_in_each_process(labels: dict[str, str]) -> None:
    """protobuf's own is not: what is written to a file twice would differ."""
    given_ = shaped().model_copy(update={"metadata": ObjectMeta(name="a", labels=labels)})
    again = convert.job_from_proto(convert.job_to_proto(given_))
    assert list(again.metadata.labels) == sorted(labels)
