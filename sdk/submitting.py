"""The asyncio client's verbs that say what should be. I/O; a part of `client.py`'s class."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from ..api import convert
from ..api.frames import Applied, Resource, State
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..api.options import CHUNK_BYTES
from ..crd_like_specs.errors import NotFoundError
from ..crd_like_specs.job import Job
from . import follow, sources
from .connection import Connection
from .ending import returned_by
from .functions.needs import Requirements
from .naming import Held, name_of
from .progress.display import showing
from .progress.view import JobView
from .stream import Done, Event, Position

Args = list[Any] | dict[str, Any]
"""Arguments of main(): by position or by name; what JSON can hold."""

_SENT_AT_ONCE = 64 << 10
"""Code up to this many bytes is sent without asking whether the server has it."""


class Submissions:
    """Jobs handed in, changed and ended; their code uploaded once."""

    _connection: Connection
    _sent: set[str]  # digests of code that the server has had from here

    async def apply(
        self, resource: Resource, *, code: bytes | None = None, dry_run: bool = False
    ) -> Applied:
        """Create or change by name; an equal spec changes nothing and runs nothing.

        code: the zip that `spec.code.digest` names, uploaded where the server lacks it.
        """
        if code is not None and not dry_run:
            await self.put_code(code)
        request = pb.ApplyRequest(resource=convert.resource_to_proto(resource), dry_run=dry_run)
        return convert.applied_from_proto(await self._connection.call("Apply", request))

    async def submit(
        self, job: Job | str | Path | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Job:
        """Hand a job in and return as soon as it is stored, with its uid.

        job: a Job, a mapping such as a file holds, or the path of a file with exactly one Job.
        idempotency_key: sent twice, also by another process, it is one job. ConflictError where
        the key or the name belongs to a job with another spec.
        """
        wanted, code = sources.one_job(job)
        return await self._stored(wanted, code, idempotency_key)

    async def submit_and_stream(
        self,
        job: Job | str | Path | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        logs: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """Hand a job in and follow it on the same connection; the last event is `Done`.

        Closing the iterator detaches; the job goes on. Arguments as of `submit`.
        """
        wanted, code = sources.one_job(job)
        events = self._submitted(wanted, code, idempotency_key, logs=logs)
        async with aclosing(events):
            async for event in events:
                yield event

    async def submit_code(
        self, job: Job, code: bytes, *, idempotency_key: str | None = None
    ) -> Job:
        """Hand in a job whose `spec.code.digest` is that of this zip; returns once it is stored."""
        return await self._stored(job, code, idempotency_key)

    async def run_code(
        self,
        job: Job,
        code: bytes,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
        watch: Callable[[Event], None] | None = None,
        logs: bool = True,
    ) -> Any:
        """`submit_code`, and what the job's main() returned, over one connection; raises as
        `result` does. timeout: seconds; watch: shown every event, those of the log if `logs`.
        """
        shown = logs and watch is not None
        events = self._submitted(job, code, idempotency_key, logs=shown)
        label = job.metadata.name
        return await returned_by(self._connection, label, events, timeout=timeout, watch=watch)

    async def run_folder(
        self,
        path: str | Path,
        *,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Requirements = None,
        args: Args | None = None,
        datasets: Sequence[str | Mapping[str, str]] = (),
        name: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
        progress: bool | None = None,
    ) -> Any:
        """Run the main() of a folder's main.py and return its result, as `result` does.

        gpu_memory: fraction of one device's memory, 0 < gpu_memory <= 1, None without a GPU;
        duration: seconds, or text such as `90m`; requirements: lines, or a file as of `Options`,
        beside the folder's own requirements.txt; datasets: what it finds to read: names,
        `NAME:/PATH`, or as files have them; name: made from the folder's where not given;
        progress: as of `Options`.
        """
        wanted, code = sources.one_job(
            sources.folder_job(
                Path(path),
                name=name,
                gpu_memory=gpu_memory,
                duration=duration,
                requirements=requirements,
                args=args,
                datasets=datasets,
            )
        )
        assert code is not None
        with showing(JobView(wanted.metadata.name), progress) as watch:
            return await self.run_code(wanted, code, timeout=timeout, watch=watch)

    def has_sent(self, digest: str) -> bool:
        """Whether the server has had this zip from here, so that it need not be sent again."""
        return digest in self._sent

    async def has_code(self, code: bytes) -> bool:
        """Whether the server keeps this zip already."""
        request = pb.HasBlobRequest(digest=sources.digest(code))
        return bool((await self._connection.call("HasBlob", request)).exists)

    async def put_code(self, code: bytes) -> str:
        """Upload a zip unless the server has it; its digest, `sha256:<hex>`."""
        digest: str = sources.digest(code)
        if not await self.has_code(code):
            await self._connection.upload(
                "PutBlob",
                lambda: [
                    pb.PutBlobRequest(digest=digest),
                    *(pb.PutBlobRequest(data=piece) for piece in _pieces(code)),
                ],
            )
        return digest

    async def cancel(self, job: Job | Held | str) -> Job:
        """Ask a job to end now; a finished one stays as it is."""
        return convert.job_from_proto(
            await self._connection.call("Cancel", pb.CancelRequest(name=name_of(job)))
        )

    async def delete(self, job: Job | Held | str) -> Job:
        """Ask for a job to be ended and forgotten; it is gone once what it holds is gone."""
        response = await self._connection.call("Delete", pb.DeleteRequest(name=name_of(job)))
        return convert.job_from_proto(response.job)

    async def _stored(self, job: Job, code: bytes | None, idempotency_key: str | None) -> Job:
        events = self._submitted(job, code, idempotency_key, logs=False)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, State | Done):
                    return event.job
        raise AssertionError("a job's stream begins with its state")

    async def _submitted(
        self, wanted: Job, code: bytes | None, idempotency_key: str | None, *, logs: bool
    ) -> AsyncGenerator[Event, None]:
        key = idempotency_key or uuid.uuid4().hex  # so that a broken start can be repeated
        digest = "" if code is None else sources.digest(code)
        known = digest in self._sent or (
            code is not None and len(code) > _SENT_AT_ONCE and await self.has_code(code)
        )
        while True:
            sent = None if known else code
            events = self._followed(wanted, sent, key, logs=logs)
            begun = False
            try:
                async with aclosing(events):
                    async for event in events:
                        if not begun and digest:
                            self._sent.add(digest)
                        begun = True
                        yield event
            except NotFoundError:
                # The server has swept away, since, what nothing needed any more.
                if begun or not known:
                    raise
                known = False
                self._sent.discard(digest)
            else:
                return

    def _followed(
        self, wanted: Job, code: bytes | None, key: str, *, logs: bool
    ) -> AsyncGenerator[Event, None]:
        frames = [
            pb.SubmitRequest(
                start=pb.SubmitStart(
                    job=convert.job_to_proto(wanted),
                    idempotency_key=key,
                    code_follows=code is not None,
                    no_logs=not logs,
                )
            ),
            *(pb.SubmitRequest(code=piece) for piece in _pieces(code or b"")),
        ]
        return follow.follow(
            self._connection,
            lambda: self._connection.open("Submit", frames),
            at=Position(),
            logs=logs,
        )


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
