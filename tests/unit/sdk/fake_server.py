"""A scripted controller in this process, for the SDK's tests: real gRPC, no orchestration.

Synchronous on purpose: it runs in threads, so that nothing of it shares an event loop with what
is tested. `cuts` breaks streams; `errors` answers calls with an error of our tree.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import grpc
from cumulus.api import convert, status
from cumulus.api.api_tokens import ApiToken, Caller, token_to_proto
from cumulus.api.convert_usage import usage_to_proto
from cumulus.api.frames import (
    Applied,
    Finished,
    Log,
    LogRecord,
    LogStream,
    Outcome,
    Page,
    Resource,
    ResultChunk,
    ServerInfo,
    State,
    WatchItem,
    WatchType,
    Why,
    WorkerUse,
)
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc, tokens_pb2
from cumulus.api.happened import EventQuery, Happened, happened_to_proto, query_from_proto
from cumulus.api.previews import Preview, preview_to_proto
from cumulus.crd_like_specs.errors import CumulusError, ExpiredError, NotFoundError
from cumulus.crd_like_specs.job import Job, JobStatus, Phase, WorkerReason
from cumulus.crd_like_specs.lease import Lease
from cumulus.crd_like_specs.source import Source
from cumulus.crd_like_specs.worker import Worker
from grpc_status import rpc_status

KINDS = {"Job": Job, "Lease": Lease, "Worker": Worker, "Source": Source}
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


class FakeServer(cumulus_pb2_grpc.CumulusServicer):
    """See the module docstring."""

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
        self._server = grpc.server(ThreadPoolExecutor(8))
        cumulus_pb2_grpc.add_CumulusServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.stop(None).wait()

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

    def Extend(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Extend", request, context)
        job = self._find("Job", request.name, context)
        meta = job.metadata.model_copy(update={"extension": request.seconds})
        return convert.job_to_proto(self.put(job.model_copy(update={"metadata": meta})))

    def CreateToken(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("CreateToken", request, context)
        until = NOW + request.ttl if request.ttl else 0.0
        made = ApiToken("t1", request.name, request.role, NOW, until)
        return tokens_pb2.CreatedToken(secret="cmlt1.secret", token=token_to_proto(made))

    def RevokeToken(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("RevokeToken", request, context)
        found = [one for one in self.tokens if one.id == request.id]
        if not found:
            self._fail(NotFoundError(f"token {request.id!r} not found"), context)
        self.tokens = [one for one in self.tokens if one.id != request.id]
        return token_to_proto(found[0])

    def ListTokens(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("ListTokens", request, context)
        found = [token_to_proto(one) for one in self.tokens]
        return tokens_pb2.ListTokensResponse(tokens=found)

    def WhoAmI(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("WhoAmI", request, context)
        return tokens_pb2.WhoAmIResponse(**asdict(self.caller))

    def Plan(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Plan", request, context)
        return preview_to_proto(self.preview)

    def Events(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Events", request, context)
        query = query_from_proto(request)
        if query.job and not any(query.takes(event) for event in self.happened):
            self._find("Job", query.job, context)
        yield from self._cut(self._happened(query, context), context)

    def _happened(self, query: EventQuery, context: Any) -> Iterator[Any]:
        found = [event for event in self.happened if query.takes(event)]
        for event in found[-query.tail :] if query.tail else found:
            query = replace(query, after=event.sequence)
            yield happened_to_proto(event)
        while query.watch and context.is_active():
            with self.changed:
                found = [event for event in self.happened if query.takes(event)]
                if not found:
                    self.changed.wait(0.05)
            for event in found:
                query = replace(query, after=event.sequence)
                yield happened_to_proto(event)

    # Unary

    def Apply(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Apply", request, context)
        wanted = convert.resource_from_proto(request.resource)
        old = self.objects.get((wanted.kind, wanted.metadata.name))
        if old is not None and old.spec == wanted.spec:
            return convert.applied_to_proto(Applied(Outcome.UNCHANGED, old))
        outcome = Outcome.CREATED if old is None else Outcome.CONFIGURED
        if request.dry_run:
            return convert.applied_to_proto(Applied(outcome, wanted, reruns=True))
        return convert.applied_to_proto(Applied(outcome, self._store(wanted), reruns=True))

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Get", request, context)
        return convert.resource_to_proto(self._find(request.kind, request.name, context))

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("List", request, context)
        found = [obj for (kind, _), obj in self.objects.items() if kind == request.kind]
        if "=" in request.label_selector:
            key, value = request.label_selector.split("=")
            found = [obj for obj in found if obj.metadata.labels.get(key) == value]
        if request.phase:
            found = [obj for obj in found if obj.status.phase.value == request.phase]
        start = int(request.continue_token or 0)
        end = start + (request.limit or 2)
        token = str(end) if end < len(found) else ""
        return convert.page_to_proto(Page(tuple(found[start:end]), self.version, token))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Delete", request, context)
        job = self._find("Job", request.name, context)
        self.drop("Job", job.metadata.name)
        return pb.DeleteResponse(job=convert.job_to_proto(job))

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Cancel", request, context)
        return convert.job_to_proto(self._find("Job", request.name, context))

    def Why(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Why", request, context)
        job = self._find("Job", request.job, context)
        reasons = (
            WorkerReason(
                worker="gpu-1", reason="0.25 of a device is free, 0.5 is asked", ever=True
            ),
        )
        return convert.why_to_proto(Why(job, "waits for room", reasons))

    def Cordon(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Cordon", request, context)
        worker = self._find("Worker", request.worker, context)
        spec = worker.spec.model_copy(update={"cordoned": request.cordoned, "drain": request.drain})
        return convert.worker_to_proto(self.put(worker.model_copy(update={"spec": spec})))

    def Fence(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Fence", request, context)
        worker = self._find("Worker", request.worker, context)
        spec = worker.spec.model_copy(update={"fenced": request.fenced})
        return convert.worker_to_proto(self.put(worker.model_copy(update={"spec": spec})))

    def RemoveWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("RemoveWorker", request, context)
        worker = self._find("Worker", request.worker, context)
        self.drop("Worker", request.worker)
        return convert.worker_to_proto(worker)

    def HasBlob(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("HasBlob", request, context)
        return pb.HasBlobResponse(exists=request.digest in self.blobs)

    def PutBlob(self, requests: Any, context: Any) -> Any:  # noqa: N802
        frames = list(requests)
        self._enter("PutBlob", frames, context)
        data = b"".join(frame.data for frame in frames[1:])
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert frames[0].digest == digest
        self.blobs[digest] = data
        return pb.PutBlobResponse(digest=digest, size=len(data))

    def Usage(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Usage", request, context)
        return usage_to_proto(use for use in self.uses if request.worker in ("", use.worker))

    def ServerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("ServerInfo", request, context)
        notices = ("the process platform does not isolate",)
        info = ServerInfo("0.1.0", "process", "", 1, 2, notices, self.python)
        return convert.info_to_proto(info)

    # Streams

    def Submit(self, requests: Any, context: Any) -> Any:  # noqa: N802
        frames = list(requests)
        start = frames[0].start
        self._enter("Submit", start, context)
        code = b"".join(frame.code for frame in frames[1:])
        if start.code_follows:
            self.blobs[f"sha256:{hashlib.sha256(code).hexdigest()}"] = code
        elif (digest := start.job.spec.code.digest) and digest not in self.blobs:
            self._fail(NotFoundError(f"the code {digest} is not here: send it"), context)
        job = self.keys.get(start.idempotency_key)
        if job is None:
            job = self._store(convert.job_from_proto(start.job))
            self.keys[start.idempotency_key] = job
        yield from self._cut(self._frames(job, 0, 0, logs=not start.no_logs), context)

    def Follow(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Follow", request, context)
        job = self._find("Job", request.job, context)
        frames = self._frames(job, request.attempt, request.log_offset, logs=not request.no_logs)
        yield from self._cut(frames, context)

    def Logs(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Logs", request, context)
        job = self._find("Job", request.job, context)
        current = max(1, job.status.attempt)
        attempt = current - 1 if request.attempt < 0 else request.attempt or current
        kept = [one for one in self._kept(attempt, request.offset) if one.time >= request.since]
        if request.tail:
            kept = kept[-request.tail :]
        yield from self._cut((convert.log_to_proto(one) for one in kept), context)

    def Result(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Result", request, context)
        self._find("Job", request.job, context)
        yield from self._cut((pb.Chunk(data=piece) for piece in self._pieces()), context)

    def Watch(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Watch", request, context)
        if request.resource_version < self.floor:
            self._fail(ExpiredError("too old"), context)
        yield from self._cut(self._changes(request, context), context)

    def _changes(self, request: Any, context: Any) -> Iterator[Any]:
        position = request.resource_version
        while context.is_active():
            with self.changed:
                if position < self.floor:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "restarted")
                news = [item for item in self.changes if item.resource_version > position]
                if not news:
                    self.changed.wait(0.05)
                    continue
            for item in news:
                position = item.resource_version
                obj = item.resource
                if obj.kind == request.kind and request.name in ("", obj.metadata.name):
                    yield convert.watch_item_to_proto(item)

    def _frames(self, job: Job, attempt: int, offset: int, *, logs: bool) -> Iterator[Any]:
        yield convert.event_to_proto(State(job))
        if job.status.observed_generation < job.metadata.generation and job.status.attempt:
            # what a controller does before it has looked at a changed spec: the old run's end
            yield convert.event_to_proto(Finished(job))
            begun = JobStatus(attempt=self.script.last, observed_generation=job.metadata.generation)
            self.put(job.model_copy(update={"status": begun}))
            return
        if not job.status.phase.terminal:
            job = self._moved(job, Phase.RUNNING, attempt=self.script.last, started_at=NOW)
            yield convert.event_to_proto(State(job))
        if logs:
            for number in sorted(self.script.logs):
                for one in self._kept(number, offset if number == attempt else 0):
                    if number >= attempt:
                        yield convert.event_to_proto(Log(one))
        if self.never_ends:
            self.stopping.wait(30)
            return
        if not job.status.phase.terminal:
            size = len(self.script.envelope)
            job = self._moved(job, self.script.phase, result_size=size, **self.script.status)
            yield convert.event_to_proto(State(job))
        for piece in self._pieces():
            yield convert.event_to_proto(ResultChunk(piece))
        yield convert.event_to_proto(Finished(job))

    def _pieces(self) -> list[bytes]:
        data, size = self.script.envelope, self.script.piece
        return [data[i : i + size] for i in range(0, len(data), size)]

    def _kept(self, attempt: int, offset: int) -> list[LogRecord]:
        low, high = self.gap or (0, 0)
        return [
            one
            for one in self.script.logs.get(attempt, [])
            if one.sequence >= offset and not low <= one.sequence < high
        ]

    def _moved(self, job: Job, phase: Phase, **changes: Any) -> Job:
        now = self.objects[("Job", job.metadata.name)]
        assert isinstance(now, Job)
        if now.status.phase.rank >= phase.rank:
            return now
        changes = {"phase": phase, "observed_generation": now.metadata.generation, **changes}
        moved = self.put(now.model_copy(update={"status": now.status.model_copy(update=changes)}))
        assert isinstance(moved, Job)
        return moved

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
