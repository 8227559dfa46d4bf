"""Desired state in: apply, submit, cancel, delete, cordon. Writes records, decides nothing else.

One half of what `service.JobsService` offers the API. Uids and generated names are made here, at
the edge, and nowhere else.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from ...api.frames import Applied, Outcome, Resource
from ...crd_like_specs.errors import ConflictError, NotFoundError, Problem, ValidationError
from ...crd_like_specs.job import Job, JobStatus
from ...crd_like_specs.worker import Worker, WorkerSpec
from .blobs import Blobs
from .clock import Clock
from .records import IDEMPOTENCY, Records


@dataclass(frozen=True, slots=True)
class Admission:
    """What this controller can run at all. platform: `swarm`, `process` or `fake`."""

    platform: str
    blobs: Blobs

    def check(self, job: Job) -> None:
        """Raise ValidationError with every problem that no waiting could mend."""
        problems = []
        if job.spec.image is not None and self.platform == "process":
            problems.append(
                Problem(
                    "the process platform runs code jobs only: "
                    "expected spec.code, or a controller with platform swarm",
                    path="spec.image",
                )
            )
        code = job.spec.code
        if code is not None and code.digest is None:
            problems.append(
                Problem("expected a digest: clients pack and upload code", path="spec.code")
            )
        elif code is not None and code.digest and self.blobs.size(code.digest) is None:
            problems.append(
                Problem(f"{code.digest} was not uploaded: send it first", path="spec.code.digest")
            )
        reserved = sorted(k for k in job.spec.env if k.startswith(("CUMULUS_", "CHRONOS_")))
        problems += [
            Problem("names beginning so are set by Cumulus", path=f"spec.env.{k}") for k in reserved
        ]
        if problems:
            raise ValidationError(problems, job_id=job.metadata.uid or job.metadata.name)


class Desired:
    """add(key): put a job on the queue; room(): a worker takes jobs again."""

    def __init__(
        self,
        records: Records,
        admission: Admission,
        clock: Clock,
        add: Callable[[str], None],
        room: Callable[[], None],
    ) -> None:
        self._records = records
        self._admission = admission
        self._clock = clock
        self._add = add
        self._room = room
        self._writing = asyncio.Lock()  # names and idempotency keys are looked up, then written

    async def apply(self, resource: Resource, *, dry_run: bool) -> Applied:
        """Create or change by name; equal specs change nothing."""
        if isinstance(resource, Worker):
            return await self._apply_worker(resource, dry_run=dry_run)
        if not isinstance(resource, Job):
            raise ValidationError(
                [
                    Problem(
                        f"a {resource.kind} is made by the controller: expected a Job", path="kind"
                    )
                ]
            )
        async with self._writing:
            return await self._apply(resource, dry_run=dry_run)

    async def submit(self, job: Job, *, idempotency_key: str) -> Job:
        """Like apply, but never changes an existing job: the same again, or a conflict."""
        async with self._writing:
            if idempotency_key:
                known = self._records.job_with_key(idempotency_key)
                if known is not None:
                    return known
                notes = {**job.metadata.annotations, IDEMPOTENCY: idempotency_key}
                meta = job.metadata.model_copy(update={"annotations": notes})
                job = job.model_copy(update={"metadata": meta})
            old = self._records.job(job.metadata.name)
            if old is not None and old.spec != job.spec:
                raise ConflictError(
                    f"job {job.metadata.name!r} exists with another spec: "
                    "apply it to change it, or choose another name",
                    job_id=old.metadata.uid,
                )
            applied = (await self._apply(job, dry_run=False)).resource
            assert isinstance(applied, Job)
            return applied

    async def cancel(self, name: str) -> Job:
        """Mark for cancelling; a finished job stays as it is."""
        return await self._mark(name, "cancellation_timestamp", keep_finished=True)

    async def delete(self, name: str) -> Job:
        """Mark for deletion."""
        return await self._mark(name, "deletion_timestamp", keep_finished=False)

    async def cordon(self, worker: str, *, cordoned: bool, drain: bool) -> Worker:
        """Set both."""
        old = self._records.workers.get(worker)
        if old is None:
            raise NotFoundError(f"worker {worker!r} not found")
        spec = old.spec.model_copy(update={"cordoned": cordoned, "drain": drain})
        return await self._write_worker(old, spec)

    async def _apply(self, job: Job, *, dry_run: bool) -> Applied:
        old = self._records.job(job.metadata.name)
        self._admission.check(job)
        if old is None:
            created = _created(job, self._clock.now())
            if not dry_run:
                created = await self._records.put_job(created, expect=0)
                logger.bind(job=created.metadata.uid, name=created.metadata.name).info("submitted")
                self._add(created.metadata.name)
            return Applied(Outcome.CREATED, created, reruns=True)
        if old.metadata.deletion_timestamp is not None:
            raise ConflictError(
                f"job {job.metadata.name!r} is being deleted: apply again once it is gone",
                job_id=old.metadata.uid,
            )
        changed, reruns = _changed(old, job)
        if changed == old:
            return Applied(Outcome.UNCHANGED, old)
        if not dry_run:
            changed = await self._records.put_job(changed, old.metadata.resource_version)
            logger.bind(job=old.metadata.uid, name=old.metadata.name).info(
                "changed to generation {}{}",
                changed.metadata.generation,
                ", which runs anew" if reruns else "",
            )
            self._add(changed.metadata.name)
        return Applied(Outcome.CONFIGURED, changed, reruns=reruns)

    async def _mark(self, name: str, field: str, *, keep_finished: bool) -> Job:
        async with self._writing:
            while True:
                job = self._records.find_job(name)
                marked = getattr(job.metadata, field) is not None
                if marked or (keep_finished and job.status.phase.terminal):
                    return job
                meta = job.metadata.model_copy(update={field: self._clock.now()})
                try:
                    written = await self._records.put_job(
                        job.model_copy(update={"metadata": meta}), job.metadata.resource_version
                    )
                except ConflictError:
                    continue  # its status moved meanwhile: mark the newer version
                logger.bind(job=job.metadata.uid, name=job.metadata.name).info("marked: {}", field)
                self._add(job.metadata.name)
                return written

    async def _apply_worker(self, worker: Worker, *, dry_run: bool) -> Applied:
        old = self._records.workers.get(worker.metadata.name)
        if old is None:
            raise NotFoundError(f"worker {worker.metadata.name!r} not found: workers join by agent")
        if old.spec == worker.spec:
            return Applied(Outcome.UNCHANGED, old)
        if dry_run:
            return Applied(Outcome.CONFIGURED, old.model_copy(update={"spec": worker.spec}))
        return Applied(Outcome.CONFIGURED, await self._write_worker(old, worker.spec))

    async def _write_worker(self, old: Worker, spec: WorkerSpec) -> Worker:
        written = await self._records.put_worker(old.model_copy(update={"spec": spec}))
        self._room()
        return written


def _created(job: Job, now: float) -> Job:
    uid = uuid.uuid4().hex
    meta = job.metadata.model_copy(
        update={
            "uid": uid,
            "generation": 1,
            "resource_version": 0,
            "creation_timestamp": now,
            "deletion_timestamp": None,
            "cancellation_timestamp": None,
        }
    )
    return job.model_copy(update={"metadata": meta, "status": JobStatus(submitted_at=now)})


def _changed(old: Job, wanted: Job) -> tuple[Job, bool]:
    """The record as it should be, and whether that defines a new run."""
    reruns = old.spec.run_hash() != wanted.spec.run_hash()
    notes = dict(wanted.metadata.annotations)
    if IDEMPOTENCY in old.metadata.annotations:
        notes.setdefault(IDEMPOTENCY, old.metadata.annotations[IDEMPOTENCY])
    meta = old.metadata.model_copy(update={"labels": wanted.metadata.labels, "annotations": notes})
    if old.spec != wanted.spec:
        meta = meta.model_copy(update={"generation": meta.generation + 1})
    if reruns:  # a cancel was meant for the run there was
        meta = meta.model_copy(update={"cancellation_timestamp": None})
    return old.model_copy(update={"metadata": meta, "spec": wanted.spec}), reruns
