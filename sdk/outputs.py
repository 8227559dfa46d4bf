"""What jobs left in /results: listed, read, downloaded. I/O; a part of `client.py`'s class.

    outputs = await client.outputs(job)
    for output in outputs:
        print(output.role.value, output.path, output.size)
    await outputs.download("weights/model.pth", "model.pth")
    await outputs.download_all("results")

A download goes on where a break left it, also in another process, and what is there in the end has
the digest that the controller said. Names in a listing are never trusted to stay inside a folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from ..api.convert_outputs import output_from_proto, set_from_proto
from ..api.gen.cumulus.v1 import outputs_pb2 as pb
from ..api.outputs import Output, OutputSet
from ..crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from ..crd_like_specs.outputs import is_plain
from . import downloading
from .connection import Connection
from .follow import Reopening
from .naming import Held, name_of

if TYPE_CHECKING:
    from ..crd_like_specs.job import Job

WAIT_SECONDS: Final = 20.0
"""Of one call that waits for what is on its way; there are as many as it takes."""


class Listing:
    """Those of one attempt of a job, in the order of their paths: to be iterated, or looked up by
    path or id.
    """

    def __init__(self, found: OutputSet) -> None:
        self.found = found

    @property
    def attempt(self) -> int:
        """Whose they are, 0 where no attempt left anything."""
        return self.found.attempt

    @property
    def experiment(self) -> str:
        """By which they are found."""
        return self.found.experiment

    @property
    def message(self) -> str:
        """What was not kept and why, "" for nothing."""
        return self.found.message

    @property
    def pending(self) -> bool:
        """Whether what the attempt left is still on its way."""
        return self.found.pending

    def __iter__(self) -> Iterator[Output]:
        return iter(self.found.outputs)

    def __len__(self) -> int:
        return len(self.found.outputs)

    def __getitem__(self, path: str) -> Output:
        """By path, or by id. NotFoundError."""
        named = {output.id: output for output in self.found.outputs}
        named |= {output.path: output for output in self.found.outputs}
        if path not in named:
            raise NotFoundError(
                f"job {self.found.job_name} left no output {path!r}", job_id=self.found.job
            )
        return named[path]

    def __repr__(self) -> str:
        paths = [output.path for output in self.found.outputs]
        return f"{type(self).__name__}({self.found.job_name!r}, {paths!r})"


@final
class AsyncJobOutputs(Listing):
    """`JobOutputs`, whose downloads are awaited."""

    def __init__(self, found: OutputSet, connection: Connection) -> None:
        super().__init__(found)
        self._connection = connection

    def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """The content of one, by path or id, in pieces."""
        return read(self._connection, self[path])

    async def read(self, path: str) -> bytes:
        """The whole content of one, by path or id."""
        return b"".join([piece async for piece in self.stream(path)])

    async def download(self, path: str, to: str | Path = ".") -> Path:
        """One of them, by path or id, into a file, or under its own name into a folder that is
        there. The file.
        """
        return await download(self._connection, self[path], to)

    async def download_all(self, to: str | Path) -> list[Path]:
        """All of them, with their folders, into one that is made where it is missing. The files."""
        target = Path(to)
        return [await _into(self._connection, output, target) for output in self]


@final
class JobOutputs(Listing):
    """Those of one attempt of a job, to be read and downloaded. do: runs what is awaited."""

    def __init__(
        self, outputs: AsyncJobOutputs, do: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        super().__init__(outputs.found)
        self._outputs = outputs
        self._do = do

    def read(self, path: str) -> bytes:
        """See AsyncJobOutputs.read."""
        content: bytes = self._do(self._outputs.read(path))
        return content

    def download(self, path: str, to: str | Path = ".") -> Path:
        """See AsyncJobOutputs.download."""
        file: Path = self._do(self._outputs.download(path, to))
        return file

    def download_all(self, to: str | Path) -> list[Path]:
        """See AsyncJobOutputs.download_all."""
        files: list[Path] = self._do(self._outputs.download_all(to))
        return files


class OutputCalls:
    """Listings of outputs, and what is in them."""

    _connection: Connection

    async def outputs(
        self, job: Job | Held | str, *, attempt: int = 0, wait: bool = True
    ) -> AsyncJobOutputs:
        """What a job left in /results; attempt: 0 for the newest that left anything.

        They come a moment after the job's end: with `wait` they are waited for; what a job that
        still runs will leave is not. NotFoundError.
        """
        return await listed(self._connection, name_of(job), attempt=attempt, wait=wait)

    async def experiment_outputs(self, experiment: str) -> list[Output]:
        """Those of the newest attempt of each job in it, the newest job first."""
        request = pb.ListOutputsRequest(experiment=experiment)
        answer = await self._connection.call("Outputs.List", request)
        return [output_from_proto(output) for output in answer.outputs]

    async def download_output(self, output: Output, to: str | Path = ".") -> Path:
        """One of a listing, into a file, or under its own name into a folder that is there."""
        return await download(self._connection, output, to)


async def listed(
    connection: Connection, job: str, *, attempt: int = 0, wait: bool = True
) -> AsyncJobOutputs:
    """See `OutputCalls.outputs`. job: name or uid."""
    request = pb.ListOutputsRequest(job=job, attempt=attempt, wait=WAIT_SECONDS if wait else 0.0)
    found = set_from_proto(await connection.call("Outputs.List", request))
    while wait and found.pending:
        found = set_from_proto(await connection.call("Outputs.List", request))
    return AsyncJobOutputs(found, connection)


async def read(
    connection: Connection, output: Output, offset: int = 0
) -> AsyncGenerator[bytes, None]:
    """Its content from an offset, over breaks. CumulusError."""
    at = offset

    def open_call() -> Any:
        request = pb.ReadOutputRequest(
            job=output.job, attempt=output.attempt, path=output.path, offset=at
        )
        return connection.open("Outputs.Read", request)

    stream = Reopening(connection, open_call, endless=True)
    try:
        while at < output.size:
            message = await stream.read()
            if message.HasField("output") and message.output.digest != output.digest:
                raise ConflictError(f"{output.path} is another one by now", job_id=output.job)
            at += len(message.data)
            if message.data:
                yield message.data
    finally:
        stream.close()


async def download(connection: Connection, output: Output, to: str | Path) -> Path:
    """Into this file, or into a folder that is there. ValidationError where it cannot be written."""
    return await _fetch(connection, output, await asyncio.to_thread(_place, output, Path(to)))


async def _into(connection: Connection, output: Output, folder: Path) -> Path:
    """With its own folders."""
    return await _fetch(connection, output, await asyncio.to_thread(_inside, output, folder))


def _place(output: Output, to: Path) -> Path:
    name = output.path.rpartition("/")[2]
    if to.is_dir() and not is_plain(name):
        raise _unsafe(output)
    return to / name if to.is_dir() else to


def _inside(output: Output, folder: Path) -> Path:
    """Where it belongs; none of the folders on the way may be a link that leads elsewhere."""
    if not is_plain(output.path):
        raise _unsafe(output)
    target = folder / output.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise downloading.unwritten(output.path, folder, e, output.job) from e
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise ValidationError(f"{target.parent} leads out of {folder}", job_id=output.job)
    return target


async def _fetch(connection: Connection, output: Output, target: Path) -> Path:
    return await downloading.fetch(
        target,
        output.digest,
        lambda offset: read(connection, output, offset),
        what=output.path,
        job_id=output.job,
    )


def _unsafe(output: Output) -> ValidationError:
    return ValidationError(
        f"the controller names an output {output.path!r:.200}, which leads out of a folder",
        job_id=output.job,
    )
