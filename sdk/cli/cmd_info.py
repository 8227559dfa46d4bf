"""`cumulusctl info`: what controller answers. I/O."""

from __future__ import annotations

import sys

import typer

from . import session, settings, talk

app = typer.Typer()


@app.command()
def info(ctx: typer.Context) -> None:
    """Print the controller's address, version, platform and numbers."""
    found = session.run(ctx, lambda client: client.server_info())
    rows = {
        "server": settings.resolve(session.given(ctx)).server,
        "version": found.version,
        "platform": found.platform,
        "image": found.image or "-",
        "workers": str(found.workers),
        "active jobs": str(found.active_jobs),
    }
    sys.stdout.write("".join(f"{key + ':':<13}{value}\n" for key, value in rows.items()))
    for notice in found.notices:
        talk.say(f"note: {notice}")
