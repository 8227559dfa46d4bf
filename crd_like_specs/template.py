"""Template: a job with blanks, that many may run without writing a spec of their own. Pure.

    spec = instantiate(template, {"epochs": "3"}, Overrides(duration=600))

Blanks are `{{parameter}}` in the arguments, in the items of a command and in the values of
variables. A command is a list of arguments and stays one of the same length, whatever the
parameters are: no shell reads it, and no value becomes a second argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import pydantic
from pydantic import Field, model_validator

from . import placeholders
from .errors import Problem, ValidationError
from .identity import TEMPLATE_PATTERN
from .job import LONGEST, Gpu, JobSpec
from .job_datasets import DatasetMount
from .meta import API_VERSION, Model, ObjectMeta
from .parameters import Parameter, ParameterType, Value
from .units import Bytes, Cpus, Fraction, Seconds
from .wording import describe
from .yaml_nodes import dotted

ANNOTATION: Final = "cumulus.dev/template"
"""Annotation of a job with the name of the template that it was made of."""

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class TemplateMeta(ObjectMeta):
    """As of every resource, but for the name, which may hold underscores."""

    name: Annotated[str, Field(pattern=TEMPLATE_PATTERN, max_length=63)]


# Models tell of their fields in their docstrings: this one of all those it has from its base.
TemplateMeta.__doc__ = str(ObjectMeta.__doc__).replace(
    "digits and inner dashes", "digits, inner dashes and underscores"
)


class Bounds(Model):
    """The most that a run may ask for instead of what the template says; what is not given here is
    bounded by what any job may have. cpus: cores; memory: bytes; pids: processes; shm: bytes of
    /dev/shm; gpus: devices, 0: none; gpu_memory: fraction of each device; duration: seconds;
    datasets: how many it may add; env: variables that it may set, all where this is not given.
    """

    cpus: Cpus | None = None
    memory: Bytes | None = None
    pids: int | None = Field(default=None, ge=0, strict=True)
    shm: Bytes | None = None
    gpus: int | None = Field(default=None, ge=0, strict=True)
    gpu_memory: Fraction | None = None
    duration: Seconds | None = None
    datasets: int | None = Field(default=None, ge=0, strict=True)
    env: tuple[VariableName, ...] | None = None


class GpuOverride(Model):
    """What of the GPU's share is another. memory: fraction of each device; count: devices, 0 for no
    GPU at all; type: as in a job.
    """

    memory: Fraction | None = None
    count: int | None = Field(default=None, ge=0, le=64, strict=True)
    type: str | None = Field(default=None, max_length=64)


class ResourcesOverride(Model):
    """What of the limits is another. cpus: cores; memory: bytes; pids: processes; shm: bytes of
    /dev/shm.
    """

    cpus: Cpus | None = None
    memory: Bytes | None = None
    pids: int | None = Field(default=None, ge=8, le=65536, strict=True)
    shm: Bytes | None = None


class Overrides(Model):
    """What one run has otherwise than its template says. gpu: its share; resources: limits;
    duration: seconds; env: variables, beside the template's own or instead of them; datasets: beside
    the template's own; experiment: of its outputs.
    """

    gpu: GpuOverride | None = None
    resources: ResourcesOverride | None = None
    duration: Seconds | None = Field(default=None, ge=1, le=LONGEST)
    env: dict[VariableName, str] = Field(default_factory=dict)
    datasets: tuple[DatasetMount, ...] = ()
    experiment: str = ""


class TemplateSpec(Model):
    """description: for people, what it does; parameters: what a run may or must be given; job: what
    runs, with a placeholder `{{name}}` wherever a parameter's value belongs: in `args`, the items of
    `command` and the values of `env`; bounds: the most that a run may ask for.
    """

    description: str = Field(default="", max_length=4000)
    parameters: tuple[Parameter, ...] = Field(default=(), max_length=100)
    job: JobSpec
    bounds: Bounds = Bounds()

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> TemplateSpec:
        kinds = {one.name: one.type for one in self.parameters}
        if len(kinds) < len(self.parameters):
            names = [one.name for one in self.parameters]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"parameters: {twice!r} is given twice, expected each name once")
        for path, text in _texts(self.job):
            try:
                found = placeholders.names(text)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            for name in found:
                if name not in kinds:
                    known = ", ".join(kinds) or "none at all"
                    raise ValueError(f"{path}: there is no parameter {name!r}, expected {known}")
                if kinds[name] is ParameterType.LIST and not _takes_lists(self.job, path, text):
                    raise ValueError(
                        f"{path}: {name!r} is a list, which is no part of a text: "
                        "expected it alone, among the args of a code job"
                    )
        return self


class Template(Model):
    """See the module docstring. api_version: `cumulus.dev/v1`; kind: `Template`; metadata: what it
    is called, and bookkeeping; spec: what it runs, and what runs may tell it.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Template"] = "Template"
    metadata: TemplateMeta
    spec: TemplateSpec


def instantiate(
    template: Template, params: Mapping[str, Any], overrides: Overrides | None = None
) -> JobSpec:
    """What a job with these parameters runs. params: name → JSON, or text that says the same.

    ValidationError with every parameter that is unknown, missing or wrong, each by its name, and
    every override beyond the template's bounds.
    """
    overrides = overrides or Overrides()
    problems: list[Problem] = []
    values = _values(template, params, problems)
    mounts = _mounts(template.spec.parameters, values)
    values |= {name: mount.path for name, mount in mounts.items()}
    problems += _beyond(overrides, template.spec)
    if problems:
        raise ValidationError(problems)
    job = template.spec.job
    changed: dict[str, Any] = {
        "args": placeholders.fill_all(job.args, values)
        if job.image is None
        else [placeholders.fill(one, values) for one in job.args],
        "command": tuple(placeholders.fill(one, values) for one in job.command),
        "env": {key: placeholders.fill(one, values) for key, one in job.env.items()}
        | overrides.env,
        "datasets": (*job.datasets, *mounts.values(), *overrides.datasets),
    }
    if overrides.duration is not None:
        changed["duration"] = overrides.duration
    if overrides.resources is not None:
        given = _given(overrides.resources)
        changed["resources"] = job.resources.model_copy(update=given)
    if overrides.experiment:
        changed["outputs"] = job.outputs.model_copy(update={"experiment": overrides.experiment})
    if overrides.gpu is not None:
        changed["gpu"] = _gpu(job.gpu, overrides.gpu)
    try:
        return JobSpec.model_validate(job.model_copy(update=changed).to_dict())
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        raise ValidationError(
            [Problem(describe(one), dotted(("spec", *one["loc"]))) for one in found]
        ) from error


def _texts(job: JobSpec) -> Iterator[tuple[str, str]]:
    """(path, text) wherever placeholders are read."""
    yield from placeholders.texts(job.command, "job.command")
    yield from placeholders.texts(job.args, "job.args")
    yield from placeholders.texts(job.env, "job.env")


def _takes_lists(job: JobSpec, path: str, text: str) -> bool:
    return job.image is None and path.startswith("job.args") and placeholders.is_whole(text)


def _values(
    template: Template, params: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Value]:
    known = {one.name: one for one in template.spec.parameters}
    for name in params:
        if name not in known:
            expected = ", ".join(known) or "none at all"
            problems.append(
                Problem(
                    f"template {template.metadata.name} has no such parameter: expected {expected}",
                    f"params.{name!s:.80}",
                )
            )
    values: dict[str, Value] = {}
    for name, one in known.items():
        try:
            if name in params:
                values[name] = one.read(params[name])
            elif one.required:
                problems.append(Problem(f"is missing: {_wanted(one)}", f"params.{name}"))
            else:
                values[name] = one.preset
        except ValueError as error:
            problems.append(Problem(str(error), f"params.{name}"))
    return values


def _mounts(
    parameters: Sequence[Parameter], values: Mapping[str, Value]
) -> dict[str, DatasetMount]:
    """Where each dataset that is given comes to lie, by its parameter's name."""
    found = {}
    for one in parameters:
        given = values.get(one.name)
        if one.type is ParameterType.DATASET and isinstance(given, str) and given:
            key = "digest" if given.startswith("sha256:") else "name"
            found[one.name] = DatasetMount.model_validate({key: given, "path": one.path})
    return found


def _wanted(parameter: Parameter) -> str:
    said = f", {parameter.description}" if parameter.description else ""
    return f"expected a {parameter.type.value}{said}"


def _beyond(overrides: Overrides, spec: TemplateSpec) -> Iterator[Problem]:
    bounds = spec.bounds
    resources = overrides.resources or ResourcesOverride()
    gpu = overrides.gpu or GpuOverride()
    if overrides.gpu is not None and gpu.count is None and spec.job.gpu is None:
        overrides = overrides.model_copy(update={"gpu": gpu.model_copy(update={"count": 1})})
        gpu = overrides.gpu or gpu  # a share of one device is asked for, though nobody counted it
    for path, given, most in (
        ("resources.cpus", resources.cpus, bounds.cpus),
        ("resources.memory", resources.memory, bounds.memory),
        ("resources.pids", resources.pids, bounds.pids),
        ("resources.shm", resources.shm, bounds.shm),
        ("gpu.count", gpu.count, bounds.gpus),
        ("gpu.memory", gpu.memory, bounds.gpu_memory),
        ("duration", overrides.duration, bounds.duration),
    ):
        if given is not None and most is not None and given > most:
            asked, allowed = _written(overrides, path), _bound(bounds, path)
            yield Problem(
                f"{asked} is given, the template allows at most {allowed}", f"overrides.{path}"
            )
    if bounds.datasets is not None and len(overrides.datasets) > bounds.datasets:
        yield Problem(
            f"{len(overrides.datasets)} are given, the template allows {bounds.datasets} at most",
            "overrides.datasets",
        )
    for name in overrides.env:
        if bounds.env is not None and name not in bounds.env:
            allowed = ", ".join(bounds.env) or "no variable"
            yield Problem(f"may not be set: the template allows {allowed}", f"overrides.env.{name}")


_BOUNDS: Final = {"gpu.count": "gpus", "gpu.memory": "gpuMemory"}


def _written(overrides: Overrides, path: str) -> Any:
    """As people write it."""
    found: Any = overrides.to_dict()
    for part in path.split("."):
        found = found[part]
    return found


def _bound(bounds: Bounds, path: str) -> Any:
    return bounds.to_dict()[_BOUNDS.get(path, path.rsplit(".", maxsplit=1)[-1])]


def _given(override: Model) -> dict[str, Any]:
    """The fields that are given."""
    fields = ((name, getattr(override, name)) for name in type(override).model_fields)
    return {name: value for name, value in fields if value is not None}


def _gpu(gpu: Gpu | None, override: GpuOverride) -> Gpu | None:
    given = _given(override)
    if given.get("count") == 0:
        return None
    return (gpu or Gpu()).model_copy(update=given)
