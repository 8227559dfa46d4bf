"""Desired state in: apply, submit, cancel, delete, cordon. Writes records, decides nothing else.

One half of what `service.JobsService` offers the API. Uids are made here, at the edge, and
nowhere else.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from loguru import logger

from ...api.frames import Applied, Outcome, Resource
from ...api.happened import Happened
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs.errors import ConflictError, NotFoundError, Problem, ValidationError
from ...crd_like_specs.job import Job, JobStatus
from ...crd_like_specs.worker import Worker, WorkerSpec
from .admission import Admission
from .clock import Clock
from .dataset_refs import as_known, settled
from .documents import IDEMPOTENCY
from .happenings import of_job
from .records import Records, over

_STANDS_IN: Final = {
    "Source": "an entry of `sources` in the controller's configuration, which it reads again at "
    "SIGHUP",
    "Dataset": "made by `cumulusctl datasets put` or `import`",
}
_ASKED: Final = {"cancellation_timestamp": "CancelAsked", "deletion_timestamp": "DeleteAsked"}


class Desired:
    """add(key): put a job on the queue; room(): a worker takes jobs again; note: keeps an event.

    Names are guarded by the store's compare-and-set; a write that lost against a status, or
    against another user, is made again of the newer version.
    """

    def __init__(
        self,
        records: Records,
        admission: Admission,
        clock: Clock,
        add: Callable[[str], None],
        room: Callable[[], None],
        note: Callable[[Happened], None] = lambda _: None,
    ) -> None:
        self._note = note
        self._records = records
        self._admission = admission
        self._clock = clock
        self._add = add
        self._room = room
        # One submission per owner and key at a time; a lock goes with its last user.
        self._keys: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def apply(
        self,
        resource: Resource,
        *,
        dry_run: bool,
        viewer: Viewer = EVERYTHING,
        over_uid: str | None = None,
    ) -> Applied:
        """Create or change by name; equal specs change nothing. over_uid: of the record it is for,
        "" for none; ConflictError where there is another one by now.
        """
        if isinstance(resource, Worker):
            return await self._apply_worker(resource, dry_run=dry_run)
        if not isinstance(resource, Job):
            where = _STANDS_IN.get(resource.kind, "made by the controller")
            raise ValidationError(
                [Problem(f"a {resource.kind} is {where}: expected a Job", path="kind")]
            )
        job = _with_key(resource, "")
        return await self._apply(job, viewer, dry_run=dry_run, may_change=True, over_uid=over_uid)

    async def submit(self, job: Job, *, idempotency_key: str, viewer: Viewer = EVERYTHING) -> Job:
        """Like apply, but never changes what an existing job runs: the same again, or a conflict.

        A key means something among its owner's jobs only, and stands for one run: ConflictError
        where it comes with another, whose result would not be what the caller waits for.
        """
        job = _with_key(job, idempotency_key)
        if not idempotency_key:
            return await self._submit(job, viewer)
        lock = self._keys.setdefault((viewer.owner, idempotency_key), asyncio.Lock())
        async with lock:
            known = self._records.job_with_key(idempotency_key, viewer.owner)
            if known is None:
                return await self._submit(job, viewer)
            again = await self._admission.admit(as_known(job, known), keep=False, viewer=viewer)
            if again.spec.run_hash() != known.spec.run_hash():
                raise ConflictError(
                    f"the idempotency key {idempotency_key!r} was given to another run, of job "
                    f"{known.metadata.name!r}: take another key, or the same code and arguments",
                    job_id=known.metadata.uid,
                )
            _log(known, "submitted again, its idempotency key is known")
            return known

    async def settled(self, job: Job, viewer: Viewer) -> Job:
        """The job, admitted, with what its datasets stand for now. ValidationError."""
        old = self._records.job(job.metadata.name) if job.spec.datasets else None
        seen_by = EVERYTHING if self._admission.everybody else viewer
        return await settled(job, self._admission.datasets, seen_by, old)

    async def cancel(self, name: str, *, viewer: Viewer = EVERYTHING) -> Job:
        """Mark for cancelling; a finished job stays as it is."""
        return await self._mark(name, viewer, "cancellation_timestamp", keep_finished=True)

    async def pause(self, name: str, *, paused: bool, viewer: Viewer = EVERYTHING) -> Job:
        """Set `spec.suspend`, which is no new run."""
        while True:
            job = self._records.find_job(name, viewer)
            if job.spec.suspend == paused:
                return job
            _check_pausable(job, paused=paused)
            meta = job.metadata
            meta = meta.model_copy(update={"generation": meta.generation + 1})
            spec = job.spec.model_copy(update={"suspend": paused})
            wanted = job.model_copy(update={"metadata": meta, "spec": spec})
            try:
                stored = await self._records.put_job(wanted, job.metadata.resource_version)
            except ConflictError:
                continue  # its status moved meanwhile: change the newer version
            self._tell(stored, "is to pause" if paused else "is to go on")
            return stored

    async def delete(self, name: str, *, viewer: Viewer = EVERYTHING) -> Job:
        """Mark for deletion."""
        return await self._mark(name, viewer, "deletion_timestamp", keep_finished=False)

    async def cordon(self, worker: str, *, cordoned: bool, drain: bool) -> Worker:
        """Set both."""
        return await self._change_worker(
            worker, lambda spec: spec.model_copy(update={"cordoned": cordoned, "drain": drain})
        )

    async def _submit(self, job: Job, viewer: Viewer) -> Job:
        stored = (await self._apply(job, viewer, dry_run=False, may_change=False)).resource
        assert isinstance(stored, Job)
        return stored

    async def _apply(
        self,
        job: Job,
        viewer: Viewer,
        *,
        dry_run: bool,
        may_change: bool,
        over_uid: str | None = None,
    ) -> Applied:
        job = await self._admission.admit(job, keep=not dry_run, viewer=viewer)
        job = await self.settled(job, viewer)
        while True:
            old = self._records.job(job.metadata.name)
            if over_uid is not None and over_uid != (old.metadata.uid if old else ""):
                raise ConflictError(f"job {job.metadata.name!r} is another one by now")
            if old is not None:
                _check_in_the_way(old, job, viewer, may_change=may_change)
            wanted, reruns = _created(job, viewer.owner, self._clock.now()), True
            if old is not None:
                wanted, reruns = _changed(old, job)
            if wanted == old:
                if not dry_run:
                    _log(old, "submitted again, nothing changes")
                return Applied(Outcome.UNCHANGED, old)
            outcome = Outcome.CONFIGURED if old else Outcome.CREATED
            if dry_run:
                return Applied(outcome, wanted, reruns)
            try:
                stored = await self._records.put_job(wanted, wanted.metadata.resource_version)
            except ConflictError:
                continue  # its status moved, or another user was first
            what = "submitted" if old is None else "changed"
            self._tell(stored, f"{what}, generation {stored.metadata.generation}")
            words = f"generation {stored.metadata.generation}"
            words += ", runs anew" if old is not None and reruns else ""
            self._note(of_job(stored, what.capitalize(), words, by=viewer.who))
            return Applied(outcome, stored, reruns)

    async def _mark(self, name: str, viewer: Viewer, field: str, *, keep_finished: bool) -> Job:
        while True:
            job = self._records.find_job(name, viewer)
            marked = getattr(job.metadata, field) is not None
            if marked or (keep_finished and over(job)):
                return job
            meta = job.metadata.model_copy(update={field: self._clock.now()})
            wanted = job.model_copy(update={"metadata": meta})
            try:
                stored = await self._records.put_job(wanted, job.metadata.resource_version)
            except ConflictError:
                continue  # its status moved meanwhile: mark the newer version
            self._tell(stored, f"{field.removesuffix('_timestamp')} asked for")
            self._note(of_job(stored, _ASKED[field], by=viewer.who))
            return stored

    def _tell(self, job: Job, what: str) -> None:
        _log(job, what)
        self._add(job.metadata.name)

    async def _apply_worker(self, worker: Worker, *, dry_run: bool) -> Applied:
        old = self._records.workers.get(worker.metadata.name)
        if old is None:
            raise NotFoundError(f"worker {worker.metadata.name!r} not found: workers join by agent")
        if worker.spec.fenced and not old.spec.fenced:
            text = "a worker is fenced by its operator's own word only: expected cumulusctl fence"
            raise ValidationError([Problem(text, path="spec.fenced")])

        def kept(spec: WorkerSpec) -> WorkerSpec:
            return worker.spec.model_copy(update={"fenced": spec.fenced})

        wanted = kept(old.spec)
        if old.spec == wanted:
            return Applied(Outcome.UNCHANGED, old)
        if dry_run:
            return Applied(Outcome.CONFIGURED, old.model_copy(update={"spec": wanted}))
        written = await self._change_worker(worker.metadata.name, kept)
        return Applied(Outcome.CONFIGURED, written)

    async def _change_worker(self, name: str, change: Callable[[WorkerSpec], WorkerSpec]) -> Worker:
        written = await self._records.change_worker(
            name, lambda worker: worker.model_copy(update={"spec": change(worker.spec)})
        )
        if written is None:
            raise NotFoundError(f"worker {name!r} not found")
        for lease in self._records.leases_on(name):
            self._add(lease.spec.job_name)  # it may have to go elsewhere
        self._room()
        return written


def _log(job: Job, what: str) -> None:
    logger.bind(
        job_id=job.metadata.uid,
        job=job.metadata.name,
        attempt=job.status.attempt,
        worker=job.status.worker,
    ).info(what)


def _with_key(job: Job, idempotency_key: str) -> Job:
    """The job bearing this key, or none: a file got from another job may still bear that one's."""
    notes = {k: v for k, v in job.metadata.annotations.items() if k != IDEMPOTENCY}
    if idempotency_key:
        notes[IDEMPOTENCY] = idempotency_key
    meta = job.metadata.model_copy(update={"annotations": notes})
    return job.model_copy(update={"metadata": meta})


def _check_in_the_way(old: Job, job: Job, viewer: Viewer, *, may_change: bool) -> None:
    name, uid = old.metadata.name, old.metadata.uid
    if not viewer.sees(old.metadata):  # and nothing more is told of it
        raise ConflictError(f"the name {name!r} is taken", job_id=name)
    if not may_change and old.spec != job.spec:
        if not over(old) and old.spec == job.spec.model_copy(update={"suspend": True}):
            text = f"job {name!r} is paused: resume it, or choose another name"
            raise ConflictError(text, job_id=uid)
        raise ConflictError(
            f"job {name!r} exists with another spec: apply it to change it, or choose another name",
            job_id=uid,
        )
    if old.metadata.deletion_timestamp is not None:
        raise ConflictError(
            f"job {name!r} is being deleted: apply again once it is gone", job_id=uid
        )


def _check_pausable(job: Job, *, paused: bool) -> None:
    meta, verb = job.metadata, "pause" if paused else "resume"
    stopped = meta.deletion_timestamp is not None or meta.cancellation_timestamp is not None
    if over(job) or stopped:
        what = f"has ended as {job.status.phase.value}" if over(job) else "is being ended"
        raise ConflictError(f"job {meta.name!r} {what}: nothing to {verb}", job_id=meta.uid)


def _created(job: Job, owner: str, now: float) -> Job:
    uid = uuid.uuid4().hex
    meta = job.metadata.model_copy(
        update={
            "uid": uid,
            "owner": owner,
            "generation": 1,
            "resource_version": 0,
            "creation_timestamp": now,
            "deletion_timestamp": None,
            "cancellation_timestamp": None,
            "extension": 0,
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
        meta = meta.model_copy(update={"cancellation_timestamp": None, "extension": 0})
    return old.model_copy(update={"metadata": meta, "spec": wanted.spec}), reruns
