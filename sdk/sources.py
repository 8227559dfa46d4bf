"""From what a user points at to jobs ready to send, with their code packed. Reads files.

Called by `client.py` and the command line. ValidationError names every problem with its place.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pydantic

from ..api.frames import Resource
from ..api.walk import problems_of
from ..crd_like_specs import codec, packing
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.job import Job
from ..crd_like_specs.job_datasets import as_mounts
from ..crd_like_specs.template import Template
from .functions.needs import Requirements, read_requirements

digest = packing.digest


@dataclass(frozen=True, slots=True)
class Source:
    """A document and, for a job or template with code, the zip that its digest names."""

    resource: Resource
    code: bytes | None = None

    @property
    def is_job(self) -> bool:
        """Whether it is something that runs."""
        return isinstance(self.resource, Job)


def load(paths: Sequence[str], stdin: BinaryIO, *, pack: bool = True) -> list[Source]:
    """Every document of these files and folders (`-`: stdin), in order, packed if asked to."""
    found: list[Source] = []
    problems: list[Problem] = []
    for one in codec.load_sources(paths, stdin):
        try:
            found.append(_packed(one.resource, one.folder) if pack else Source(one.resource))
        except ValidationError as e:  # about the code: said with the document that names it
            place = f"{one.file}:{one.line}"
            problems += [
                replace(p, file=": ".join(filter(None, (place, p.file)))) for p in e.problems
            ]
    if problems:
        raise ValidationError(problems)
    return found


def one_job(job: Job | str | Path | Mapping[str, Any]) -> tuple[Job, bytes | None]:
    """A job, what a file would hold of one, or the only one of a file; and its code packed.

    Relative paths of code start where the file is, or at the working directory.
    """
    if isinstance(job, Mapping):
        job = _made(dict(job))
    if isinstance(job, Job):
        return packing.resolve_code(job, Path.cwd())
    found = load([str(job)], io.BytesIO())
    first = found[0].resource if len(found) == 1 else None
    if not isinstance(first, Job):
        raise ValidationError(
            f"{str(job)!r} holds {len(found)} documents: expected exactly one Job"
        )
    return first, found[0].code


def folder_job(
    path: Path,
    *,
    name: str | None,
    gpu_memory: float | str | None,
    duration: float | str,
    requirements: Requirements,
    args: list[Any] | dict[str, Any] | None,
    datasets: Sequence[str | Mapping[str, str]] = (),
) -> Job:
    """A job that runs the main() of this folder's (or zip's) main.py.

    name: the folder's with a random end where not given; gpu_memory: None without a GPU; datasets:
    names, `NAME:/PATH`, or as files have them; requirements: beside the folder's own.
    """
    body = {
        "metadata": {"name": name or _name(path)},
        "spec": {
            "code": {"path": str(path.absolute())},
            "requirements": list(read_requirements(requirements)),
            "gpu": None if gpu_memory is None else {"memory": gpu_memory},
            "duration": duration,
            "args": [] if args is None else args,
            "datasets": as_mounts(datasets),
        },
    }
    return _made(body)


def _made(body: dict[str, Any]) -> Job:
    try:
        return Job.model_validate(body)
    except pydantic.ValidationError as e:
        raise ValidationError(problems_of(e)) from e


def _name(path: Path) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", path.absolute().stem.lower()).strip("-") or "job"
    return f"{words[:40].rstrip('-')}-{uuid.uuid4().hex[:6]}"


def _packed(resource: Resource, folder: Path) -> Source:
    if isinstance(resource, Template):
        template, code = packing.resolve_template(resource, folder)
        return Source(template, code)
    if not isinstance(resource, Job):
        return Source(resource)
    job, code = packing.resolve_code(resource, folder)
    return Source(job, code)
