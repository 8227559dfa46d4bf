"""Streams out: a job's states, log records and result as they come. Reads only.

One half of what `service.JobsService` offers the API. A follower never slows the controller: it
reads the spool at its own pace, and versions it has not read are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from ...api.frames import Finished, JobEvent, Log, LogRecord, ResultChunk, State
from ...api.status import job_error
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Job
from .logs import Logs
from .records import Records, over
from .tail import Tail

PREVIOUS: Final = -1
"""Stands for the attempt before the current one."""


class Streams:
    """See the module docstring."""

    def __init__(self, records: Records, logs: Logs) -> None:
        self._records = records
        self._logs = logs

    async def follow(
        self,
        name: str,
        *,
        log_offset: int,
        attempt: int,
        with_logs: bool,
        viewer: Viewer = EVERYTHING,
    ) -> AsyncIterator[JobEvent]:
        """State at once, then changes, log records, the result, Finished. An attempt's records
        come before the state in which it is over. A job that is deleted ends the stream too.
        """
        job = self._records.find_job(name, viewer)
        reader = _Reader(self._records, self._logs, job, attempt, log_offset)
        try:
            yield State(job)
            while True:
                reader.begin()
                if with_logs:
                    for record in reader.records():
                        yield Log(record)
                if over(job) and reader.attempt >= job.status.attempt:
                    break
                if job.status.attempt > reader.attempt:
                    reader.turn_to(reader.attempt + 1)
                elif (version := reader.version()) is not None:
                    job = version
                    yield State(job)
                elif reader.gone:
                    return
                else:
                    await reader.wait()
            if job.status.result_size:  # else what is there is a part, or nothing
                unit = unit_name(job.metadata.uid, job.status.attempt)
                async for piece in self._logs.result(unit):
                    yield ResultChunk(piece)
            yield Finished(job)
        finally:
            reader.close()

    async def logs(
        self,
        name: str,
        *,
        attempt: int,
        offset: int,
        tail: int,
        follow: bool,
        since: float = 0.0,
        viewer: Viewer = EVERYTHING,
    ) -> AsyncIterator[LogRecord]:
        """Records of one attempt. tail: the last so many lines of it, 0 for all; a record that
        begins before them is cut, one that holds nothing of them is empty. since: those before
        the first that was written then are left out; once one was sent, none is.
        """
        job = self._records.find_job(name, viewer)
        current = max(1, job.status.attempt)
        if attempt == PREVIOUS:
            attempt = _before(job, current)
        if attempt > current:
            raise NotFoundError(
                f"job {name!r} has no attempt {attempt}: it is at {current}",
                job_id=job.metadata.uid,
            )
        reader = _Reader(self._records, self._logs, job, attempt, offset)
        last_lines = self._logs.tail(reader.unit, tail) if tail else Tail()
        if last_lines.sequence < offset:
            last_lines = Tail(offset)
        reader.offset = last_lines.sequence
        try:
            while True:
                reader.begin()
                # Read before the records are: what ends them comes after the last of them.
                job = reader.newest() or job
                last = not follow or reader.gone or self._logs.complete(reader.unit)
                last = last or job.status.phase.terminal or job.status.attempt > reader.attempt
                for record in reader.records():
                    cut = last_lines.cut(record)
                    if record.time >= since:
                        since = 0.0
                        yield cut
                if last:
                    return
                await reader.wait()
        finally:
            reader.close()

    async def result(self, name: str, *, viewer: Viewer = EVERYTHING) -> AsyncIterator[bytes]:
        """The envelope of a finished job. NotFoundError says why there is none; NoWorkersError or
        UnschedulableError where no worker could ever take it, as at the end of its submission.
        """
        job = self._records.find_job(name, viewer)
        if not job.status.phase.terminal:
            raise NotFoundError(
                f"job {name!r} is {job.status.phase.value}: it has no result yet",
                job_id=job.metadata.uid,
            )
        if not job.status.result_size:
            told = f": {job.status.message}" if job.status.message else ""
            raise job_error(job) or NotFoundError(
                f"job {name!r} ended as {job.status.phase.value} without a result{told}",
                job_id=job.metadata.uid,
            )
        async for piece in self._logs.result(unit_name(job.metadata.uid, job.status.attempt)):
            yield piece


def _before(job: Job, current: int) -> int:
    if current > 1:
        return current - 1
    raise NotFoundError(
        f"job {job.metadata.name!r} has had one attempt only: there is no output of one before it",
        job_id=job.metadata.uid,
    )


class _Reader:
    """Where one follower is: its attempt, the sequence number of the next record, its news.

    One event serves both sources. It is cleared before anything is read (`begin`), so that what
    comes in while a reader is at it, or while its client takes its time, wakes it again.
    """

    def __init__(self, records: Records, logs: Logs, job: Job, attempt: int, offset: int) -> None:
        self._records = records
        self._logs = logs
        self._uid = job.metadata.uid
        self._news = asyncio.Event()
        self.attempt = attempt or max(1, job.status.attempt)
        self.offset = offset
        self.unit = unit_name(self._uid, self.attempt)
        self._feed = records.follow_job(self._uid, self._news)
        logs.listen(self.unit, self._news)

    @property
    def gone(self) -> bool:
        """The job's record was deleted."""
        return self._feed.gone

    def begin(self) -> None:
        """From here on, news count as news."""
        self._news.clear()

    async def wait(self) -> None:
        """Return once there was news since `begin`."""
        await self._news.wait()

    def records(self) -> Iterator[LogRecord]:
        """Every record from `offset` on that is there."""
        while found := self._logs.read(self.unit, self.offset):
            for record in found:
                self.offset = record.sequence + 1
                yield record

    def version(self) -> Job | None:
        """The next version not read yet."""
        return self._feed.versions.popleft() if self._feed.versions else None

    def newest(self) -> Job | None:
        """The last version not read yet; those before it are passed over."""
        versions = self._feed.versions
        newest = versions[-1] if versions else None
        versions.clear()
        return newest

    def turn_to(self, attempt: int) -> None:
        """Read another attempt from its start."""
        self._logs.unlisten(self.unit, self._news)
        self.attempt, self.offset, self.unit = attempt, 0, unit_name(self._uid, attempt)
        self._logs.listen(self.unit, self._news)

    def close(self) -> None:
        """End of interest."""
        self._logs.unlisten(self.unit, self._news)
        self._records.unfollow_job(self._uid, self._feed)
