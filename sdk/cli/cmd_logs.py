"""`cumulusctl logs`: a job's output on stdout. I/O."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from ...api.frames import Log, LogRecord, LogStream
from ...crd_like_specs.errors import ValidationError
from ..client import AsyncCumulusClient
from ..stream import Event, LogsLost, Position
from . import moments, session, talk

app = typer.Typer()

PREVIOUS = -1


@app.command()
def logs(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(help="Name or uid.", autocompletion=session.job_names)],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has finished.")
    ] = False,
    tail: Annotated[int, typer.Option(min=0, help="Only the last so many lines; 0: all.")] = 0,
    since: Annotated[
        str, typer.Option(help="Only what was written since: 10m ago, or 2026-12-01T10:00:00Z.")
    ] = "",
    attempt: Annotated[int, typer.Option(min=0, help="0: the current one.")] = 0,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="The attempt before the current one.")
    ] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Begin each line with its time (UTC).")
    ] = False,
) -> None:
    """Print what a job wrote. Breaks of the connection lose and repeat nothing.

    With -f and without --attempt, later attempts follow. Ctrl-C ends with 130; the job goes on.
    What Cumulus itself says of the output, such as that some is no longer kept, goes to stderr.
    """
    if previous and (follow or attempt):
        raise ValidationError("--previous is an attempt that is over: leave out -f and --attempt")
    start = moments.past(since, "--since", time.time()) if since else 0.0
    wanted = PREVIOUS if previous else attempt
    shown = _Lines(timestamps=timestamps)
    work = _Reading(job, wanted, tail, start, shown)
    session.run(ctx, lambda client: work.read(client, follow=follow))


class _Reading:
    """What is asked for of one job."""

    def __init__(self, job: str, attempt: int, tail: int, since: float, shown: _Lines) -> None:
        self._job = job
        self._attempt = attempt
        self._tail = tail
        self._since = since
        self._shown = shown

    async def read(self, client: AsyncCumulusClient, *, follow: bool) -> None:
        """First what is there where only a part of it is wanted, then what comes."""
        through = follow and not self._attempt
        at = Position()
        if self._tail or self._since or not through:
            async for log in client.logs(
                self._job,
                attempt=self._attempt,
                tail=self._tail,
                since=self._since,
                wait=follow and not through,
            ):
                self._shown.write(log)
                if isinstance(log, Log):
                    at = Position(log.record.attempt, log.record.sequence + 1)
        if through:
            async for event in client.stream(self._job, attempt=at.attempt, offset=at.offset):
                if isinstance(event, Log) and event.record.time < self._since:
                    continue
                self._shown.write(event)


class _Lines:
    """Writes records to stdout as they are, or with the time at the beginning of each line."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._open: LogStream | None = None  # whose line has no end yet

    def write(self, event: Event) -> None:
        """What is no output of the job goes to stderr, or nowhere."""
        if isinstance(event, LogsLost):
            talk.say(f"[{event.count} log records are no longer kept]")
        if not isinstance(event, Log) or not event.record.data:
            return
        record = event.record
        if record.stream is LogStream.SYSTEM:
            talk.say(record.data.decode("utf-8", "replace").rstrip("\n"))
            return
        sys.stdout.buffer.write(self._stamped(record) if self._timestamps else record.data)
        sys.stdout.buffer.flush()

    def _stamped(self, record: LogRecord) -> bytes:
        moment = datetime.fromtimestamp(record.time, UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z ".encode()
        out = b""
        if self._open not in (None, record.stream):
            out = b"\n"  # the other stream's line ends later: its rest gets a line of its own
            self._open = None
        for line in record.data.splitlines(keepends=True):
            out += line if self._open else stamp + line
            self._open = None if line.endswith(b"\n") else record.stream
        return out
