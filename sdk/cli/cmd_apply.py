"""`cumulusctl apply`: files, folders or stdin become what should be true. I/O."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import Enum
from typing import Annotated

import typer

from ...api import status as table
from ...api.frames import Applied, Outcome, Resource
from ...api.previews import Change
from ...crd_like_specs.errors import CumulusError, ValidationError
from ...crd_like_specs.job import Job
from ...crd_like_specs.units import parse_seconds
from .. import outcome, sources
from ..client import AsyncCumulusClient
from ..errors import JobError, WaitTimeoutError
from ..sources import Source
from ..stream import Done
from . import output, session, streaming, talk
from .cmd_get import show
from .cmd_plan import Prune, Selector, prune_selector
from .formats import Form, Output, for_people

app = typer.Typer()


class DryRun(str, Enum):
    """client: check the files only; server: ask the server what it would do."""

    CLIENT = "client"
    SERVER = "server"


@app.command()
def apply(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Files, folders, or - for stdin.")
    ] = None,
    file: Annotated[list[str] | None, typer.Option("--file", "-f", help="The same.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the jobs to their ends and print the results.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(help="With --wait: leave after this time (90s, 5m); exit 124.")
    ] = None,
    dry_run: Annotated[DryRun | None, typer.Option(help="Change nothing.")] = None,
    prune: Prune = False,
    selector: Selector = "",
    format_: Output = None,
) -> None:
    """Make jobs what the files say; what is so already is left alone.

    With --wait states and log lines go to stderr. One job: its result goes to stdout, and its
    exit code is this command's. Several jobs: a JSON line for each, in the order of the files;
    the exit code is the one of the first that did not succeed. With -o the objects are printed
    instead of results. Ctrl-C detaches with 130; the jobs go on. With --prune -l SELECTOR jobs
    with these labels that no file has are deleted, once every document was taken; `cumulusctl plan`
    shows which.
    """
    pruned = prune_selector(prune, selector)
    given = [*(paths or []), *(file or [])]
    if not given:
        raise ValidationError("nothing to apply: expected files, folders or - for stdin")
    seconds = duration(timeout)
    found = sources.load(given, sys.stdin.buffer)
    if dry_run is DryRun.CLIENT:
        for one in found:
            if for_people(format_):
                sys.stdout.write(f"{output.label(one.resource)} valid (client dry run)\n")
        show([one.resource for one in found], format_, single=len(found) == 1)
        return
    waits = wait and dry_run is None
    names = " ".join(one.resource.metadata.name for one in found if one.is_job)
    detach = f"the job goes on: cumulusctl logs -f {names}" if waits else ""
    work = _Work(found, format_, dry_run=dry_run is DryRun.SERVER, wait=waits, prune=pruned)
    try:
        code = session.run(
            ctx, lambda client: asyncio.wait_for(work.do(client), seconds), detach=detach
        )
    except JobError:  # a job that ran out of time is also a TimeoutError; it is not our own
        raise
    except TimeoutError:
        raise WaitTimeoutError(
            f"not finished within {seconds} s; the job goes on: cumulusctl logs -f {names}"
        ) from None
    raise typer.Exit(code)


def duration(text: str | None) -> int | None:
    """Seconds of an option such as 90s, 5m or 1h30m; ValidationError."""
    if text is None:
        return None
    try:
        return parse_seconds(text)
    except ValueError as e:
        raise ValidationError(f"--timeout: {e}") from e


class _Work:
    """All documents of one apply, in order."""

    def __init__(
        self,
        found: list[Source],
        format_: Form | None,
        *,
        dry_run: bool,
        wait: bool,
        prune: str = "",
    ) -> None:
        self._prune = prune
        self._found = found
        self._format = format_
        self._dry_run = dry_run
        self._wait = wait

    async def do(self, client: AsyncCumulusClient) -> int:
        """The exit code. A document that is refused does not keep the others back."""
        applied: list[Applied] = []
        code = 0
        for source in self._found:
            try:
                done = await client.apply(source.resource, code=source.code, dry_run=self._dry_run)
            except CumulusError as e:
                if len(self._found) == 1:
                    raise
                talk.complain(f"{output.label(source.resource)}: {e.message}")
                code = code or table.exit_code(e)
                continue
            applied.append(done)
            self._tell(done)
        if self._prune and code:
            talk.say("nothing is pruned, since not every document was taken")
        elif self._prune:
            await self._pruned(client)
        if not self._wait:
            self._print([one.resource for one in applied])
            return code
        return code or await self._follow(client, applied)

    def _tell(self, done: Applied) -> None:
        text = f"{output.label(done.resource)} {done.outcome.value}"
        if done.outcome is Outcome.CONFIGURED and done.reruns:
            text += ", runs anew"
        if self._dry_run:
            text += " (server dry run)"
        if self._wait or not for_people(self._format):
            talk.say(text)
        else:
            sys.stdout.write(f"{text}\n")

    async def _pruned(self, client: AsyncCumulusClient) -> None:
        """Jobs that no file has, as the server tells."""
        wanted = [one.resource for one in self._found]
        preview = await client.plan(wanted, prune=self._prune, forecast=False)
        for change in preview.changes:
            if change.change is not Change.PRUNED:
                continue
            if not self._dry_run:
                await client.delete(change.resource.metadata.uid)
            text = f"{output.label(change.resource)} pruned"
            talk.say(f"{text} (server dry run)" if self._dry_run else text)

    def _print(self, objects: list[Resource]) -> None:
        if objects:
            show(objects, self._format, single=len(objects) == 1)

    async def _follow(self, client: AsyncCumulusClient, applied: list[Applied]) -> int:
        jobs = [one for one in applied if isinstance(one.resource, Job)]
        single = len(jobs) == 1
        with talk.Live() as live:
            ends = await asyncio.gather(
                *(
                    self._end(
                        client, one, live, "" if single else f"[{one.resource.metadata.name}] "
                    )
                    for one in jobs
                )
            )
        if not for_people(self._format):
            self._print([end.job for end in ends])
            return next((code for end in ends if (code := outcome.exit_code(end.job))), 0)
        if single:
            return streaming.finish(ends[0], live)
        return next((code for code in [_line(end) for end in ends] if code), 0)

    async def _end(
        self, client: AsyncCumulusClient, applied: Applied, live: talk.Live, prefix: str
    ) -> Done:
        job = applied.resource
        assert isinstance(job, Job)
        finished = applied.outcome is Outcome.UNCHANGED and job.status.phase.terminal
        if finished:
            live.line(
                f"job/{job.metadata.name} had finished before, nothing runs again; "
                "this is its kept result"
            )
        again = applied.reruns and applied.outcome is Outcome.CONFIGURED
        attempt = job.status.attempt + 1 if again else 0
        events = client.stream(job, logs=not finished, attempt=attempt)
        return await streaming.show(events, live, prefix=prefix)


def _line(done: Done) -> int:
    """One of several results, as a JSON line."""
    body: dict[str, object] = {"job": done.job.metadata.name, "phase": done.job.status.phase.value}
    try:
        body["result"] = outcome.result_of(done.job, done.envelope)
    except CumulusError as e:
        body["error"] = e.message
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    return outcome.exit_code(done.job)
