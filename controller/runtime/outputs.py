"""What jobs left in /results, for those who may see the jobs. Implements `api.outputs.OutputsPort`.

A job's status names its archives, their indexes what is in them. Runs on the event loop; only
content is read in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from ...api.outputs import WAIT_LIMIT, Output, OutputSet
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.errors import NotFoundError, ValidationError
from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Job
from ...crd_like_specs.outputs import KeptOutputs
from .documents import JOBS
from .output_archives import OutputArchives
from .output_index import Indexed
from .records import Records

MOST_LISTED: Final = 20_000
"""Outputs of an experiment at most, of whole jobs; every one is found by its id all the same."""


class OutputsService:
    """See the port for what each verb promises."""

    def __init__(
        self, records: Records, archives: OutputArchives, viewer: Viewer = EVERYTHING
    ) -> None:
        self._records = records
        self._archives = archives
        self._viewer = viewer

    def seen_by(self, viewer: Viewer) -> OutputsService:
        """See the port."""
        return OutputsService(self._records, self._archives, viewer)

    async def of_job(self, job: str, *, attempt: int = 0, wait: float = 0.0) -> OutputSet:
        """See the port."""
        found = self._records.find_job(job, self._viewer)
        if wait > 0 and self._is_pending(found, attempt):
            found = await self._settled(found, attempt, min(wait, WAIT_LIMIT))
        pending = self._is_pending(found, attempt)
        kept = _kept(found, attempt)
        if kept is None:
            number = found.status.attempt
            if attempt and not pending and not 0 < attempt <= number:
                raise NotFoundError(
                    f"job {found.metadata.name} had {number} attempts, none of number {attempt}",
                    job_id=found.metadata.uid,
                )
            return OutputSet(found.metadata.uid, found.metadata.name, attempt, pending=pending)
        return OutputSet(
            found.metadata.uid,
            found.metadata.name,
            kept.attempt,
            kept.experiment,
            kept.digest,
            kept.size,
            self._listed(found, kept),
            kept.message,
            pending,
        )

    async def of_experiment(self, experiment: str) -> tuple[Output, ...]:
        """See the port."""
        found: list[Output] = []
        taken: set[str] = set()
        async for outputs in self._in(experiment):
            found += [replace(o, id=_of_one(o)) if o.id in taken else o for o in outputs]
            taken |= {output.id for output in outputs}
            if len(found) >= MOST_LISTED:
                break
        return tuple(found)

    async def _in(self, experiment: str) -> AsyncIterator[tuple[Output, ...]]:
        """Those of each job in it, the newest first."""
        names = sorted(self._records.store.ids_by(JOBS, "experiment", experiment))
        jobs = [job for name in names if (job := self._records.job(name)) is not None]
        seen = [job for job in jobs if self._viewer.sees(job.metadata)]
        seen.sort(key=lambda job: (-job.metadata.creation_timestamp, job.metadata.name))
        for job in seen:
            kept = _newest([k for k in job.status.outputs if k.experiment == experiment])
            if kept is not None:
                yield self._listed(job, kept)
            await asyncio.sleep(0)  # a large experiment is not the only thing to look through

    async def at(self, job: str, path: str, *, attempt: int = 0) -> Output:
        """See the port."""
        found = await self.of_job(job, attempt=attempt)
        by_path = (output for output in found.outputs if output.path == path)
        by_id = (output for output in found.outputs if output.id == path)
        for output in (*by_path, *by_id):
            return output
        whose = (
            f"attempt {found.attempt} of job {found.job_name}"
            if found.attempt
            else (f"job {found.job_name}")
        )
        raise NotFoundError(f"{whose} left no output {path!r:.200}", job_id=found.job)

    async def find(self, experiment: str, output_id: str) -> Output:
        """See the port."""
        by_path: Output | None = None
        async for outputs in self._in(experiment):
            for output in outputs:
                if output_id in (output.id, _of_one(output)):
                    return output
                if by_path is None and output.path == output_id:
                    by_path = output
        if by_path is not None:
            return by_path
        raise NotFoundError(f"experiment {experiment!r:.200} has no output {output_id!r:.200}")

    async def read(
        self, output: Output, *, offset: int = 0, length: int = 0
    ) -> AsyncIterator[bytes]:
        """See the port."""
        if not 0 <= offset <= output.size or length < 0:
            raise ValidationError(
                f"offset {offset} is given, expected at most {output.size}, the size of "
                f"{output.path}",
                job_id=output.job,
            )
        job = self._records.find_job(output.job, self._viewer)
        kept = _kept(job, output.attempt)
        file = self._file(job, kept, output) if kept is not None else None
        if kept is None or file is None:
            raise NotFoundError(f"{output.path} is not here any more", job_id=output.job)
        left = output.size - offset
        pieces = self._archives.read_file(
            job.metadata.uid,
            kept.digest,
            file,
            offset=offset,
            length=min(length, left) if length else left,
        )
        async for piece in pieces:
            yield piece

    def _file(self, job: Job, kept: KeptOutputs, output: Output) -> Indexed | None:
        index = self._archives.index(job.metadata.uid, kept.digest)
        wanted = (output.path, output.digest)
        return next((f for f in index.files if (f.path, f.digest) == wanted), None)

    def _listed(self, job: Job, kept: KeptOutputs) -> tuple[Output, ...]:
        if not kept.digest:
            return ()
        index = self._archives.index(job.metadata.uid, kept.digest)
        return tuple(
            Output(
                id=file.id,
                path=file.path,
                size=file.size,
                digest=file.digest,
                role=file.role,
                job=job.metadata.uid,
                job_name=job.metadata.name,
                attempt=kept.attempt,
                experiment=kept.experiment,
                modified_at=file.modified_at,
            )
            for file in index.files
        )

    def _is_pending(self, job: Job, attempt: int) -> bool:
        """Whether the attempt is over and what it left may still be on its way."""
        status = job.status
        number = attempt or status.attempt
        if number == status.attempt:
            noted = any(kept.attempt == number for kept in status.outputs)
            return status.phase.terminal and not status.cleaned and not noted
        lease = self._records.leases.get(unit_name(job.metadata.uid, number))
        return lease is not None and lease.spec.outputs_size > 0

    async def _settled(self, job: Job, attempt: int, seconds: float) -> Job:
        """The job once nothing is on its way any more, or as it is after so many seconds."""
        uid, news = job.metadata.uid, asyncio.Event()
        feed = self._records.follow_job(uid, news)
        try:
            async with asyncio.timeout(seconds):
                while self._is_pending(job, attempt):
                    await news.wait()
                    news.clear()
                    job = self._records.find_job(uid, self._viewer)
        except TimeoutError:
            pass
        finally:
            self._records.unfollow_job(uid, feed)
        return self._records.find_job(uid, self._viewer)


def _kept(job: Job, attempt: int) -> KeptOutputs | None:
    """Of that attempt; 0: of the newest that left anything that is kept, or else of the newest."""
    if attempt:
        return next((k for k in job.status.outputs if k.attempt == attempt), None)
    return _newest(job.status.outputs) or next(iter(reversed(job.status.outputs)), None)


def _newest(kept: tuple[KeptOutputs, ...] | list[KeptOutputs]) -> KeptOutputs | None:
    return max((k for k in kept if k.digest), key=lambda k: k.attempt, default=None)


def _of_one(output: Output) -> str:
    """The id that is always one job's."""
    return f"{output.job_name}/{output.id}"
