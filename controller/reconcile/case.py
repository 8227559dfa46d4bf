"""One job's situation, read once for all rules: what of its current attempt exists. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Attempt, Cause, Job, JobStatus, Phase
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Device
from .actions import Action, Plan
from .certainty import alone_at, as_its_worker_says, disconnected_at, due_at, over_at
from .cleanup import take_down, times_of, worker_of
from .observed import LeaseTimes, Seen, ServiceSeen, ServiceState, WorkerSeen
from .timing import LEFT_PATIENCE, SAVING_PATIENCE, STRAY_PATIENCE, earliest, retry_delay

MAX_ATTEMPTS_KEPT = 200

SUSPENDED = "Suspended"
"""Why an attempt is stopped to go on once its user says so."""

DRAINED = "Drained"
"""Why an attempt is stopped to go on elsewhere: the operator's wish, not the user's."""


@dataclass(frozen=True)
class Case:
    """job: the record; seen: the world; now: POSIX seconds. All rules read it, none changes it."""

    job: Job
    seen: Seen
    now: float

    @property
    def status(self) -> JobStatus:
        """The job's status as stored."""
        return self.job.status

    @property
    def unit(self) -> str:
        """Name of the current attempt's service and lease."""
        return unit_name(self.job.metadata.uid, max(1, self.status.attempt))

    @cached_property
    def service(self) -> ServiceSeen | None:
        """The current attempt's service, if it is seen. Where the platform cannot tell what became
        of it, its worker's agent may: what ended there is not lost.
        """
        found = next((s for s in self.seen.services if s.name == self.unit), None)
        if found is None or found.state is not ServiceState.LOST or self.lease is None:
            return found
        return as_its_worker_says(found, self.lease.status)

    @cached_property
    def lease(self) -> Lease | None:
        """The current attempt's lease record, if there is one."""
        return next((x for x in self.seen.leases if x.metadata.name == self.unit), None)

    @cached_property
    def stale_services(self) -> tuple[ServiceSeen, ...]:
        """Services of earlier attempts that are still there."""
        return tuple(s for s in self.seen.services if s.name != self.unit)

    @cached_property
    def stale_leases(self) -> tuple[Lease, ...]:
        """Leases of earlier attempts that are still there."""
        return tuple(x for x in self.seen.leases if x.metadata.name != self.unit)

    def worker(self, lease: Lease) -> WorkerSeen | None:
        """The lease's worker, if it exists."""
        return worker_of(lease, self.seen.workers)

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those of the attempt's worker, as far as it is known."""
        worker = self.worker(self.lease) if self.lease else None
        return worker.worker.status.devices if worker else ()

    def in_contact(self, lease: Lease) -> bool:
        """True while the agent that holds the lease can be told anything."""
        worker = self.worker(lease)
        return worker is not None and worker.contact

    def fenced(self, lease: Lease) -> bool:
        """True where an operator vouches that nothing runs on the lease's worker."""
        worker = self.worker(lease)
        return worker is not None and worker.worker.spec.fenced

    def times(self, lease: Lease) -> LeaseTimes:
        """Of the lease, by the controller's clock."""
        return times_of(lease, self.seen)

    def over_at(self, lease: Lease) -> float | None:
        """From when on nothing of it runs, as far as time tells; see `certainty.py`."""
        return over_at(lease, self.times(lease), self.worker(lease))

    def alone_at(self, lease: Lease) -> float:
        """By when its agent has ended it alone if it stays silent; see `certainty.py`."""
        return alone_at(lease, self.times(lease), self.worker(lease))

    def due_at(self, lease: Lease) -> float | None:
        """When its worker should have ended it; see `certainty.py`."""
        return due_at(lease, self.times(lease), self.worker(lease))

    def disconnected_at(self, lease: Lease) -> float | None:
        """When its agent ends it for want of contact, at the latest; see `certainty.py`."""
        return disconnected_at(lease, self.worker(lease))

    def disconnected(self, lease: Lease) -> bool:
        """True where its agent was silent for so long that it has ended it for that by now."""
        cut = self.disconnected_at(lease)
        return cut is not None and self.now >= cut

    @property
    def stopping(self) -> str:
        """Why the attempt is being stopped: what was begun is carried through, whatever the
        wish has become since; else what is wished now.
        """
        return self.status.stopping or self.stop_reason

    @property
    def stop_reason(self) -> str:
        """Why this attempt must not go on, or ""."""
        meta = self.job.metadata
        if meta.deletion_timestamp is not None:
            return "Deleted"
        if meta.cancellation_timestamp is not None:
            return "Cancelled"
        if self.status.observed_generation != meta.generation and self.redefined:
            return "Superseded"
        if self.job.spec.suspend:
            return SUSPENDED
        return DRAINED if self.draining else ""

    @cached_property
    def draining(self) -> bool:
        """True where the attempt's worker is to be emptied."""
        worker = self.worker(self.lease) if self.lease is not None else None
        return worker is not None and worker.worker.spec.drain

    @cached_property
    def redefined(self) -> bool:
        """True where the spec defines another run than the one this attempt is of."""
        status = self.status
        return (
            status.attempt > 0
            and status.observed_generation != self.job.metadata.generation  # else: it was noted
            and self.job.spec.run_hash() != status.run_hash
        )

    @property
    def stop_since(self) -> float:
        """When stopping was asked for, as far as it is recorded (0.0: not recorded)."""
        meta = self.job.metadata
        return earliest(meta.deletion_timestamp, meta.cancellation_timestamp) or 0.0

    # What a rule answers with

    def wait(self, rule: str, wake_at: float | None = None, **changes: object) -> Plan:
        """Nothing to do but write the changes down, if they are any."""
        return self.act(rule, (), wake_at, **changes)

    def act(
        self,
        rule: str,
        actions: tuple[Action, ...],
        wake_at: float | None = None,
        **changes: object,
    ) -> Plan:
        """Do the actions, then write the changes down."""
        status = self.status.model_copy(update=changes) if changes else self.status
        return Plan(rule, actions, None if status == self.status else status, wake_at)

    def end(
        self,
        rule: str,
        phase: Phase,
        *,
        cause: Cause | None = None,
        reason: str = "",
        message: str = "",
    ) -> Plan:
        """End the attempt: for good, or as one of several where `retry` says so."""
        attempt = self._ended(phase, cause, reason, message)
        failures = 1 + sum(
            a.number >= self.status.first_attempt and a.cause is not None
            for a in self.status.attempts
        )
        retry = self.job.spec.retry
        if (
            cause is not None
            and cause in retry.on
            and failures <= retry.limit
            and self.stopping in ("", DRAINED)
        ):
            delay = retry_delay(retry.backoff, failures)
            return self.again(
                rule,
                attempt,
                retry_at=self.now + delay,
                reason="Retrying",
                message=f"attempt {attempt.number} ended as {reason or phase.value}; "
                f"attempt {attempt.number + 1} in {delay:.0f} s ({failures} of {retry.limit} retries)",
            )
        result = self.seen.logs.result
        return self.wait(
            rule,
            self.now,
            phase=phase,
            reason=reason,
            message=message,
            exit_code=attempt.exit_code,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            result_size=result.size if result else 0,
            attempts=(*self.status.attempts, attempt)[-MAX_ATTEMPTS_KEPT:],
            waiting_for=(),
            retry_at=0.0,
            cleaned=False,
        )

    def unstarted(self, rule: str, reason: str, message: str, delay: float) -> Plan:
        """Give the attempt up although nothing of the user's ran: try anew, uncounted."""
        attempt = self._ended(Phase.CANCELLED, None, reason, message)
        return self.again(rule, attempt, retry_at=self.now + delay, reason=reason, message=message)

    def stopped(self, reason: str) -> Plan:
        """The attempt is over as it was wished; reason: of `stopping`."""
        if reason == SUSPENDED:
            text = "suspended; it goes on when resumed, from its checkpoint if it has one"
            return self.unstarted("suspended", reason, text, 0.0)
        if reason == "Superseded":
            return self.unstarted("superseded", reason, "a changed spec was applied", 0.0)
        if reason == DRAINED:
            text = f"worker {self.status.worker} is drained; it starts anew elsewhere"
            return self.unstarted("drained", reason, text, 0.0)
        return self.end("stopped", Phase.CANCELLED, reason=reason, message="was stopped on request")

    def again(
        self, rule: str, ended: Attempt | None, *, retry_at: float, reason: str, message: str
    ) -> Plan:
        """Begin the next attempt; what is left of the ended one is stale from here on."""
        meta, number = self.job.metadata, self.status.attempt + 1
        if ended is not None and not ended.started_at and self.status.phase is Phase.STARTING:
            # Its service may have been removed just as its container was being started.
            retry_at = max(retry_at, self.now + STRAY_PATIENCE)
        redefined = self.redefined or not self.status.attempt
        kept = (*self.status.attempts, ended) if ended else self.status.attempts
        status = JobStatus(
            phase=Phase.PENDING,
            reason=reason,
            message=message,
            attempt=number,
            observed_generation=meta.generation,
            run_hash=self.job.spec.run_hash(),
            first_attempt=number if redefined else self.status.first_attempt,
            submitted_at=self.now if redefined else self.status.submitted_at,
            retry_at=retry_at,
            attempts=kept[-MAX_ATTEMPTS_KEPT:],
            conditions=self.status.conditions,
            checkpoints=() if redefined else self.status.checkpoints,
            outputs=self.status.outputs,
        )
        return Plan(rule, (), status, retry_at or self.now)

    def remains(self, *, current: bool) -> tuple[tuple[Action, ...], float | None]:
        """The next clean-up steps of earlier attempts, and of the current one if asked to."""
        services = self.seen.services if current else self.stale_services
        leases = self.seen.leases if current else self.stale_leases
        kept = self.job.metadata.deletion_timestamp is None
        patience = LEFT_PATIENCE if self.status.phase.terminal else SAVING_PATIENCE
        return take_down(self.seen, services, leases, self.now, keep=kept, patience=patience)

    @property
    def anything_left(self) -> bool:
        """True while any service or lease of any attempt is there."""
        return bool(self.seen.services or self.seen.leases)

    def _ended(self, phase: Phase, cause: Cause | None, reason: str, message: str) -> Attempt:
        service = self.service
        ran = service is not None and service.state.ended
        return Attempt(
            number=max(1, self.status.attempt),
            phase=phase,
            cause=cause,
            reason=reason,
            message=message,
            exit_code=service.exit_code if service else None,
            worker=self.status.worker,
            devices=self.status.devices,
            started_at=self.status.started_at or (service.started_at if service else 0.0),
            finished_at=(service.finished_at if service and ran else 0.0) or self.now,
            expires_at=self.status.expires_at,
        )
