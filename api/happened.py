"""What happened, as plain frozen values, and which of it somebody asks for. Pure; no protos.

Kept by the controller's `runtime/events.py`; carried by `convert_events.py`; read by the SDK.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..crd_like_specs.errors import ValidationError
from .gen.cumulus.v1 import events_pb2 as pb

TYPES = frozenset(
    {
        # of a job
        "Submitted", "Changed", "CancelAsked", "DeleteAsked", "Extended",
        "Placed", "Waiting", "Starting", "Running", "Retrying", "Stopping", "Suspended",
        "Succeeded", "Failed", "TimedOut", "Cancelled", "Deleted",
        # of a lease
        "LeaseHeld", "LeaseEnding", "LeaseEnded", "LeaseFailed",
        # of a worker
        "WorkerJoined", "WorkerReady", "WorkerLost", "WorkerChanged", "WorkerRemoved",
        # of a template
        "TemplateChanged", "TemplateDeleted",
        # of who may call
        "TokenCreated", "TokenRevoked", "QuotaChanged",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happened:
    """One event. sequence: rises, never comes again, may have gaps; time: POSIX seconds of the
    controller; kind: Job, Lease, Worker, Token or Project; uid: of the job; by: who asked for it, "" for the
    controller itself; owner: of the job, which decides who sees it, and stays with the controller.
    """

    type: str
    kind: str
    name: str
    message: str = ""
    warning: bool = False
    uid: str = ""
    attempt: int = 0
    worker: str = ""
    by: str = ""
    owner: str = field(default="", compare=False)
    sequence: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What is asked for. job: name or uid, its leases too; since: POSIX seconds; after: only those
    behind this sequence number; tail: only the last so many of those there are, 0: all; watch: go
    on with each new one.
    """

    job: str = ""
    worker: str = ""
    types: frozenset[str] = frozenset()
    since: float = 0.0
    after: int = 0
    tail: int = 0
    watch: bool = False
    warnings: bool = False

    def takes(self, event: Happened) -> bool:
        """Whether it is asked for."""
        return (
            event.sequence > self.after
            and event.time >= self.since
            and (not self.types or event.type in self.types)
            and (not self.warnings or event.warning)
            and (not self.worker or self.worker == event.worker)
            and (not self.job or self.job in (event.name, event.uid))
        )

    def checked(self) -> EventQuery:
        """The same. ValidationError for a type that there is not."""
        unknown = sorted(self.types - TYPES)
        if unknown:
            raise ValidationError(
                f"there is no event type {unknown[0]!r:.60}: expected {', '.join(sorted(TYPES))}"
            )
        return self


def query_to_proto(query: EventQuery) -> pb.EventsRequest:
    """What is asked for."""
    return pb.EventsRequest(
        job=query.job,
        worker=query.worker,
        types=sorted(query.types),
        since=query.since,
        after=query.after,
        tail=query.tail,
        watch=query.watch,
        warnings=query.warnings,
    )


def query_from_proto(message: pb.EventsRequest) -> EventQuery:
    """The inverse. ValidationError."""
    if message.tail < 0 or message.after < 0:
        raise ValidationError("tail and after: expected 0 or more")
    return EventQuery(
        job=message.job,
        worker=message.worker,
        types=frozenset(message.types),
        since=message.since,
        after=message.after,
        tail=message.tail,
        watch=message.watch,
        warnings=message.warnings,
    ).checked()


def happened_to_proto(event: Happened) -> pb.EventRecord:
    """One event, without its owner."""
    return pb.EventRecord(
        sequence=event.sequence,
        time=event.time,
        type=event.type,
        warning=event.warning,
        kind=event.kind,
        name=event.name,
        uid=event.uid,
        attempt=event.attempt,
        worker=event.worker,
        message=event.message,
        by=event.by,
    )


def happened_from_proto(message: pb.EventRecord) -> Happened:
    """The inverse."""
    return Happened(
        sequence=message.sequence,
        time=message.time,
        type=message.type,
        warning=message.warning,
        kind=message.kind,
        name=message.name,
        uid=message.uid,
        attempt=message.attempt,
        worker=message.worker,
        message=message.message,
        by=message.by,
    )
