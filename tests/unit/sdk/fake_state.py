"""What the fake controller holds, and how its jobs go: `fake_server.py` answers by it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from cumulus.api import status
from cumulus.api.api_tokens import ApiToken, Caller
from cumulus.api.frames import LogRecord, LogStream, Resource, WatchItem, WatchType, WorkerUse
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc
from cumulus.api.happened import Happened
from cumulus.api.previews import Preview
from cumulus.crd_like_specs.errors import CumulusError, NotFoundError
from cumulus.crd_like_specs.job import Job, Phase
from grpc_status import rpc_status

NOW = 1_800_000_000.0


def record(
    attempt: int, sequence: int, text: str, stream: LogStream = LogStream.STDOUT
) -> LogRecord:
    return LogRecord(sequence, stream, NOW + sequence, text.encode(), attempt)


@dataclass
class Script:
    """How every job of the fake goes: its logs per attempt, its end and its envelope."""

    logs: dict[int, list[LogRecord]] = field(
        default_factory=lambda: {1: [record(1, i, f"line {i}\n") for i in range(3)]}
    )
    phase: Phase = Phase.SUCCEEDED
    envelope: bytes = b'{"status": "success", "result": {"answer": 42}}'
    status: dict[str, Any] = field(default_factory=lambda: {"finished_at": time.time()})
    piece: int = 16

    @property
    def last(self) -> int:
        return max(self.logs, default=1)


class FakeState(cumulus_pb2_grpc.CumulusServicer):
    """`cuts` breaks streams; `errors` answers calls with an error of our tree."""

    def __init__(self) -> None:
        self.script = Script()
        self.objects: dict[tuple[str, str], Resource] = {}
        self.blobs: dict[str, bytes] = {}
        self.keys: dict[str, Job] = {}
        self.errors: dict[str, CumulusError] = {}
        self.cuts: list[int] = []  # each stream ends after so many messages; then they go on
        self.cut_ends_well = False  # cut with a clean end of stream instead of UNAVAILABLE
        self.calls: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.changes: list[WatchItem] = []
        self.uses: list[WorkerUse] = []
        self.happened: list[Happened] = []
        self.preview = Preview((), NOW)
        self.tokens: list[ApiToken] = []
        self.caller = Caller()
        self.floor = 0  # watches from below it have expired
        self.never_ends = False  # jobs stay Running
        self.gap: tuple[int, int] | None = None  # records [a, b) of the log are not kept
        self.python = ""  # of the job image
        self.version = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()

    # For tests

    def put(self, obj: Resource) -> Resource:
        """Store a new version, told to watchers."""
        with self.changed:
            self.version += 1
            meta = obj.metadata.model_copy(update={"resource_version": self.version})
            obj = obj.model_copy(update={"metadata": meta})
            key = (obj.kind, meta.name)
            kind = WatchType.MODIFIED if key in self.objects else WatchType.ADDED
            self.objects[key] = obj
            self.changes.append(WatchItem(kind, obj, self.version))
            self.changed.notify_all()
            return obj

    def happen(self, type_: str, kind: str, name: str, **fields: Any) -> None:
        """One more event."""
        with self.changed:
            sequence = len(self.happened) + 1
            event = Happened(type_, kind, name, sequence=sequence, time=NOW + sequence, **fields)
            self.happened.append(event)
            self.changed.notify_all()

    def drop(self, kind: str, name: str) -> None:
        with self.changed:
            self.version += 1
            gone = self.objects.pop((kind, name))
            self.changes.append(WatchItem(WatchType.DELETED, gone, self.version))
            self.changed.notify_all()

    def called(self, method: str) -> list[Any]:
        return [request for name, request in self.calls if name == method]

    # For every call

    def _enter(self, method: str, request: Any, context: Any) -> None:
        self.calls.append((method, request))
        self.metadata.append(dict(context.invocation_metadata()))
        if method in self.errors:
            self._fail(self.errors[method], context)

    def _find(self, kind: str, name: str, context: Any) -> Any:
        for (its_kind, its_name), obj in self.objects.items():
            if its_kind == kind and name in (its_name, obj.metadata.uid):
                return obj
        self._fail(NotFoundError(f"{kind.lower()} {name!r} not found"), context)
        return None

    def _fail(self, error: CumulusError, context: Any) -> None:
        context.abort_with_status(rpc_status.to_status(status.to_grpc(error)))

    def _store(self, job: Resource) -> Any:
        uid = hashlib.md5(job.metadata.name.encode()).hexdigest()
        meta = job.metadata.model_copy(update={"uid": uid, "creation_timestamp": NOW})
        old = self.objects.get(("Job", meta.name))
        if isinstance(old, Job) and isinstance(job, Job):  # its status is still the old run's
            meta = meta.model_copy(update={"generation": old.metadata.generation + 1})
            job = job.model_copy(update={"status": old.status})
        return self.put(job.model_copy(update={"metadata": meta}))

    def _cut(self, messages: Iterator[Any], context: Any) -> Iterator[Any]:
        limit = self.cuts.pop(0) if self.cuts else -1
        for count, message in enumerate(messages):
            if count == limit:
                if self.cut_ends_well:
                    return
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield message
