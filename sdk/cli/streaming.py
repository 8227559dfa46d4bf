"""A job's events on the terminal while a command waits for it, and what is printed at its end."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ...api.frames import Log, State
from ...crd_like_specs.job import Job
from .. import outcome
from ..errors import JobError
from ..stream import Done, Event
from . import output, talk
from .talk import Live


def describe(job: Job) -> str:
    """One line: `job/hello Running on gpu-1 (attempt 2)`, or with why it is there."""
    status = job.status
    text = f"job/{job.metadata.name} {status.phase.value}"
    if status.worker and not status.phase.terminal:
        text += f" on {status.worker}"
    if status.attempt > 1:
        text += f" (attempt {status.attempt})"
    said = output.plain(status.message or status.reason)
    return f"{text}: {said}" if said else text


async def show(events: AsyncGenerator[Event, None], live: Live, *, prefix: str = "") -> Done:
    """States and log lines to stderr until the end, which is returned."""
    last = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, State):
                text = describe(event.job)
                if text != last:
                    live.state(text, talk.PHASE_COLOURS.get(event.job.status.phase.value, ""))
                    last = text
            elif isinstance(event, Log):
                live.log(event.record.data, prefix)
            elif isinstance(event, Done):
                return event
            else:
                live.line(f"{prefix}[{event.count} log records are no longer kept]")
    raise AssertionError("a job's stream ends with Done")


def finish(done: Done, live: Live) -> int:
    """Print the result to stdout, or raise what the job ended with. The exit code, 0."""
    try:
        result = outcome.result_of(done.job, done.envelope)
    except JobError as e:
        if e.traceback.strip().encode() in live.tail:
            e.traceback = ""  # it was among the log lines: once is enough
        raise
    if done.envelope is not None:
        indent = 2 if sys.stdout.isatty() else None
        sys.stdout.write(json.dumps(result, indent=indent, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return 0
