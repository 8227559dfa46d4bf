"""A form of that system as a run of a template. Pure.

`command_key` names the template. Its parameters come from `params_json` and from further fields of
the form; what of `params_json` is no parameter is nobody's concern here and reaches the job whole,
in the environment variable JR_PARAMS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ....crd_like_specs import exec_limits
from ....crd_like_specs.errors import Problem, ValidationError
from ....crd_like_specs.job_datasets import DatasetMount
from ....crd_like_specs.outputs import OUTPUTS_DIR
from ....crd_like_specs.parameters import ParameterType
from ....crd_like_specs.template import GpuOverride, Overrides, ResourcesOverride, Template
from ...templates import TemplateRun
from . import models
from .models import JobRunnerOptions
from .time_limits import parse_time_limit, show_time_limit

GIB: Final = 1 << 30

OWN: Final = frozenset(
    {
        *("dataset_sha", "command_key", "params_json"),
        *("gpus", "cpus", "mem_gb", "time_limit"),
    }
)
"""Fields that say more than a parameter."""

RENAMED: Final = {"args": "arguments"}
"""Words of params_json that that system's own commands know by another name."""

_WHOLE: Final = re.compile(r"[0-9]{1,9}")


def run_of(
    form: Mapping[str, str], template: Template, number: int, options: JobRunnerOptions
) -> TemplateRun:
    """The run with this id. ValidationError names the form's fields."""
    problems: list[Problem] = []
    extra = _params(form.get("params_json") or "{}", problems)
    told = _told(extra, problems)
    gpus = _whole(form, "gpus", 1, problems)
    cpus = _whole(form, "cpus", 4, problems, least=1)
    memory = _whole(form, "mem_gb", 16, problems, least=1)
    digest = dataset_digest(form.get("dataset_sha", ""), problems)
    seconds = _duration(form.get("time_limit") or "04:00:00", options, problems)
    if problems:
        raise ValidationError(problems)
    known = {one.name: one.type for one in template.spec.parameters}
    params: dict[str, Any] = {}
    for name, value in extra.items():
        meant = name if name in known else RENAMED.get(name, name)
        if meant in known:
            params[meant] = value
    params |= {name: value for name, value in form.items() if name not in OWN}
    env = {models.PARAMS: told, "RESULT_DIR": OUTPUTS_DIR}
    mounts: tuple[DatasetMount, ...] = ()
    if digest:
        mount = DatasetMount.model_validate({"digest": digest})
        takes = [name for name, kind in known.items() if kind is ParameterType.DATASET]
        if takes:
            params[takes[0]] = digest
        else:
            mounts = (mount,)
        env["DATASET_DIR"] = _path(template, takes, mount)
    overrides = Overrides(
        gpu=GpuOverride(count=gpus, type=options.gpu_type if gpus else None),
        resources=ResourcesOverride(
            cpus=cpus,  # cores, as in files
            memory=memory * GIB,
        ),
        duration=seconds,
        env=env,
        datasets=mounts,
        experiment=_experiment(extra, number),
    )
    return TemplateRun(
        template=template.metadata.name,
        params=params,
        overrides=overrides,
        name=models.name_of(number),
        labels={models.LABEL: models.VALUE},
    )


def dataset_digest(sha: str, problems: list[Problem] | None = None) -> str:
    """`sha256:<hex>` of the form's field, "" for none; what is wrong goes to `problems`."""
    if not sha:
        return ""
    if re.fullmatch(r"[0-9a-fA-F]{64}", sha):
        return f"sha256:{sha.lower()}"
    wrong = Problem(f"{sha!r:.80} is given, expected 64 hex digits of a SHA-256", "dataset_sha")
    if problems is None:
        raise ValidationError([wrong])
    problems.append(wrong)
    return ""


def _path(template: Template, takes: list[str], mount: DatasetMount) -> str:
    """Where the job finds it."""
    paths = [one.path for one in template.spec.parameters if one.name in takes[:1]]
    return next(filter(None, paths), mount.path)


def _params(text: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    problems.append(Problem("is no JSON object", "params_json"))
    return {}


def _told(extra: Mapping[str, Any], problems: list[Problem]) -> str:
    """What the job finds in JR_PARAMS, which has to fit into one variable."""
    text = json.dumps(extra)
    problems += exec_limits.variable(models.PARAMS, text, "params_json")
    return text


def _whole(
    form: Mapping[str, str], name: str, default: int, problems: list[Problem], *, least: int = 0
) -> int:
    given = form.get(name, "") or str(default)
    if _WHOLE.fullmatch(given) and int(given) >= least:
        return int(given)
    problems.append(Problem(f"{given!r:.40} is given, expected a number from {least} on", name))
    return default


def _duration(text: str, options: JobRunnerOptions, problems: list[Problem]) -> int:
    try:
        seconds = parse_time_limit(text)
    except ValidationError as error:
        problems += error.problems
        return 1
    if seconds > options.max_time:
        most = show_time_limit(options.max_time)
        problems.append(Problem(f"{text} is given, expected at most {most}", "time_limit"))
    return seconds


def _experiment(extra: Mapping[str, Any], number: int) -> str:
    given = extra.get("experimentId")
    return given if isinstance(given, str) and given else models.experiment_of(number)
