"""Streams out: a job's states, log records and result as they come. Reads only.

One half of what `service.JobsService` offers the API. A follower never slows the controller: it
reads the spool at its own pace, and versions it has not read are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ...api.frames import Finished, JobEvent, Log, LogRecord, ResultChunk, State
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Job
from .logs import Logs
from .records import JobFeed, Records


class Streams:
    """See the module docstring."""

    def __init__(self, records: Records, logs: Logs) -> None:
        self._records = records
        self._logs = logs

    async def follow(
        self, name: str, *, log_offset: int, attempt: int, with_logs: bool
    ) -> AsyncIterator[JobEvent]:
        """State at once, then changes, log records, the result, Finished. An attempt's records
        come before the state in which it is over.
        """
        job = self._records.find_job(name)
        feed = self._records.follow_job(job.metadata.name)
        cursor = _Cursor(job.metadata.uid, attempt or max(1, job.status.attempt), log_offset)
        listening = self._logs.listen(cursor.unit)
        try:
            yield State(job)
            while True:
                if with_logs:
                    async for record in self._catch_up(cursor):
                        yield Log(record)
                if job.status.phase.terminal and cursor.attempt >= job.status.attempt:
                    break
                job, moved = self._advance(job, feed, cursor)
                if moved == "state":
                    yield State(job)
                elif moved == "attempt":
                    self._logs.unlisten(cursor.unit, listening)
                    cursor = _Cursor(job.metadata.uid, cursor.attempt + 1, 0)
                    listening = self._logs.listen(cursor.unit)
                elif moved == "gone":
                    return
                else:
                    await _first(feed.news, listening)
            async for piece in self._logs.result(unit_name(job.metadata.uid, job.status.attempt)):
                yield ResultChunk(piece)
            yield Finished(job)
        finally:
            self._logs.unlisten(cursor.unit, listening)
            self._records.unfollow_job(job.metadata.name, feed)

    async def logs(
        self, name: str, *, attempt: int, offset: int, tail: int, follow: bool
    ) -> AsyncIterator[LogRecord]:
        """Records of one attempt."""
        job = self._records.find_job(name)
        number = attempt or max(1, job.status.attempt)
        if number > max(1, job.status.attempt):
            raise NotFoundError(
                f"job {name!r} has no attempt {number} yet", job_id=job.metadata.uid
            )
        cursor = _Cursor(job.metadata.uid, number, offset)
        if tail:
            cursor.offset = max(offset, self._logs.line_count(cursor.unit) - tail)
        feed = self._records.follow_job(job.metadata.name)
        listening = self._logs.listen(cursor.unit)
        try:
            while True:
                async for record in self._catch_up(cursor):
                    yield record
                job, moved = self._advance(job, feed, cursor)
                over = job.status.phase.terminal or job.status.attempt > number
                if not follow or over or moved == "gone" or self._logs.complete(cursor.unit):
                    break
                if not moved:
                    await _first(feed.news, listening)
            async for record in self._catch_up(cursor):
                yield record
        finally:
            self._logs.unlisten(cursor.unit, listening)
            self._records.unfollow_job(job.metadata.name, feed)

    async def result(self, name: str) -> AsyncIterator[bytes]:
        """The envelope of a finished job."""
        job = self._records.find_job(name)
        if not job.status.phase.terminal:
            raise NotFoundError(
                f"job {name!r} is {job.status.phase.value}: it has no result yet",
                job_id=job.metadata.uid,
            )
        if not job.status.result_size:
            raise NotFoundError(
                f"job {name!r} ended as {job.status.phase.value} without a result",
                job_id=job.metadata.uid,
            )
        async for piece in self._logs.result(unit_name(job.metadata.uid, job.status.attempt)):
            yield piece

    async def _catch_up(self, cursor: _Cursor) -> AsyncIterator[LogRecord]:
        while records := self._logs.read(cursor.unit, cursor.offset):
            for record in records:
                cursor.offset = record.sequence + 1
                yield record

    @staticmethod
    def _advance(job: Job, feed: JobFeed, cursor: _Cursor) -> tuple[Job, str]:
        """The next version not read yet, and what it means: state, attempt, gone, or ""."""
        feed.news.clear()
        if job.status.attempt > cursor.attempt:
            return job, "attempt"
        if feed.versions:
            return feed.versions.popleft(), "state"
        return job, "gone" if feed.gone else ""


class _Cursor:
    """Where a follower is: attempt and sequence number of the next record."""

    def __init__(self, uid: str, attempt: int, offset: int) -> None:
        self.attempt = attempt
        self.offset = offset
        self.unit = unit_name(uid, attempt)


async def _first(*events: asyncio.Event) -> None:
    """Return once any is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for event in events:
        event.clear()
