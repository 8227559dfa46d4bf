"""What that system sends, and how it follows from our jobs, datasets and outputs. Pure.

Its field names; statuses PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, CANCELLED; times as SQLite
writes them, `YYYY-MM-DD HH:MM:SS` in UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel

from ....crd_like_specs.archives.entries import Format
from ....crd_like_specs.dataset import Dataset
from ....crd_like_specs.errors import NotFoundError
from ....crd_like_specs.job import LONGEST, Job, Phase
from ....crd_like_specs.template import ANNOTATION
from ...outputs import Output

LABEL: Final = "cumulus.dev/face"
VALUE: Final = "jobrunner"
"""What marks the jobs that came this way; this face knows no others."""

PARAMS: Final = "JR_PARAMS"
"""Environment variable of a job with its params_json, as that system's scripts read it."""

_NAME: Final = re.compile(r"jobrunner-([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class JobRunnerOptions:
    """gpu_type: of the devices that jobs ask for, "" any; max_time: seconds of the longest job;
    import_from: what relative paths of imports are below, `s3://bucket/` or `mount://root/`, "" where
    there is nothing to import from; mount: folder under which clients know it.
    """

    gpu_type: str = ""
    max_time: int = min(7 * 86400, LONGEST)
    import_from: str = ""
    mount: str = "/mnt/b2"


class HealthBody(BaseModel):
    """ok: it answers; slurm: jobs can be started; b2_mounted: there is something to import from."""

    ok: bool
    slurm: bool
    b2_mounted: bool


class DatasetInfo(BaseModel):
    """bytes: of its files."""

    sha256: str
    rel_path: str
    bytes: int
    created_at: str


class Exists(BaseModel):
    """info: where it exists."""

    exists: bool
    info: DatasetInfo | None = None


class Uploaded(BaseModel):
    """What is kept now."""

    sha256: str
    stored_path: str
    bytes: int


class Submitted(BaseModel):
    """job_id: by which the job is asked for."""

    job_id: int
    status: str


class Meta(BaseModel):
    """As the job was submitted."""

    slurm_id: int
    dataset_sha: str
    command_key: str
    params_json: str
    result_dir: str
    log_path: str
    created_at: str


class JobStatusBody(BaseModel):
    """done: nothing follows; message: why it is so."""

    job_id: int
    status: str
    done: bool
    message: str
    meta: Meta


class OutputRow(BaseModel):
    """job_id: null where the job did not come this way."""

    experiment_id: str
    output_id: str
    path: str
    job_id: int | None
    created_at: str
    bytes: int
    sha256: str


class JobOutputs(BaseModel):
    """message: what was not kept, and why."""

    job_id: int
    result_dir: str
    outputs: list[OutputRow]
    message: str


class OutputRows(BaseModel):
    """Those that were asked for."""

    outputs: list[OutputRow]


class Indexed(BaseModel):
    """count: files."""

    experiment_id: str | None
    count: int


def name_of(number: int) -> str:
    """The job with this id."""
    return f"{VALUE}-{number}"


def number_of(name: str) -> int | None:
    """The id of the job of this name, None where it did not come this way."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def asked_name(job_id: str) -> str:
    """The name of the job with this id. NotFoundError for what is no id."""
    name = f"{VALUE}-{job_id}"
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"job {job_id:.40} not found", job_id=job_id[:40])
    return name


def experiment_of(number: int) -> str:
    """By which its outputs are found, unless it says otherwise."""
    return f"job-{number}"


_STATUS: Final = {
    Phase.RUNNING: "RUNNING",
    Phase.SUCCEEDED: "COMPLETED",
    Phase.FAILED: "FAILED",
    Phase.TIMED_OUT: "TIMEOUT",
    Phase.CANCELLED: "CANCELLED",
}


def status_of(job: Job) -> str:
    """Of the six."""
    return _STATUS.get(job.status.phase, "PENDING")


def job_body(job: Job) -> dict[str, Any]:
    """A `JobStatusBody`."""
    number = number_of(job.metadata.name) or 0
    digests = [mount.digest for mount in job.spec.datasets]
    meta = Meta(
        slurm_id=number,
        dataset_sha=sha_of(digests[0]) if digests else "",
        command_key=job.metadata.annotations.get(ANNOTATION, ""),
        params_json=job.spec.env.get(PARAMS, "{}"),
        result_dir=result_dir(number),
        log_path=f"logs/slurm-{number}.out",
        created_at=when(job.metadata.creation_timestamp),
    )
    body = JobStatusBody(
        job_id=number,
        status=status_of(job),
        done=job.status.phase.terminal,
        message=job.status.message,
        meta=meta,
    )
    return body.model_dump()


def result_dir(number: int) -> str:
    """Where that system would have it."""
    return f"results/job-{number}"


def stored_path(dataset: Dataset) -> str:
    """A folder for an archive, else the file in it."""
    spec = dataset.spec
    return f"{sha_of(spec.digest)}/{spec.filename if spec.format is Format.FILE else ''}"


def size_of(dataset: Dataset) -> int:
    """Bytes of its files."""
    unpacked = dataset.spec.format is not Format.FILE
    return dataset.status.extracted_bytes if unpacked else dataset.spec.size


def info_of(dataset: Dataset) -> DatasetInfo:
    """What `exists` tells."""
    return DatasetInfo(
        sha256=sha_of(dataset.spec.digest),
        rel_path=stored_path(dataset),
        bytes=size_of(dataset),
        created_at=when(dataset.metadata.creation_timestamp),
    )


def uploaded(dataset: Dataset) -> Uploaded:
    """What an upload or import made."""
    return Uploaded(
        sha256=sha_of(dataset.spec.digest),
        stored_path=stored_path(dataset),
        bytes=size_of(dataset),
    )


def rows(outputs: Iterable[Output]) -> list[OutputRow]:
    """As that system's table has them."""
    return [
        OutputRow(
            experiment_id=one.experiment,
            output_id=one.id,
            path=one.path,
            job_id=number_of(one.job_name),
            created_at=when(one.modified_at),
            bytes=one.size,
            sha256=sha_of(one.digest),
        )
        for one in outputs
    ]


def sha_of(digest: str) -> str:
    """Without what says that it is one."""
    return digest.removeprefix("sha256:")


def when(seconds: float) -> str:
    """POSIX seconds as SQLite's CURRENT_TIMESTAMP."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def spaced(body: BaseModel) -> str:
    """JSON with blanks behind colons and commas, as scripts of that system look for it."""
    return json.dumps(body.model_dump(exclude_none=True))
