"""How a function is to run, and the job that it makes. PURE."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ...crd_like_specs.errors import ValidationError
from .needs import Requirements, read_requirements

if TYPE_CHECKING:
    from ...crd_like_specs.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a function is to run.

    gpu_memory: fraction of one device's memory, 0 < gpu_memory <= 1, None without a GPU;
    gpu_count, gpu_type: devices, and their kind ("" any); duration: seconds, or text such as
    `90m`: the hard limit; requirements: see needs.py; cpus: cores, or text such as `500m`;
    ram: bytes, or text such as `4Gi`; retries: further attempts where a worker was lost;
    timeout: seconds that a caller waits for the result, None for ever;
    result: "json", or "arrays" for arrays (numpy, or what converts to it) that come back as
    arrays, bit by bit, in dicts, lists and tuples; trust_result: let the result be any Python
    object, unpickled here: only for jobs whose code you trust;
    idempotency_key: the same call with the same key is one job, also from another process, and
    another call with it a ConflictError; a map numbers its inputs behind it, so that one begun
    again takes up what is done;
    datasets: what it finds to read: names, `NAME:/PATH`, or as files have them; see
    `cumulus.sdk.runtime.dataset_dir`;
    progress: show what the job does on stderr, None where that is a terminal or a notebook;
    spec: any further field of a job's spec, as in a file.
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
    result: Literal["json", "arrays"] = "json"
    trust_result: bool = False
    idempotency_key: str | None = None
    datasets: Sequence[str | Mapping[str, str]] = ()
    progress: bool | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result_kind(self) -> str:
        """As the job is told: json, arrays or pickle."""
        return "pickle" if self.trust_result else self.result


def function_job(
    function: str, digest: str, options: Options, call: Mapping[str, Any], name: str = ""
) -> Job:
    """The job that makes this call. function: its name; digest: of its zip; name: of the job,
    made from the function's where it is "".

    ValidationError names every option that is wrong.
    """
    import pydantic  # noqa: PLC0415 (importing the SDK is to cost little)

    from ...api.walk import problems_of  # noqa: PLC0415 (same)
    from ...crd_like_specs.job import Job  # noqa: PLC0415 (same)
    from ...crd_like_specs.job_datasets import as_mounts  # noqa: PLC0415 (same)

    resources = {"cpus": options.cpus, "memory": options.ram}
    gpu = {"memory": options.gpu_memory, "count": options.gpu_count, "type": options.gpu_type}
    body = {
        "metadata": {"name": name or job_name(function)},
        "spec": {
            "code": {"digest": digest},
            "args": dict(call),
            "requirements": read_requirements(options.requirements),
            "gpu": None if options.gpu_memory is None else gpu,
            "duration": options.duration,
            "resources": {key: value for key, value in resources.items() if value is not None},
            "env": dict(options.env),
            "network": "Egress" if options.network else "None",
            "retry": {"limit": options.retries, "on": ["WorkerLost", "Rejected"], "backoff": 1},
            "datasets": as_mounts(options.datasets),
            **options.spec,
        },
    }
    try:
        return Job.model_validate(body)
    except pydantic.ValidationError as e:
        raise ValidationError(problems_of(e)) from e


def job_name(function: str) -> str:
    """A name that no other job has."""
    words = re.sub(r"[^a-z0-9]+", "-", function.lower()).strip("-") or "function"
    return f"{words[:40].rstrip('-')}-{uuid.uuid4().hex[:8]}"
