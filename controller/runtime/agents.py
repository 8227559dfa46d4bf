"""Where agents report to: their observed state in, the set of leases wanted on them out.

Level-triggered both ways: a report replaces everything known of the worker, and the wanted set is
sent whole whenever it may have changed. Implements `api.ports.AgentsPort` on the event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from loguru import logger

from ...api.frames import (
    ImageWanted,
    LeaseWanted,
    LogAck,
    LogBatch,
    LookNow,
    NodeReport,
    NodeUsage,
    Wanted,
)
from ...crd_like_specs.errors import StoreError
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import EXPIRED, Lease, LeaseState, LeaseStatus
from ...crd_like_specs.meta import ObjectMeta
from ...crd_like_specs.worker import Worker
from .clock import Clock
from .images import Images
from .lease_reports import bounded, has_looked, log_lease, observed, of_former_boot
from .left import Left
from .logs import Logs
from .readiness import READY, with_ready
from .records import Records
from .rental import with_rental
from .session import Session
from .world import World


class Agents:
    """look(unit): list the platform soon; add(key): put a job on the queue; room(): jobs that
    wait may fit now; overrun(seconds): a lease ended so long after its time. images: what the
    controller can give to workers; job_image: name that the job image is to bear there; told: of
    each lease that came to another state, as it was and is; left: what attempts left.
    """

    def __init__(
        self,
        records: Records,
        world: World,
        logs: Logs,
        clock: Clock,
        *,
        look: Callable[[str], None],
        add: Callable[[str], None],
        room: Callable[[], None],
        overrun: Callable[[float], None],
        images: Images | None = None,
        job_image: str = "",
        told: Callable[[Lease, Lease], None] = lambda _old, _new: None,
        left: Left | None = None,
    ) -> None:
        self._told = told
        self._records = records
        self._world = world
        self._logs = logs
        self._clock = clock
        self._look = look
        self._add = add
        self._room = room
        self._overrun = overrun
        self._images = images
        self._job_image = job_image
        self._left = left
        self.gone: Callable[[str], bool] = lambda _digest: False
        """Whether the dataset with this digest exists no more."""
        self._sessions: dict[str, Session] = {}

    # AgentsPort

    async def session(self, worker: str, peer: str) -> Session:
        """Open one; an older session of the same worker ends."""
        self.end_session(worker)
        self._world.agent_left(worker)
        session = self._sessions[worker] = Session(self, worker)
        logger.bind(worker=worker).info("agent connected from {}", peer)
        return session

    async def may_read_blob(self, worker: str, digest: str) -> bool:
        """Whether a lease wanted on this worker ("" any) needs that code."""
        records = self._records
        leases = records.leases_on(worker) if worker else records.leases.values()
        return any(
            job.spec.code is not None and job.spec.code.digest == digest
            for lease in leases
            if lease.metadata.deletion_timestamp is None
            and (job := self._job_of(lease)) is not None
        )

    # What the executor signals

    def wanted_changed(self, worker: str) -> None:
        """Send the wanted set anew."""
        session = self._sessions.get(worker)
        if session is not None:
            session.wake()

    def all_wanted_changed(self) -> None:
        """The controller's engine holds other images, or a dataset is gone: send every wanted set."""
        for session in list(self._sessions.values()):
            session.wake()

    def end_session(self, worker: str) -> None:
        """End the worker's session, if it has one."""
        session = self._sessions.get(worker)
        if session is not None:
            session.end()

    def close(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            session.end()

    # What sessions hand over

    def wanted(self, worker: str) -> Wanted:
        """Everything wanted on the worker now; on a fenced one nothing is, so that it cleans itself."""
        known = self._records.workers.get(worker)
        if known is not None and known.spec.fenced:
            return Wanted()
        leases = self._records.leases_on(worker)
        composed = (self._compose(x) for x in leases if x.metadata.deletion_timestamp is None)
        wanted = tuple(item for item in composed if item is not None)
        return Wanted(wanted, self.wanted_images(worker), self._dropped(worker))

    def wanted_images(self, worker: str) -> tuple[ImageWanted, ...]:
        """The job image, and those of the leases there, as far as the controller holds them."""
        if self._images is None:
            return ()
        names = {self._world.default_image: self._job_image or self._world.default_image}
        for lease in self._records.leases_on(worker):
            job = None if lease.metadata.deletion_timestamp is not None else self._job_of(lease)
            image = self._world.image_of(job) if job is not None else None
            if image is not None and image.name:
                names.setdefault(image.reference, image.name)
        return self._images.given(names)

    async def report(self, report: NodeReport) -> None:
        """The worker's whole state: its record, and the status of every lease on it.

        ValidationError where it says more than any agent has to; nothing of it is kept then.
        """
        report = bounded(report)
        now, name = self._clock.now(), report.worker
        came = self._world.agent_heard(name, now)
        seen = {lease.name: lease.status for lease in report.leases}
        anew, looked = self._started_anew(report), has_looked(report)
        for lease in self._records.leases_on(name):
            if came:
                self._add(lease.spec.job_name)
            status = seen.get(lease.metadata.name)
            if status is None and anew:
                status = of_former_boot(lease)
            if status is not None or looked:
                await self._put_status(lease.metadata.name, status, now)
        cleaned = self._world.agent_reported(name, clean=self._is_clean(report))
        # Last, since it notes the boot: should this controller die before, it is told again.
        changed = await self._put_worker(report)
        if changed or came or cleaned:
            self._room()
        if changed and self._dropped(name):
            self.wanted_changed(name)

    async def logs(self, batch: LogBatch, worker: str = "") -> LogAck:
        """Keep records of a unit; the job is looked at once its output is complete.

        worker: whose agent sent them ("" any). What belongs to no lease there is acknowledged
        and dropped: its job is over or gone, and nobody would ever delete the file.
        """
        lease = self._records.leases.get(batch.unit)
        if lease is None or worker not in ("", lease.spec.worker):
            last = batch.records[-1].sequence + 1 if batch.records else 0
            return LogAck(batch.unit, max(last, batch.total or 0))
        try:
            following, completed = await self._logs.append(
                batch.unit, batch.records, batch.total, lease.spec.worker
            )
        except OSError as error:
            raise StoreError(
                f"output of {batch.unit} cannot be kept: {error.strerror}", job_id=lease.spec.job
            ) from error
        if completed:
            self._add(lease.spec.job_name)
        return LogAck(batch.unit, following)

    def heard(self, worker: str) -> None:
        """The agent lives."""
        if self._world.agent_heard(worker, self._clock.now()):
            self._room()

    def used(self, worker: str, usage: NodeUsage) -> None:
        """What the worker uses now."""
        self._world.usage.put(worker, usage, self._clock.now())

    def hint(self, hint: LookNow) -> None:
        """A container of ours changed."""
        self._look(hint.unit)

    def left(self, session: Session) -> None:
        """The session's stream is gone."""
        if self._sessions.get(session.worker) is session:
            del self._sessions[session.worker]
            self._world.agent_left(session.worker)
            self._world.usage.forget(session.worker)
            logger.bind(worker=session.worker).warning("agent disconnected")

    def now(self) -> float:
        """POSIX seconds."""
        return self._clock.now()

    # How

    async def _put_worker(self, report: NodeReport) -> bool:
        """Whether the record is another one now."""
        name, labels = report.worker, dict(report.labels)
        status = report.status.model_copy(update={"last_heartbeat": 0.0})
        now = self._clock.now()

        def seen(worker: Worker) -> Worker:
            meta = worker.metadata.model_copy(update={"labels": labels})
            known = worker.status.condition(READY)
            if known is not None:  # it stays as it was; `with_ready` tells what changed
                conditions = (*status.conditions, known)
                reported = status.model_copy(update={"conditions": conditions})
            else:
                reported = status
            spec = with_rental(worker.spec, worker.metadata.labels, labels)
            worker = worker.model_copy(update={"metadata": meta, "spec": spec, "status": reported})
            return with_ready(worker, self._world.unready(worker, now), now)

        old = self._records.workers.get(name)
        if old is None:
            meta = ObjectMeta(name=name, uid=name, creation_timestamp=now)
            await self._records.put_worker(seen(Worker(metadata=meta)))
        elif await self._records.change_worker(name, seen) == old:
            return False
        return True

    async def _put_status(self, name: str, seen: LeaseStatus | None, now: float) -> None:
        """seen: None where the worker does not hold it."""
        old = self._records.leases.get(name)
        ends = self._clock.mark
        if old is not None and seen is not None:
            seen = self._with_what_is_here(old, seen)
        new = await self._records.change_lease(name, lambda x: observed(x, seen, ends, now))
        if old is None or new is None or new.status == old.status:
            return
        self._world.lease_changed(name, new.spec.job)
        if new.status.state.freed and not old.status.state.freed:
            self._note_overrun(new)
        if new.status.state is not old.status.state:
            log_lease(old.status, new)
            self._told(old, new)
        if new.vacated and not old.vacated:
            self._room()
        self._add(new.spec.job_name)

    def _with_what_is_here(self, lease: Lease, seen: LeaseStatus) -> LeaseStatus:
        """Without anything to keep it in nothing was brought, whatever the agent says."""
        if self._left is None:
            return seen.model_copy(update={"checkpoint": None, "outputs": None})
        return self._left.confirmed(lease, seen, self._job_of(lease))

    def _note_overrun(self, lease: Lease) -> None:
        """By its agent's own measure, however late it is told. Only a lease that came to its own
        end can have run over it.
        """
        seen = lease.status
        if seen.reason == EXPIRED and seen.ended_at:
            self._overrun(max(0.0, seen.ended_at - seen.expires_at))

    def _started_anew(self, report: NodeReport) -> bool:
        """Whether the machine was started since its last report, so that nothing of before runs."""
        known = self._records.workers.get(report.worker)
        old, new = known.status.boot_id if known is not None else "", report.status.boot_id
        return bool(old and new) and old != new

    def _is_clean(self, report: NodeReport) -> bool:
        """Whether all that the worker holds is wanted there, and it knows what runs."""
        if not has_looked(report):
            return False
        wanted = {
            lease.metadata.name
            for lease in self._records.leases_on(report.worker)
            if lease.metadata.deletion_timestamp is None
        }
        return all(lease.name in wanted or lease.status.state.freed for lease in report.leases)

    def _dropped(self, worker: str) -> tuple[str, ...]:
        """Digests of the datasets on it that exist no more. Its own word is all that says which are
        there, so that one which was away is told once it comes back.
        """
        known = self._records.workers.get(worker)
        return tuple(d for d in known.status.datasets if self.gone(d)) if known else ()

    def _job_of(self, lease: Lease) -> Job | None:
        """The lease's job; None where it is gone (another may bear its name)."""
        job = self._records.job(lease.spec.job_name)
        return job if job is not None and job.metadata.uid == lease.spec.job else None

    def _compose(self, lease: Lease) -> LeaseWanted | None:
        """The lease with what must be staged for it; None where its job is gone."""
        job = self._job_of(lease)
        if job is None:
            return None
        # Once held it has an end, which a restarted agent must keep; an extension counts at once.
        seen = lease.status
        ends = max(seen.expires_at, seen.held_at + lease.spec.duration) if seen.expires_at else 0.0
        spec = lease.spec.model_copy(update={"not_after": ends})
        name, code = lease.metadata.name, job.spec.code
        image = self._world.image_of(job).reference
        preparing = lease.status.state in (LeaseState.PENDING, LeaseState.PREPARING)
        return LeaseWanted(
            name=name,
            spec=spec,
            code_digest=(code.digest or "") if code else "",
            requirements=job.spec.requirements,
            args_json=json.dumps(job.spec.args),
            image=image,
            next_log=self._logs.next_of(name),
            # Nobody is given a password without need: what is held has its image already.
            registry_auth=self._images.auth(image) if self._images and preparing else "",
            datasets=job.spec.datasets,
        )
