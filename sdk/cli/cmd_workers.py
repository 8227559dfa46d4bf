"""`cumulusctl cordon`, `uncordon`, `drain` and `set`: what an operator wants of a worker. I/O."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

import typer

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.instants import parse_instant, show_instant
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.units import parse_seconds
from ...crd_like_specs.worker import Worker
from ..client import AsyncCumulusClient
from ..errors import WaitTimeoutError
from . import output, session, talk
from .cmd_apply import duration
from .cmd_get import kind_of

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="WORKER", autocompletion=session.worker_names)]

LOOK_SECONDS = 0.5
"""Between two looks at a worker that is waited for."""


@app.command()
def cordon(ctx: typer.Context, worker: Name) -> None:
    """Let a worker take no new jobs; what runs there goes on."""
    _tell(*session.run(ctx, lambda client: _set(client, worker, cordoned=True, drain=False)))


@app.command()
def uncordon(ctx: typer.Context, worker: Name) -> None:
    """Let a worker take jobs again."""
    _tell(*session.run(ctx, lambda client: _set(client, worker, cordoned=False, drain=False)))


@app.command()
def drain(
    ctx: typer.Context,
    worker: Name,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when nothing is left there.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(help="With --wait: leave after this time (90s, 5m); exit 124.")
    ] = None,
) -> None:
    """Let a worker take no new jobs, and move the ones it has away.

    Each gets 10 s from SIGTERM to SIGKILL, then starts anew on another worker, as soon as one has
    room; that counts as no retry. `get workers` says Drained once nothing is left there.
    """
    seconds = duration(timeout)

    async def empty(client: AsyncCumulusClient) -> tuple[Worker, list[Lease]]:
        drained, leases = await _set(client, worker, cordoned=True, drain=True)
        _tell(drained, leases)
        if leases:
            names = ", ".join(sorted(lease.spec.job_name for lease in leases))
            talk.say(f"{len(leases)} job(s) are stopped and start anew elsewhere: {names}")
        while wait and leases:
            await asyncio.sleep(LOOK_SECONDS)
            leases = await _leases(client, worker)
        return drained, leases

    try:
        drained, leases = session.run(ctx, lambda client: asyncio.wait_for(empty(client), seconds))
    except TimeoutError:
        raise WaitTimeoutError(f"worker {worker} is not empty after {seconds} s") from None
    if wait:
        _tell(drained, leases)


@app.command("set")
def set_(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="worker.")],
    name: Name,
    available_until: Annotated[
        str,
        typer.Option(help="End of its rental: 18h, 2026-12-01T10:00:00Z, or none."),
    ],
) -> None:
    """Say until when a worker is rented; no lease there ends later."""
    if kind_of(kind) != "Worker":
        raise ValidationError(f"there is nothing to set on a {kind}: expected worker")
    now = time.time()
    until = _instant(available_until, now)
    if until is not None and until <= now:
        raise ValidationError(
            f"--available-until: {available_until!r:.60} is over already: expected a time to come, "
            f"or none; to place nothing more there, cumulusctl cordon {name}, to empty it, "
            f"cumulusctl drain {name}"
        )

    async def change(client: AsyncCumulusClient) -> tuple[Worker, list[Lease]]:
        found = await client.get("Worker", name)
        assert isinstance(found, Worker)
        spec = found.spec.model_copy(update={"available_until": until})
        await client.apply(found.model_copy(update={"spec": spec}))
        return found.model_copy(update={"spec": spec}), await _leases(client, name)

    worker, leases = session.run(ctx, change)
    says = "for as long as it is there" if until is None else f"until {show_instant(until)}"
    sys.stdout.write(f"{output.label(worker)} is available {says}\n")
    for lease in leases:
        if until is not None and lease.status.expires_at > until:
            ends = show_instant(lease.status.expires_at)
            talk.say(f"the lease of job/{lease.spec.job_name} ends only at {ends}")


def _instant(text: str, now: float) -> float | None:
    """From now on (18h), at a time, or never (none); ValidationError."""
    if text.strip().lower() == "none":
        return None
    try:
        return now + parse_seconds(text)
    except ValueError:
        pass
    try:
        return parse_instant(text)
    except ValueError as e:
        raise ValidationError(
            f"--available-until: {text!r:.60} is not understood: "
            "expected a duration such as 18h, a time such as 2026-12-01T10:00:00Z, or none"
        ) from e


async def _set(
    client: AsyncCumulusClient, name: str, *, cordoned: bool, drain: bool
) -> tuple[Worker, list[Lease]]:
    worker = await client.cordon(name, cordoned=cordoned, drain=drain)
    return worker, await _leases(client, name)


async def _leases(client: AsyncCumulusClient, worker: str) -> list[Lease]:
    """What is still there."""
    found = [lease for lease in await client.list("Lease") if isinstance(lease, Lease)]
    return output.live(found, worker)


def _tell(worker: Worker, leases: list[Lease]) -> None:
    sys.stdout.write(f"{output.label(worker)} {output.worker_status(worker, leases)}\n")
