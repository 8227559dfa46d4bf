"""`cumulusctl get`: objects as they are, once or as they change. I/O."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated

import typer

from ...api.frames import Resource, WatchItem, WatchType
from ...crd_like_specs import codec
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.source import Source
from ..client import AsyncCumulusClient
from . import output, session, sources, talk
from .formats import Form, Output, for_people
from .output import Format

app = typer.Typer()

RECENT = 3600.0  # seconds for which a finished job is listed without --all

_KINDS = {
    "job": "Job",
    "lease": "Lease",
    "worker": "Worker",
    "source": "Source",
    "dataset": "Dataset",
    "template": "Template",
}


def kind_of(word: str) -> str:
    """`jobs`, `job` or `Job` → `Job`; ValidationError for what is no kind."""
    found = _KINDS.get(word.lower().removesuffix("s"))
    if found is None:
        raise ValidationError(
            f"there is no kind {word!r}: expected jobs, leases, workers, sources, datasets or templates"
        )
    return found


@app.command()
def get(
    ctx: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            help="jobs, leases, workers, sources, datasets or templates.",
            autocompletion=session.kinds,
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(help="One object by name, a job also by uid.", autocompletion=session.names),
    ] = "",
    format_: Output = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with each change; with json a line each.")
    ] = False,
    selector: Annotated[
        str, typer.Option("--selector", "-l", help="key=value, key!=value or key; comma: and.")
    ] = "",
    phase: Annotated[str, typer.Option(help="Jobs in this phase; Active: not finished.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Jobs that finished more than an hour ago too.")
    ] = False,
) -> None:
    """List jobs, leases, workers, sources, datasets or templates."""
    wanted = kind_of(kind)
    if watch:
        view = _View(wanted, format_)
        session.run(ctx, lambda client: _watch(client, view, name, selector, phase))
        return

    async def look(client: AsyncCumulusClient) -> tuple[list[Resource], list[Lease]]:
        if name:
            found = [await client.get(wanted, name)]
        else:
            found = await client.list(wanted, selector=selector, phase=phase)
        return found, await _leases(client, wanted)

    objects, leases = session.run(ctx, look)
    if not (name or phase or everything):
        objects = _recent(objects, time.time())
    _show(wanted, objects, leases, format_, single=bool(name))


def _recent(objects: list[Resource], now: float) -> list[Resource]:
    """Without the jobs that finished long ago; how many there are is said on stderr."""
    recent = [
        one
        for one in objects
        if not isinstance(one, Job)
        or not one.status.phase.terminal
        or one.status.finished_at > now - RECENT
    ]
    if len(recent) < len(objects):
        talk.say(f"{len(objects) - len(recent)} jobs finished over an hour ago; --all shows them")
    return recent


def show(objects: list[Resource], format_: Form | None, *, single: bool) -> None:
    """Objects of any kinds as -o wants them; without it or with wide a table of each kind."""
    if format_ is not None and not format_.table:
        sys.stdout.write(format_.text(objects, single=single))
        if format_.format is Format.JSONPATH and sys.stdout.isatty():
            sys.stdout.write("\n")  # a script gets the value alone, as with kubectl


def _show(
    kind: str,
    objects: list[Resource],
    leases: list[Lease],
    format_: Form | None,
    *,
    single: bool,
) -> None:
    if not for_people(format_):
        show(objects, format_, single=single)
        return
    if not objects:
        talk.say(f"no {kind.lower()}s found")
        return
    wide, now = format_ is not None, time.time()
    rows = [output.row(obj, now, wide=wide, leases=leases) for obj in objects]
    sys.stdout.write(_painted(output.table([output.header(kind, wide=wide), *rows])))
    found = [obj for obj in objects if isinstance(obj, Source)]
    files = sources.file_rows(found, everything=wide or single)
    if files:
        sys.stdout.write(f"\n{output.table(files)}")


def _painted(text: str) -> str:
    for phase, colour in talk.PHASE_COLOURS.items():
        text = text.replace(f"  {phase} ", f"  {talk.paint(phase, colour, sys.stdout)} ")
    return text


async def _leases(client: AsyncCumulusClient, kind: str) -> list[Lease]:
    """For the free shares of workers."""
    found = await client.list("Lease") if kind == "Worker" else []
    return [lease for lease in found if isinstance(lease, Lease)]


async def _watch(
    client: AsyncCumulusClient, view: _View, name: str, selector: str, phase: str
) -> None:
    async for item in client.watch(view.kind, name=name, selector=selector):
        if _in_phase(item.resource, phase):
            view.tell(item, await _leases(client, view.kind))


def _in_phase(obj: Resource | None, phase: str) -> bool:
    if not phase or not isinstance(obj, Job):
        return True
    if phase == "Active":
        return not obj.status.phase.terminal
    if phase not in {one.value for one in Phase}:
        raise ValidationError(f"there is no phase {phase!r}")
    return obj.status.phase.value == phase


class _View:
    """Prints one change after the other; columns keep the width they once had."""

    def __init__(self, kind: str, format_: Form | None) -> None:
        self.kind = kind
        self._format = format_
        self._widths: list[int] = []

    def tell(self, item: WatchItem, leases: list[Lease]) -> None:
        obj = item.resource
        assert obj is not None
        kind = item.type.value.upper()
        form = self._format
        if form is None or form.table:
            self._row(obj, leases, gone=item.type is WatchType.DELETED)
        elif form.format is Format.JSON:
            sys.stdout.write(json.dumps({"type": kind, "object": obj.to_dict()}) + "\n")
        elif form.format is Format.YAML:
            sys.stdout.write("---\n" + codec.dump_yaml([obj]))
        else:
            text = form.text([obj], single=True)
            sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()

    def _row(self, obj: Resource, leases: list[Lease], *, gone: bool) -> None:
        wide = self._format is not None
        cells = output.row(obj, time.time(), wide=wide, leases=leases)
        if gone:
            cells[1 if self.kind != "Lease" else 6] = "Deleted"
        rows = [cells] if self._widths else [output.header(self.kind, wide=wide), cells]
        if not self._widths:
            self._widths = [max(len(row[i]) for row in rows) + 2 for i in range(len(cells))]
        sys.stdout.write(_painted(output.table(rows, self._widths)))
