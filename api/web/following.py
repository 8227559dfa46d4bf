"""One job: its panel as it changes, and its log lines as they come. I/O through the port only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from ...crd_like_specs.errors import CumulusError, NotFoundError
from ..frames import LogRecord
from ..happened import EventQuery, Happened
from ..outputs import OutputsPort
from ..ports import JobsPort
from .live import Pace, Streams, event
from .render import Pages
from .views.detail import JobDetail, job_detail

TAIL: Final = 500
"""Lines of what was said before."""

EVENTS: Final = 30
"""Of what happened to the job, the newest."""

LINES: Final = 2_000
BYTES: Final = 512 << 10
"""Kept of what the browser has not been sent yet; of more, the oldest is left out."""


async def detail_of(
    jobs: JobsPort, outputs: OutputsPort, name: str, known: Sequence[Happened] = ()
) -> JobDetail:
    """Everything about the job; known: events that were read before, oldest first. NotFoundError."""
    answer = await jobs.why(name)
    uid, last = answer.job.metadata.uid, known[-1].sequence if known else 0
    query = EventQuery(job=uid, after=last, tail=EVENTS)
    fresh = [event async for event in jobs.events(query)]
    left = (await outputs.of_job(uid)).outputs if answer.job.status.outputs else ()
    return job_detail(answer, [*known, *fresh][-EVENTS:], left)


async def changes(
    jobs: JobsPort,
    outputs: OutputsPort,
    name: str,
    pages: Pages,
    streams: Streams,
    subscribe: Callable[[Callable[[], None]], Callable[[], None]],
) -> AsyncIterator[str]:
    """`detail`: its HTML; `attempt`: another one begins, so its log does; `log`: lines; `gone`."""
    pace = Pace(streams)
    unsubscribe = subscribe(pace.news.set)
    tail: LogTail | None = None
    last: JobDetail | None = None
    try:
        yield "retry: 2000\n\n"
        going = True
        while going:
            pace.begin()
            try:
                known = last.events[::-1] if last is not None else ()
                detail = await detail_of(jobs, outputs, name, known)
            except NotFoundError as error:
                yield event("gone", pages.trouble(error.message))
                return
            pace.worked()
            if tail is None or tail.attempt != detail.attempt:
                if tail is not None:
                    await tail.close()
                tail = LogTail(jobs, name, detail.attempt, pace.news)
                yield event("attempt", detail.attempt)
            if detail != last:
                last = detail
                yield event("detail", pages.detail(detail))
            lines, left_out = tail.take()
            if lines or left_out:
                yield event("log", {"lines": lines, "leftOut": left_out})
            going = await pace.wait()
    finally:
        unsubscribe()
        if tail is not None:
            await tail.close()


class LogTail:
    """Lines of one attempt that were not sent yet, bounded: what comes too fast is left out.

    news: set with each; lines are `[stream, time, text]`, with their newline.
    """

    def __init__(self, jobs: JobsPort, name: str, attempt: int, news: asyncio.Event) -> None:
        self.attempt = attempt
        self._news = news
        self._lines: deque[tuple[list[Any], int]] = deque()
        self._bytes = 0
        self._left_out = 0
        self._task = asyncio.create_task(self._read(jobs, name))

    def take(self) -> tuple[list[list[Any]], int]:
        """What there is, and how many lines before it are left out. Raises what reading raised."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()
        lines = [line for line, _ in self._lines]
        left_out, self._left_out = self._left_out, 0
        self._lines.clear()
        self._bytes = 0
        return lines, left_out

    async def close(self) -> None:
        """Read no further."""
        self._task.cancel()
        with suppress(asyncio.CancelledError, CumulusError):
            await self._task

    async def _read(self, jobs: JobsPort, name: str) -> None:
        records: Any = jobs.logs(name, attempt=self.attempt, offset=0, tail=TAIL, follow=True)
        try:
            async for record in records:
                self._put(record)
                await asyncio.sleep(0)  # a long log is not the only thing to read
        except NotFoundError:
            return  # the job is gone, which its panel says
        finally:
            await records.aclose()

    def _put(self, record: LogRecord) -> None:
        if not record.data:
            return
        text = record.data.decode("utf-8", "replace")
        self._lines.append(([record.stream.value, record.time, text], len(record.data)))
        self._bytes += len(record.data)
        while len(self._lines) > LINES or self._bytes > BYTES:
            self._bytes -= self._lines.popleft()[1]
            self._left_out += 1
        self._news.set()
