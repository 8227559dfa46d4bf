"""From the command line's settings to a connected client and back to an exit code. I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from ...crd_like_specs.errors import CumulusError
from ...crd_like_specs.template import Template
from ..client import AsyncCumulusClient
from . import interrupts, settings, talk
from .given import Given

T = TypeVar("T")

COMPLETION_SECONDS = 0.7
"""So long a shell waits for names at most."""


def given(ctx: typer.Context) -> Given:
    """What the options before the command said."""
    found = ctx.find_root().obj
    return found if isinstance(found, Given) else Given()


def run(
    ctx: typer.Context, work: Callable[[AsyncCumulusClient], Awaitable[T]], *, detach: str = ""
) -> T:
    """Do the work with a client that is closed after it.

    detach: said after Ctrl-C, such as that the job goes on. It exits with 130 then.
    """
    target = settings.resolve(given(ctx))

    async def main() -> T:
        client = AsyncCumulusClient(
            target.server, target.token, insecure=target.insecure, ca=target.ca
        )
        async with client:
            return await work(client)

    try:
        interrupts.detach()
        return asyncio.run(main())
    except KeyboardInterrupt:
        if detach:
            talk.say(f"\ndetached; {detach}")
        raise typer.Exit(130) from None


def job_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of existing jobs, for completion; none where the server doesn't answer at once."""
    return _names(ctx, "Job", incomplete)


def worker_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of existing workers, as `job_names`."""
    return _names(ctx, "Worker", incomplete)


def dataset_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of existing datasets, as `job_names`."""
    return _names(ctx, "Dataset", incomplete)


def template_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of templates, as `job_names`."""
    return _names(ctx, "Template", incomplete)


def parameters(ctx: typer.Context, incomplete: str) -> list[str]:
    """`NAME=` of each parameter of the command's template, as `job_names`."""
    name = str(ctx.params.get("template") or "")

    async def words(client: AsyncCumulusClient) -> list[str]:
        found = await client.get("Template", name)
        assert isinstance(found, Template)
        return [f"{one.name}=" for one in found.spec.parameters]

    return complete(ctx, words, incomplete) if name else []


def kinds(incomplete: str) -> list[str]:
    """Kinds of objects, for completion."""
    there = ("jobs", "leases", "workers", "sources", "datasets", "templates")
    return [kind for kind in there if kind.startswith(incomplete)]


def names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of what the command's `kind` says, as `job_names`."""
    kind = str(ctx.params.get("kind") or "job").lower().removesuffix("s").capitalize()
    return _names(ctx, kind, incomplete)


def _names(ctx: typer.Context, kind: str, incomplete: str) -> list[str]:
    async def names(client: AsyncCumulusClient) -> list[str]:
        return [one.metadata.name for one in await client.list(kind)]

    return complete(ctx, names, incomplete)


def complete(
    ctx: typer.Context,
    words: Callable[[AsyncCumulusClient], Awaitable[list[str]]],
    incomplete: str,
) -> list[str]:
    """Those that begin so. A shell that completes shows no errors and does not wait: where the
    controller is away, or takes its time, there are none.
    """

    async def soon(client: AsyncCumulusClient) -> list[str]:
        return await asyncio.wait_for(words(client), COMPLETION_SECONDS)

    try:
        return [word for word in run(ctx, soon) if word.startswith(incomplete)]
    except (TimeoutError, CumulusError, typer.Exit):
        return []
