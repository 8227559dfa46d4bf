"""The fake controller's streams: jobs as they go, logs, results, watches, events. See `fake_server.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
from cumulus.api import convert
from cumulus.api.frames import Finished, Log, LogRecord, ResultChunk, State
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.happened import EventQuery, happened_to_proto, query_from_proto
from cumulus.crd_like_specs.errors import ExpiredError, NotFoundError
from cumulus.crd_like_specs.job import Job, JobStatus, Phase

from .fake_state import NOW, FakeState


class Streams(FakeState):
    """Every answer of many messages; each may be cut."""

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
