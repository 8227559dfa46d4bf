"""How a function is to run, and the job that it makes. PURE."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from ...api.walk import problems_of
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job import Job
from .code import FunctionCode
from .needs import Requirements, read_requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a function is to run.

    gpu_memory: fraction of one device's memory, 0 < gpu_memory <= 1, None without a GPU;
    gpu_count, gpu_type: devices, and their kind ("" any); duration: seconds, or text such as
    `90m`: the hard limit; requirements: see needs.py; cpus: cores, or text such as `500m`;
    ram: bytes, or text such as `4Gi`; retries: further attempts where a worker was lost;
    timeout: seconds that a caller waits for the result, None for ever; trust_result: let the
    result be any Python object, unpickled here: only for jobs whose code you trust; spec: any
    further field of a job's spec, as in a file.
    """

    gpu_memory: float | str | None = 0.5
    gpu_count: int = 1
    gpu_type: str = ""
    duration: float | str = 3600
    requirements: Requirements = None
    cpus: float | str | None = None
    ram: int | str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    retries: int = 3
    timeout: float | None = None
    trust_result: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)


def function_job(
    code: FunctionCode, options: Options, call: Mapping[str, Any], name: str = ""
) -> Job:
    """The job that makes this call. name: made from the function's where it is "".

    ValidationError names every option that is wrong.
    """
    resources = {"cpus": options.cpus, "memory": options.ram}
    gpu = {"memory": options.gpu_memory, "count": options.gpu_count, "type": options.gpu_type}
    body = {
        "metadata": {"name": name or job_name(code.name)},
        "spec": {
            "code": {"digest": code.digest},
            "args": dict(call),
            "requirements": read_requirements(options.requirements),
            "gpu": None if options.gpu_memory is None else gpu,
            "duration": options.duration,
            "resources": {key: value for key, value in resources.items() if value is not None},
            "env": dict(options.env),
            "network": "Egress" if options.network else "None",
            "retry": {"limit": options.retries, "on": ["WorkerLost", "Rejected"], "backoff": 1},
            **options.spec,
        },
    }
    try:
        return Job.model_validate(body)
    except pydantic.ValidationError as e:
        raise ValidationError(problems_of(e)) from e


def job_name(function: str, number: int | None = None) -> str:
    """A name that no other job has; number: of the input in a map."""
    words = re.sub(r"[^a-z0-9]+", "-", function.lower()).strip("-") or "function"
    tail = "" if number is None else f"-{number}"
    return f"{words[:40].rstrip('-')}-{uuid.uuid4().hex[:8]}{tail}"
