"""The walk over names between pydantic models and protos. Pure; used by `convert*.py` only.

Both sides carry the same field names, so that nothing is listed here field by field; three
shapes differ and are spelled out: `args` travels as JSON text, `code.files` is a message around
its map, and an empty `retry.on` is said aloud, since protobuf cannot tell it from "not given".
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import pydantic
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic_core import PydanticUndefined

from ..crd_like_specs import (
    checkpoint,
    dataset,
    job,
    job_datasets,
    job_secrets,
    lease,
    outputs,
    parameters,
    source,
    template,
    worker,
)
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.meta import Condition, Model, ObjectMeta
from ..crd_like_specs.wording import describe
from ..crd_like_specs.yaml_nodes import dotted

ModelT = TypeVar("ModelT", bound=Model)
MessageT = TypeVar("MessageT", bound=Message)

MODELS: Final[dict[str, type[Model]]] = {
    "Metadata": ObjectMeta,
    "Condition": Condition,
    **{
        model.__name__: model
        for model in (
            *(checkpoint.Checkpoint, checkpoint.Snapshot),
            *(outputs.OutputsSpec, outputs.KeptOutputs),
            *(job_datasets.DatasetMount, job_secrets.SecretMount),
            *(job.Code, job.Gpu, job.Resources, job.Retry, job.JobSpec, job.Attempt),
            *(job.WorkerReason, job.JobStatus, job.Job),
            *(lease.LeaseSpec, lease.LeaseMount, lease.LeaseStatus, lease.Lease),
            *(worker.Device, worker.WorkerSpec, worker.WorkerStatus, worker.Worker),
            *(source.SourceFile, source.SourceSpec, source.SourceStatus, source.Source),
            *(dataset.DatasetSpec, dataset.DatasetStatus, dataset.Dataset),
            *(parameters.Parameter, template.Bounds, template.TemplateSpec, template.Template),
            *(template.GpuOverride, template.ResourcesOverride, template.Overrides),
        )
    },
}
"""Name of the message → the model it carries."""

# Written by people and by clients in any language, who leave out what they don't care about: a
# zero means "not given" there. Everywhere else it means zero.
_SPARSE: Final = {
    "Metadata",
    "JobSpec",
    "Gpu",
    "Resources",
    "Retry",
    "Checkpoint",
    "OutputsSpec",
    "DatasetMount",
    "SecretMount",
    "Parameter",
    "TemplateSpec",
    "Overrides",
}


def to_message(model: Model, message: type[MessageT]) -> MessageT:
    """The model as a proto of this type. ValidationError for what the wire cannot carry
    (numbers out of range, NaN in args, text that is not Unicode).
    """
    where = _PATHS.get(type(model))
    exclude: Any = None
    spec: Any = model
    if where is not None:
        exclude = {"args"}
        for name in reversed(where):
            exclude = {name: exclude}
        for name in where:
            spec = getattr(spec, name)
    args: str | None = None
    try:
        if where is not None:
            args = json.dumps(spec.args, allow_nan=False, separators=(",", ":"))
        data = model.model_dump(mode="json", exclude_none=True, exclude=exclude)
        _spell_out(data, where, args)
        return message(**data)
    except (ValueError, TypeError) as e:
        raise ValidationError(
            [Problem(f"cannot be sent: {e}", path="spec" if args is None else "")]
        ) from e


def from_message(message: Message, model: type[ModelT]) -> ModelT:
    """The proto as a model of this class. ValidationError with every problem in it."""
    try:
        return model.model_validate(_walk(message))
    except pydantic.ValidationError as e:
        raise ValidationError(problems_of(e)) from e


def problems_of(error: pydantic.ValidationError) -> list[Problem]:
    """Each finding of pydantic with its dotted path, such as `spec.gpu.memory`, in our words."""
    return [
        Problem(describe(found), path=dotted(found["loc"]))
        for found in error.errors(include_url=False)
    ]


_PATHS: Final[dict[type[Model], tuple[str, ...]]] = {
    job.JobSpec: (),
    job.Job: ("spec",),
    template.TemplateSpec: ("job",),
    template.Template: ("spec", "job"),
}
"""Where in a model the spec of a job is."""


def _spell_out(data: dict[str, Any], where: tuple[str, ...] | None, args: str | None) -> None:
    if where is None:
        return
    above = spec = data
    for name in where:
        above, spec = spec, spec[name]
    spec["args_json"] = args
    if "files" in spec.get("code", ()):
        spec["code"]["files"] = {"entries": spec["code"]["files"]}
    spec["retry"]["on_nothing"] = not spec["retry"]["on"]
    for one in above.get("parameters", ()):
        if "default" in one:
            one["default_json"] = json.dumps(one.pop("default"))
    if "env" in above.get("bounds", ()):
        above["bounds"]["env"] = {"names": above["bounds"]["env"]}


class _Field(NamedTuple):
    """How one field of a message is read. omit_zero: a zero stands for the model's default."""

    name: str
    key: str
    is_map: bool
    repeated: bool
    message: bool
    presence: bool
    omit_zero: bool


@cache
def _fields(descriptor: Descriptor) -> tuple[_Field, ...]:
    known = MODELS[descriptor.name].model_fields if descriptor.name in MODELS else {}
    return tuple(_field(descriptor, field, known) for field in descriptor.fields)


def _field(owner: Descriptor, field: FieldDescriptor, known: dict[str, Any]) -> _Field:
    default = known[field.name].default if field.name in known else PydanticUndefined
    nested = field.message_type
    is_text = field.type == FieldDescriptor.TYPE_STRING
    return _Field(
        name=field.name,
        key=field.json_name,
        is_map=nested is not None and nested.GetOptions().map_entry,
        repeated=field.is_repeated,
        message=nested is not None,
        presence=field.has_presence,
        # Text whose default is not "" is never legally empty: a phase, a quantity.
        omit_zero=default is not PydanticUndefined and (is_text or owner.name in _SPARSE),
    )


def _walk(message: Message) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, key, is_map, repeated, nested, presence, omit_zero in _fields(message.DESCRIPTOR):
        if presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        if is_map:
            data[key] = dict(sorted(value.items()))  # its own order is another in each process
        elif repeated:
            data[key] = [_walk(item) for item in value] if nested else list(value)
        elif nested:
            data[key] = _walk(value)
        elif value or presence or not omit_zero:
            data[key] = value
    reshape = _RESHAPE.get(message.DESCRIPTOR.name)
    if reshape:
        reshape(data)
    return data


def _read_args(spec: dict[str, Any]) -> None:
    text = spec.pop("argsJson", "")
    if text:
        try:
            spec["args"] = json.loads(text, parse_constant=_refuse, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as e:
            raise ValidationError([Problem(f"is not JSON: {e}", path="spec.args")]) from e


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for n, key in enumerate(keys) if key in keys[:n])
        raise ValueError(f"the key {twice!r:.80} is given twice")
    return found


def _read_files(code: dict[str, Any]) -> None:
    if "files" in code:
        code["files"] = code["files"]["entries"]


def _read_on(retry: dict[str, Any]) -> None:
    if not retry.pop("onNothing", False) and not retry["on"]:
        del retry["on"]


def _read_default(parameter: dict[str, Any]) -> None:
    text = parameter.pop("defaultJson", None)
    if text is not None:
        try:
            parameter["default"] = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as e:
            raise ValidationError([Problem(f"is not JSON: {e}", path="spec.parameters")]) from e


def _read_names(bounds: dict[str, Any]) -> None:
    if "env" in bounds:
        bounds["env"] = bounds["env"]["names"]


_RESHAPE: Final = {
    "JobSpec": _read_args,
    "Code": _read_files,
    "Retry": _read_on,
    "Parameter": _read_default,
    "Bounds": _read_names,
}
