"""`cumulusctl datasets`: bytes that jobs read. I/O."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.units import show_bytes
from ..client import AsyncCumulusClient
from ..datasets import Tell, Transfer
from . import cmd_describe, cmd_end, cmd_get, session, talk
from .formats import Output

app = typer.Typer()
datasets = typer.Typer(no_args_is_help=True, help="Datasets: bytes that jobs read.")
app.add_typer(datasets, name="datasets")
app.callback()(lambda: None)

EVERY: float = 0.2
"""Seconds between two words on how far it is."""

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Of it.", autocompletion=session.dataset_names)
]
NewName = Annotated[str, typer.Option("--name", help="What to call it.")]
Form = Annotated[
    str,
    typer.Option(
        "--format", help="file: never unpacked; else told by the content (tar, tar.gz, zip, …)."
    ),
]
Pin = Annotated[bool, typer.Option("--pin", help="Keep it although no job uses it.")]
Replace = Annotated[bool, typer.Option("--replace", help="Give one of this name this content.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell how far it is.")]


@datasets.command()
def put(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file, an archive or a folder.")],
    name: NewName = "",
    format_: Form = "",
    pin: Pin = False,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Upload a file, an archive or a folder; print its name.

    An upload that broke off goes on where it was when it is asked for again. Archives are looked
    through, and jobs find them unpacked. Of a folder, what .cumulusignore or .gitignore name stays
    out.
    """

    async def upload(client: AsyncCumulusClient) -> Dataset:
        with _Progress(quiet=quiet) as tell:
            return await client.datasets.upload(
                path, name=name, format=format_, pinned=pin, replace=replace, progress=tell
            )

    _say(session.run(ctx, upload))


@datasets.command(name="import")
def import_(
    ctx: typer.Context,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="s3://BUCKET/KEY, s3://BUCKET/PREFIX/, mount://ROOT/PATH."
        ),
    ],
    name: NewName = "",
    format_: Form = "",
    digest: Annotated[str, typer.Option(help="sha256:… that it must have.")] = "",
    pin: Pin = False,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Let the controller fetch it from where its operator allows; print its name.

    With a slash at its end all below a prefix comes, as one tar.
    """

    async def fetch(client: AsyncCumulusClient) -> Dataset:
        with _Progress(quiet=quiet) as tell:
            return await client.datasets.import_(
                url,
                name=name,
                format=format_,
                digest=digest,
                pinned=pin,
                replace=replace,
                progress=tell,
            )

    _say(session.run(ctx, fetch))


@datasets.command()
def ls(ctx: typer.Context, format_: Output = None) -> None:
    """List datasets."""
    cmd_get.get(ctx, "datasets", format_=format_)


@datasets.command()
def get(ctx: typer.Context, name: Name) -> None:
    """Explain one dataset."""
    cmd_describe.describe(ctx, "dataset", name)


@datasets.command()
def pin(ctx: typer.Context, name: Name) -> None:
    """Keep a dataset although no job uses it."""
    session.run(ctx, lambda client: client.datasets.pin(name))
    sys.stdout.write(f"dataset/{name} pinned\n")


@datasets.command()
def unpin(ctx: typer.Context, name: Name) -> None:
    """Let a dataset go once no job has used it for long."""
    session.run(ctx, lambda client: client.datasets.unpin(name))
    sys.stdout.write(f"dataset/{name} unpinned\n")


@datasets.command()
def rm(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="One or more.", autocompletion=session.dataset_names
        ),
    ],
) -> None:
    """Delete datasets; refused while a job needs one that is not over."""
    cmd_end.delete(ctx, [f"dataset/{name}" for name in names])


@datasets.command()
def download(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Option("--output", "-o", help="File or folder; - for stdout.")] = ".",
    quiet: Quiet = False,
) -> None:
    """Download a dataset as it was uploaded; print the file's path.

    A download that broke off goes on where it was when it is asked for again; what is there in the
    end is checked.
    """

    async def fetch(client: AsyncCumulusClient) -> Path | None:
        if to == "-":
            async for piece in client.datasets.stream(name):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return None
        with _Progress(quiet=quiet) as tell:
            return await client.datasets.download(name, to, progress=tell)

    file = session.run(ctx, fetch)
    if file is not None:
        sys.stdout.write(f"{file}\n")


def _say(dataset: Dataset) -> None:
    spec, status = dataset.spec, dataset.status
    what = f"{show_bytes(spec.size)}, {spec.format.value}"
    if spec.format.value != "file":
        what += f" of {status.files} files"
    talk.say(f"{what}, {spec.digest}")
    sys.stdout.write(f"dataset/{dataset.metadata.name}\n")


class _Progress:
    """One line on stderr, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> Tell:
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")

    def _tell(self, at: Transfer) -> None:
        if at.what == "left out":
            talk.say(f"left out as .cumulusignore or .gitignore say: {at.done} files and folders")
            return
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + EVERY
        share = f" of {show_bytes(at.total)} ({at.done * 100 // at.total} %)" if at.total else ""
        sys.stderr.write(f"\r\x1b[K{at.what} {show_bytes(at.done)}{share}")
        sys.stderr.flush()
