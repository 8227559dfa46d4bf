"""Between the client-facing protos and our own values, both ways. Pure.

Called by the servicers and the SDK. `x_to_proto` and `x_from_proto` are inverse to each other
for every value that the models allow (property-tested). Errors: ValidationError only. A frame
of a kind that this version does not know comes back as None, so that newer peers may send it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

from ..crd_like_specs.dataset import Dataset
from ..crd_like_specs.errors import ValidationError
from ..crd_like_specs.job import Job, WorkerReason
from ..crd_like_specs.lease import Lease
from ..crd_like_specs.source import Source
from ..crd_like_specs.template import Template
from ..crd_like_specs.worker import Worker
from . import frames as f
from .gen.cumulus.v1 import cumulus_pb2 as pb
from .gen.cumulus.v1 import resources_pb2 as res
from .walk import from_message, to_message

EnumT = TypeVar("EnumT", bound=Enum)

_STREAMS = {number: f.LogStream[name] for name, number in pb.LogRecord.Stream.items() if number}

KINDS = ("Job", "Lease", "Worker", "Source", "Template", "Dataset")


def job_to_proto(job: Job) -> res.Job:
    """The whole job, status included."""
    return to_message(job, res.Job)


def job_from_proto(message: res.Job) -> Job:
    """The inverse; what is not given takes its default."""
    return from_message(message, Job)


def lease_to_proto(lease: Lease) -> res.Lease:
    """The whole lease."""
    return to_message(lease, res.Lease)


def lease_from_proto(message: res.Lease) -> Lease:
    """The inverse."""
    return from_message(message, Lease)


def worker_to_proto(worker: Worker) -> res.Worker:
    """The whole worker."""
    return to_message(worker, res.Worker)


def worker_from_proto(message: res.Worker) -> Worker:
    """The inverse."""
    return from_message(message, Worker)


def dataset_to_proto(dataset: Dataset) -> res.Dataset:
    """The whole dataset."""
    return to_message(dataset, res.Dataset)


def dataset_from_proto(message: res.Dataset) -> Dataset:
    """The inverse."""
    return from_message(message, Dataset)


def resource_to_proto(resource: f.Resource) -> res.Resource:
    """Wrapped in the oneof of its kind."""
    if isinstance(resource, Job):
        return res.Resource(job=job_to_proto(resource))
    if isinstance(resource, Lease):
        return res.Resource(lease=lease_to_proto(resource))
    if isinstance(resource, Source):
        return res.Resource(source=to_message(resource, res.Source))
    if isinstance(resource, Dataset):
        return res.Resource(dataset=dataset_to_proto(resource))
    if isinstance(resource, Template):
        return res.Resource(template=to_message(resource, res.Template))
    return res.Resource(worker=worker_to_proto(resource))


def resource_from_proto(message: res.Resource) -> f.Resource:
    """ValidationError where none of the known kinds is set."""
    kind = message.WhichOneof("object")
    if kind == "job":
        return job_from_proto(message.job)
    if kind == "lease":
        return lease_from_proto(message.lease)
    if kind == "worker":
        return worker_from_proto(message.worker)
    if kind == "source":
        return from_message(message.source, Source)
    if kind == "dataset":
        return dataset_from_proto(message.dataset)
    if kind == "template":
        return from_message(message.template, Template)
    raise ValidationError(f"no resource is given: expected one of {', '.join(KINDS)}")


def log_to_proto(record: f.LogRecord) -> pb.LogRecord:
    """One log record of a job."""
    return pb.LogRecord(
        sequence=record.sequence,
        stream=record.stream.name,
        time=record.time,
        data=record.data,
        attempt=record.attempt,
    )


def log_from_proto(message: pb.LogRecord) -> f.LogRecord:
    """The inverse; an unknown stream counts as SYSTEM."""
    return f.LogRecord(
        sequence=message.sequence,
        stream=_STREAMS.get(message.stream, f.LogStream.SYSTEM),
        time=message.time,
        data=message.data,
        attempt=message.attempt,
    )


def event_to_proto(event: f.JobEvent) -> pb.JobEvent:
    """One frame of Submit and Follow."""
    if isinstance(event, f.State):
        return pb.JobEvent(state=job_to_proto(event.job))
    if isinstance(event, f.Log):
        return pb.JobEvent(log=log_to_proto(event.record))
    if isinstance(event, f.ResultChunk):
        return pb.JobEvent(result=pb.Chunk(data=event.data))
    return pb.JobEvent(finished=pb.Finished(job=job_to_proto(event.job)))


def event_from_proto(message: pb.JobEvent) -> f.JobEvent | None:
    """None for a kind of frame that is not known here."""
    kind = message.WhichOneof("event")
    if kind == "state":
        return f.State(job_from_proto(message.state))
    if kind == "log":
        return f.Log(log_from_proto(message.log))
    if kind == "result":
        return f.ResultChunk(message.result.data)
    if kind == "finished":
        return f.Finished(job_from_proto(message.finished.job))
    return None


def applied_to_proto(applied: f.Applied) -> pb.ApplyResponse:
    """What an apply did."""
    return pb.ApplyResponse(
        outcome=applied.outcome.name,
        resource=resource_to_proto(applied.resource),
        reruns=applied.reruns,
    )


def applied_from_proto(message: pb.ApplyResponse) -> f.Applied:
    """The inverse."""
    return f.Applied(
        outcome=_enum(f.Outcome, pb.ApplyResponse.Outcome, message.outcome),
        resource=resource_from_proto(message.resource),
        reruns=message.reruns,
    )


def page_to_proto(page: f.Page) -> pb.ListResponse:
    """Part of a list."""
    return pb.ListResponse(
        items=[resource_to_proto(item) for item in page.items],
        resource_version=page.resource_version,
        continue_token=page.continue_token,
    )


def page_from_proto(message: pb.ListResponse) -> f.Page:
    """The inverse."""
    return f.Page(
        items=tuple(resource_from_proto(item) for item in message.items),
        resource_version=message.resource_version,
        continue_token=message.continue_token,
    )


def watch_item_to_proto(item: f.WatchItem) -> pb.WatchEvent:
    """One change."""
    return pb.WatchEvent(
        type=item.type.name,
        resource=resource_to_proto(item.resource) if item.resource else None,
        resource_version=item.resource_version,
    )


def watch_item_from_proto(message: pb.WatchEvent) -> f.WatchItem:
    """The inverse."""
    return f.WatchItem(
        type=_enum(f.WatchType, pb.WatchEvent.Type, message.type),
        resource=resource_from_proto(message.resource) if message.HasField("resource") else None,
        resource_version=message.resource_version,
    )


def why_to_proto(why: f.Why) -> pb.WhyResponse:
    """Why a job waits."""
    return pb.WhyResponse(
        job=job_to_proto(why.job),
        summary=why.summary,
        workers=[to_message(reason, res.WorkerReason) for reason in why.workers],
    )


def why_from_proto(message: pb.WhyResponse) -> f.Why:
    """The inverse."""
    return f.Why(
        job=job_from_proto(message.job),
        summary=message.summary,
        workers=tuple(from_message(reason, WorkerReason) for reason in message.workers),
    )


def info_to_proto(info: f.ServerInfo) -> pb.ServerInfoResponse:
    """What the controller is."""
    return pb.ServerInfoResponse(
        version=info.version,
        platform=info.platform,
        image=info.image,
        workers=info.workers,
        active_jobs=info.active_jobs,
        notices=info.notices,
        python=info.python,
    )


def info_from_proto(message: pb.ServerInfoResponse) -> f.ServerInfo:
    """The inverse."""
    return f.ServerInfo(
        version=message.version,
        platform=message.platform,
        image=message.image,
        workers=message.workers,
        active_jobs=message.active_jobs,
        notices=tuple(message.notices),
        python=message.python,
    )


def _enum(values: type[EnumT], wrapper: Any, number: int) -> EnumT:
    names = dict(zip(wrapper.values(), wrapper.keys(), strict=True))
    name = names.get(number, "")
    if name not in values.__members__:
        raise ValidationError(f"{number} is no {values.__name__} that this version knows")
    return values[name]
