"""How templates are shown, and what `run --template` is given for one. PURE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job_datasets import as_mounts
from ...crd_like_specs.parameters import Parameter
from ...crd_like_specs.template import Bounds, Template

HEADER = ["NAME", "PARAMETERS", "RUNS", "DESCRIPTION"]
WIDE = ["DURATION", "GPU", "GENERATION"]


def row(template: Template, *, wide: bool) -> list[str]:
    """The cells of one."""
    spec = template.spec
    said = " ".join(spec.description.split())
    cells = [
        template.metadata.name,
        " ".join(f"{one.name}{'*' if one.required else ''}" for one in spec.parameters) or "-",
        _runs(template),
        said if wide or len(said) <= 60 else f"{said[:59]}…",
    ]
    if wide:
        job = spec.job.to_dict()
        gpu = spec.job.gpu
        share = "-" if gpu is None else f"{gpu.count}x{gpu.memory / 1000:g}"
        cells += [str(job["duration"]), share, str(template.metadata.generation)]
    return cells


def described(template: Template) -> list[tuple[str, str]]:
    """What there is to say of one, but for its parameters."""
    spec = template.spec
    job = spec.job.to_dict()
    return [
        ("Description", " ".join(spec.description.split())),
        ("Runs", _runs(template)),
        ("Arguments", json.dumps(job["args"], ensure_ascii=False) if job.get("args") else ""),
        ("Duration", str(job["duration"])),
        ("Bounds", _bounds(spec.bounds)),
        ("Generation", str(template.metadata.generation)),
    ]


def parameters(template: Template) -> list[list[str]]:
    """A table of them, empty where there are none."""
    rows = [
        [one.name, one.type.value, _default(one), _limits(one), one.description or "-"]
        for one in template.spec.parameters
    ]
    return [["PARAMETER", "TYPE", "DEFAULT", "EXPECTED", "DESCRIPTION"], *rows] if rows else []


def given(pairs: Sequence[str]) -> dict[str, Any]:
    """`["epochs=3"]` → `{"epochs": "3"}`; a name that is given again makes a list of its values.
    ValidationError for what is no pair.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, mark, text = pair.partition("=")
        if not mark or not name:
            raise ValidationError(f"-p {pair!r:.80}: expected NAME=VALUE")
        if name in found:
            known = found[name]
            found[name] = [*known, text] if isinstance(known, list) else [known, text]
        else:
            found[name] = text
    return found


def overrides(
    *,
    gpu: str | None,
    cpus: str | None,
    memory: str | None,
    duration: str | None,
    env: Sequence[str],
    datasets: Sequence[str],
) -> dict[str, Any]:
    """As a file would have them. gpu: fraction of a device, 0 for none; env: `NAME=VALUE`;
    datasets: `NAME[:PATH]`, or a digest. ValidationError.
    """
    body: dict[str, Any] = {}
    if gpu is not None:
        body["gpu"] = {"count": 0} if gpu in ("0", "none") else {"memory": gpu}
    resources = {key: one for key, one in (("cpus", cpus), ("memory", memory)) if one is not None}
    if resources:
        body["resources"] = resources
    if duration is not None:
        body["duration"] = duration
    variables: dict[str, str] = {}
    for pair in env:
        name, mark, text = pair.partition("=")
        if not mark or name in variables:
            raise ValidationError(f"--env {pair!r:.80}: expected NAME=VALUE, each name once")
        variables[name] = text
    if variables:
        body["env"] = variables
    if datasets:
        body["datasets"] = as_mounts(datasets)
    return body


def _runs(template: Template) -> str:
    job = template.spec.job
    if job.image is not None:
        return " ".join([job.image, *job.command])
    return f"code in runtime {job.runtime}" if job.runtime else "code"


def _default(one: Parameter) -> str:
    if one.required:
        return "(required)"
    return json.dumps(one.preset, ensure_ascii=False)


def _limits(one: Parameter) -> str:
    if one.choices:
        return " | ".join(one.choices)
    if one.pattern:
        return f"text like {one.pattern}"
    low = "" if one.minimum is None else f"{one.minimum:g}"
    high = "" if one.maximum is None else f"{one.maximum:g}"
    return f"{low}..{high}" if low or high else "-"


def _bounds(bounds: Bounds) -> str:
    return ", ".join(f"{name} {_said(limit)}" for name, limit in bounds.to_dict().items())


def _said(limit: Any) -> str:
    return " ".join(limit) or "none" if isinstance(limit, list) else str(limit)
