"""Bodies of `/v1` beside the resources themselves, and how they are made. Pure.

Fields are called as in YAML files: camelCase. Times are POSIX seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import Field

from ....crd_like_specs.job import Job, WorkerReason
from ....crd_like_specs.lease import Lease
from ....crd_like_specs.meta import Model
from ....crd_like_specs.source import Source
from ....crd_like_specs.worker import Worker
from ...api_tokens import Caller
from ...frames import Applied, LogRecord, Page, Resource, WatchItem, WorkerUse
from ...happened import Happened
from ...previews import Preview


class JobLine(Model):
    """A job in a list. devices: their indexes on the worker."""

    name: str
    uid: str
    owner: str
    labels: dict[str, str]
    phase: str
    reason: str
    message: str
    attempt: int
    worker: str
    devices: list[int]
    submitted_at: float
    started_at: float
    expires_at: float
    finished_at: float


class JobLines(Model):
    """A page of jobs. resource_version: watch from here; continue: what the next page is asked
    with, "" at the end.
    """

    items: list[JobLine | Job]
    resource_version: int
    continue_: str = Field(alias="continue")


class Leases(Model):
    """A page of leases; as for jobs."""

    items: list[Lease]
    resource_version: int
    continue_: str = Field(alias="continue")


class Workers(Model):
    """A page of workers; as for jobs."""

    items: list[Worker]
    resource_version: int
    continue_: str = Field(alias="continue")


class Sources(Model):
    """A page of sources; as for jobs."""

    items: list[Source]
    resource_version: int
    continue_: str = Field(alias="continue")


class AppliedBody(Model):
    """What an apply did. outcome: created, configured or unchanged; reruns: it defines a new run."""

    outcome: str
    reruns: bool
    resource: Resource


class AppliedList(Model):
    """One for each document, in their order."""

    results: list[AppliedBody]


class WhyBody(Model):
    """Why a job waits, or what became of it, in one sentence and worker by worker."""

    job: Job
    summary: str
    workers: list[WorkerReason]


class ExpectedBody(Model):
    """Whether and when it would start. when: now, later, never, unknown or nothing; at, ends: 0
    where unknown.
    """

    when: str
    at: float
    ends: float
    worker: str
    devices: list[int]
    reason: str
    workers: list[WorkerReason]


class PlannedBody(Model):
    """What would become of one object. change: created, changed, replaced, unchanged, pruned or
    refused.
    """

    change: str
    before: Resource | None = None
    after: Resource | None = None
    problems: list[str]
    expected: ExpectedBody | None = None


class PlanBody(Model):
    """Everything that an apply would do."""

    changes: list[PlannedBody]
    now: float


class Extension(Model):
    """seconds: by how much a job may last longer."""

    seconds: int = Field(ge=1, le=1 << 40, strict=True)


class Cordon(Model):
    """cordoned: it takes no further jobs; drain: those it has are ended, too."""

    cordoned: bool = True
    drain: bool = False


class Fence(Model):
    """fenced: nothing runs there, on the operator's word."""

    fenced: bool = True


class CallerBody(Model):
    """Who calls. name: "" where it has none; role: "" where no tokens are configured; id: of the
    token, "" for one of the configuration; expires_at: 0 for never; project: whose jobs it submits;
    permissions: beyond its role.
    """

    name: str
    role: str
    id: str
    expires_at: float
    project: str = ""
    permissions: tuple[str, ...] = ()


class JobUseBody(Model):
    """What a running attempt uses. cpus: cores lately, -1 before it is known; the rest: bytes."""

    unit: str
    job: str
    attempt: int
    cpus: float
    cpu_seconds: float
    memory: int
    memory_peak: int
    gpu_memory: int


class DeviceUseBody(Model):
    """memory_used: bytes; utilization_milli: thousandths, -1 where unknown."""

    index: int
    memory_used: int
    utilization_milli: int


class WorkerUseBody(Model):
    """What a worker uses now. disk_free: bytes."""

    worker: str
    seen_at: float
    disk_free: int
    jobs: list[JobUseBody]
    devices: list[DeviceUseBody]


class Usage(Model):
    """Of the workers heard of lately."""

    workers: list[WorkerUseBody]


class EventBody(Model):
    """What happened. sequence: rises, also to be asked `after`; by: who asked for it."""

    sequence: int
    time: float
    type: str
    warning: bool
    kind: str
    name: str
    uid: str
    attempt: int
    worker: str
    message: str
    by: str


class Events(Model):
    """Oldest first."""

    items: list[EventBody]


class Info(Model):
    """What this controller is. python: of the job image, "" where unknown."""

    version: str
    platform: str
    image: str
    workers: int
    active_jobs: int
    notices: list[str]
    python: str


class CodeBody(Model):
    """A code zip that is here. size: bytes; existed: it was here before."""

    digest: str
    size: int
    existed: bool


def job_line(item: Resource) -> dict[str, Any]:
    """A `JobLine`."""
    assert isinstance(item, Job)
    status = item.status.to_dict()
    words = ("phase", "reason", "message", "attempt", "worker", "devices")
    times = ("submittedAt", "startedAt", "expiresAt", "finishedAt")
    return {
        "name": item.metadata.name,
        "uid": item.metadata.uid,
        "owner": item.metadata.owner,
        "labels": item.metadata.labels,
        **{key: status[key] for key in (*words, *times)},
    }


def page(found: Page, *, lines: bool = False) -> dict[str, Any]:
    """A page of any kind. lines: of jobs, what a list shows of each."""
    return {
        "items": [job_line(item) if lines else item.to_dict() for item in found.items],
        "resourceVersion": found.resource_version,
        "continue": found.continue_token,
    }


def applied(one: Applied) -> dict[str, Any]:
    """An `AppliedBody`."""
    resource = one.resource.to_dict()
    return {"outcome": one.outcome.value, "reruns": one.reruns, "resource": resource}


def plan(preview: Preview) -> dict[str, Any]:
    """A `PlanBody`."""
    changes = []
    for one in preview.changes:
        body: dict[str, Any] = {"change": one.change.value, "problems": list(one.problems)}
        if one.before is not None:
            body["before"] = one.before.to_dict()
        if one.after is not None:
            body["after"] = one.after.to_dict()
        if (known := one.expected) is not None:
            body["expected"] = {
                "when": known.when.value,
                "at": known.at,
                "ends": known.ends,
                "worker": known.worker,
                "devices": list(known.devices),
                "reason": known.reason,
                "workers": [reason.to_dict() for reason in known.workers],
            }
        changes.append(body)
    return {"changes": changes, "now": preview.now}


def usage(found: Iterable[WorkerUse]) -> dict[str, Any]:
    """A `Usage`."""
    return Usage(workers=[WorkerUseBody(**asdict(use)) for use in found]).to_dict()


def happened(event: Happened) -> dict[str, Any]:
    """An `EventBody`, without its owner."""
    fields = asdict(event)
    del fields["owner"]
    return fields


def caller(one: Caller) -> dict[str, Any]:
    """A `CallerBody`."""
    return CallerBody(**asdict(one)).to_dict()


def log_record(record: LogRecord) -> dict[str, Any]:
    """One record; data that is no UTF-8 has replacement characters."""
    return {
        "sequence": record.sequence,
        "stream": record.stream.value,
        "time": record.time,
        "data": record.data.decode("utf-8", "replace"),
        "attempt": record.attempt,
    }


def watch_item(item: WatchItem) -> dict[str, Any]:
    """One change."""
    return {
        "type": item.type.value,
        "resource": item.resource.to_dict() if item.resource is not None else None,
        "resourceVersion": item.resource_version,
    }
