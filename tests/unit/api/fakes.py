"""In-memory ports: what the servicers talk to in these tests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from cumulus.api.frames import (
    AgentFrame,
    Applied,
    ControllerFrame,
    DeviceUsage,
    Finished,
    Heartbeat,
    JobEvent,
    JobUse,
    LogBatch,
    LogRecord,
    LookNow,
    NodeReport,
    NodeUsage,
    Outcome,
    Page,
    Resource,
    ServerInfo,
    State,
    WatchItem,
    WatchType,
    Why,
    WorkerUse,
)
from cumulus.api.viewer import Viewer
from cumulus.crd_like_specs.errors import NotFoundError, ValidationError
from cumulus.crd_like_specs.job import Job, JobSpec, Phase, WorkerReason
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker, WorkerSpec

UID = "0123456789abcdef" * 2


def a_job(name: str = "hello", **status: object) -> Job:
    job = Job(metadata=ObjectMeta(name=name, uid=UID), spec=JobSpec(image="alpine"))
    return job.model_copy(update={"status": job.status.model_copy(update=status)})


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class FakeJobs:
    """Knows what `add` was given. `fail`: raised by the next call of any method. Followers get
    the job's state, then what `say` is given; `left` is set when one is closed early or late."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], Resource] = {}
        self.keys: dict[str, str] = {}
        self.viewers: list[Viewer] = []
        self.fail: Exception | None = None
        self.asked: list[tuple[object, ...]] = []
        self.submitting = asyncio.Event()
        self.may_submit = asyncio.Event()
        self.may_submit.set()
        self.submitted = asyncio.Event()
        self.left = asyncio.Event()
        self.said: asyncio.Queue[JobEvent | Exception] = asyncio.Queue()
        self.records: list[LogRecord] = []
        self.envelope = b""

    def add(self, resource: Resource) -> None:
        self.resources[resource.kind, resource.metadata.name] = resource

    def seen_by(self, viewer: Viewer) -> FakeJobs:
        self.viewers.append(viewer)
        return self

    def say(self, *events: JobEvent | Exception) -> None:
        for event in events:
            self.said.put_nowait(event)

    def _find(self, kind: str, name: str) -> Resource:
        if self.fail:
            error, self.fail = self.fail, None
            raise error
        for (its_kind, its_name), resource in self.resources.items():
            if its_kind == kind and name in (its_name, resource.metadata.uid):
                return resource
        raise NotFoundError(f"no {kind} is named {name}")

    def _job(self, name: str) -> Job:
        job = self._find("Job", name)
        assert isinstance(job, Job)
        return job

    async def apply(self, resource: Resource, *, dry_run: bool) -> Applied:
        if self.fail:
            raise self.fail
        there = (resource.kind, resource.metadata.name) in self.resources
        if not dry_run:
            self.add(resource)
        return Applied(Outcome.CONFIGURED if there else Outcome.CREATED, resource, reruns=there)

    async def submit(self, job: Job, *, idempotency_key: str) -> Job:
        self.submitting.set()
        await self.may_submit.wait()
        if self.fail:
            raise self.fail
        name = self.keys.setdefault(idempotency_key or job.metadata.name, job.metadata.name)
        if ("Job", name) not in self.resources:
            uid = UID if name == "hello" else hashlib.sha256(name.encode()).hexdigest()[:32]
            meta = job.metadata.model_copy(update={"uid": uid})
            self.add(job.model_copy(update={"metadata": meta}))
        self.submitted.set()
        return self._job(name)

    async def get(self, kind: str, name: str) -> Resource:
        return self._find(kind, name)

    async def list(
        self, kind: str, *, label_selector: str, phase: str, limit: int, continue_token: str
    ) -> Page:
        self.asked.append((kind, label_selector, phase, limit, continue_token))
        if self.fail:
            raise self.fail
        items = [r for (its_kind, _), r in self.resources.items() if its_kind == kind]
        if phase == "Active":
            items = [r for r in items if isinstance(r, Job) and not r.status.phase.terminal]
        return Page(tuple(items[:limit]), 42, "more" if len(items) > limit else "")

    async def watch(
        self, kind: str, *, name: str, label_selector: str, since: int
    ) -> AsyncIterator[WatchItem]:
        self.asked.append((kind, name, label_selector, since))
        try:
            if self.fail:
                raise self.fail
            for (its_kind, _), resource in self.resources.items():
                if its_kind == kind:
                    yield WatchItem(WatchType.ADDED, resource, 7)
            yield WatchItem(WatchType.BOOKMARK, None, 8)
            await asyncio.Event().wait()
        finally:
            self.left.set()

    async def delete(self, name: str) -> Job:
        return self._job(name)

    async def pause(self, name: str, *, paused: bool) -> Job:
        job = self._job(name)
        spec = job.spec.model_copy(update={"suspend": paused})
        return job.model_copy(update={"spec": spec})

    async def cancel(self, name: str) -> Job:
        job = self._job(name)
        status = job.status.model_copy(update={"phase": Phase.CANCELLED})
        return job.model_copy(update={"status": status})

    async def follow(
        self, name: str, *, log_offset: int, attempt: int, with_logs: bool
    ) -> AsyncIterator[JobEvent]:
        self.asked.append((name, log_offset, attempt, with_logs))
        try:
            yield State(self._job(name))
            while True:
                event = await self.said.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self.left.set()

    async def logs(
        self, name: str, *, attempt: int, offset: int, tail: int, follow: bool, since: float = 0.0
    ) -> AsyncIterator[LogRecord]:
        self.asked.append((attempt, offset, tail, follow))
        self._job(name)
        for record in self.records[offset:]:
            if record.time >= since:
                yield record

    async def result(self, name: str) -> AsyncIterator[bytes]:
        self._job(name)
        for start in range(0, len(self.envelope), 1 << 20):
            yield self.envelope[start : start + (1 << 20)]

    async def why(self, name: str) -> Why:
        return Why(self._job(name), "all are busy", (WorkerReason(worker="w1", reason="full"),))

    async def cordon(self, worker: str, *, cordoned: bool, drain: bool) -> Worker:
        found = self._find("Worker", worker)
        assert isinstance(found, Worker)
        return found.model_copy(update={"spec": WorkerSpec(cordoned=cordoned, drain=drain)})

    async def fence(self, worker: str, *, fenced: bool) -> Worker:
        found = self._find("Worker", worker)
        assert isinstance(found, Worker)
        return found.model_copy(update={"spec": WorkerSpec(fenced=fenced)})

    async def remove_worker(self, worker: str) -> Worker:
        found = self._find("Worker", worker)
        assert isinstance(found, Worker)
        return found

    async def usage(self, worker: str) -> tuple[WorkerUse, ...]:
        job = JobUse("u", "hello", 2, 0.5, 3.0, 4, 5, 6)
        return (WorkerUse(worker or "w", 7.0, 8, (job,), (DeviceUsage(0, 9, 10),)),)

    async def server_info(self) -> ServerInfo:
        return ServerInfo("0.1.0", "process", "img", 1, 2, ("does not isolate",), "3.11")


class FakeWriter:
    def __init__(self, blobs: FakeBlobs, digest: str) -> None:
        self.blobs, self.digest, self.data = blobs, digest, bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data
        self.blobs.wrote.set()

    async def commit(self) -> int:
        if digest_of(self.data) != self.digest:
            raise ValidationError(f"what was sent is not {self.digest}")
        self.blobs.stored[self.digest] = bytes(self.data)
        return len(self.data)

    async def abort(self) -> None:
        self.blobs.aborted.set()


class FakeBlobs:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.wrote = asyncio.Event()
        self.aborted = asyncio.Event()

    async def has(self, digest: str) -> int | None:
        return len(self.stored[digest]) if digest in self.stored else None

    async def receive(self, digest: str) -> FakeWriter:
        return FakeWriter(self, digest)

    async def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        data = self.stored[digest]
        for start in range(offset, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]


class FakeSession:
    """`got`: what the agent said. `send` puts a frame on its way; None takes the session over."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.got: asyncio.Queue[AgentFrame] = asyncio.Queue()
        self._out: asyncio.Queue[ControllerFrame | None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.fail: Exception | None = None

    def send(self, frame: ControllerFrame | None) -> None:
        self._out.put_nowait(frame)

    async def _take(self, frame: AgentFrame) -> None:
        if self.fail:
            raise self.fail
        self.got.put_nowait(frame)

    async def on_state(self, report: NodeReport) -> None:
        await self._take(report)

    async def on_heartbeat(self, beat: Heartbeat) -> None:
        await self._take(beat)

    async def on_logs(self, batch: LogBatch) -> None:
        await self._take(batch)

    async def on_usage(self, usage: NodeUsage) -> None:
        await self._take(usage)

    async def on_look_now(self, hint: LookNow) -> None:
        await self._take(hint)

    async def outgoing(self) -> AsyncIterator[ControllerFrame]:
        while (frame := await self._out.get()) is not None:
            yield frame

    async def close(self) -> None:
        self.closed.set()


class FakeAgents:
    def __init__(self) -> None:
        self.sessions: asyncio.Queue[FakeSession] = asyncio.Queue()
        self.wanted: set[tuple[str, str]] = set()
        self.fail_session: Exception | None = None

    async def session(self, worker: str, peer: str) -> FakeSession:
        assert peer
        session = FakeSession(worker)
        session.fail = self.fail_session
        self.sessions.put_nowait(session)
        return session

    async def may_read_blob(self, worker: str, digest: str) -> bool:
        return (worker, digest) in self.wanted
