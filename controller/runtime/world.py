"""The world as the controller sees it now, ready to be handed to the plan. In memory only.

Fed by the platform observer (services, nodes), the agents' sessions (contact, lease states) and
the log spools; read by the reconciler, `why`, metrics. Everything runs on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from ...crd_like_specs.identity import unit_name
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Worker
from ..platforms.base import NodeSeen
from ..reconcile.fleet import Fleet
from ..reconcile.image_seen import ImageSeen, awaited
from ..reconcile.observed import (
    LogsSeen,
    Seen,
    Unready,
    WorkerSeen,
)
from .bookings import Bookings
from .contacts import Contacts
from .discretion import of_owner
from .lease_clock import LeaseClock
from .line import Line
from .quotas import LimitsOf, Quotas, no_limits
from .records import Records
from .services_seen import ServicesSeen
from .silences import KNOWN_SECONDS, Silences
from .usage import Usage


class Logs(Protocol):
    """How far the spool of one attempt has come."""

    def seen(self, unit: str) -> LogsSeen:
        """Completeness, and the head of the result."""


class Blobs(Protocol):
    """Whether a code zip is here."""

    def size(self, digest: str) -> int | None:
        """Bytes, or None where it is not here."""


class World:
    """See the module docstring. `started`: POSIX seconds when this controller came up; best_fit:
    place jobs where least is left over, not on the first worker with room. images(reference):
    what is known of an image that a job names. limits: of projects, see `Quotas`. runtimes: name → image of code that asks for it. marked: see `Clock.marked`.
    """

    def __init__(
        self,
        records: Records,
        logs: Logs,
        blobs: Blobs,
        *,
        platform: str,
        default_image: str,
        started: float,
        best_fit: bool = False,
        images: Callable[[str], ImageSeen] = ImageSeen,
        marked: Callable[[str], float | None] = lambda _: None,
        limits: LimitsOf = no_limits,
        runtimes: Mapping[str, str] | None = None,
    ) -> None:
        self._runtimes = runtimes or {}
        self._records = records
        self._logs = logs
        self._blobs = blobs
        self.platform = platform
        self.default_image = default_image
        self._images = images
        self._started = started
        self.services = ServicesSeen()
        """What runs on the platform."""
        self._nodes: dict[str, NodeSeen] | None = None
        self._contacts = Contacts(started)
        self._lease_clock = LeaseClock(records.leases.values(), started, marked)
        self._bookings = Bookings(records)
        self.quotas = Quotas(records.store, records.leases.values(), started, limits)
        """What projects hold and have used."""
        self._awaits: dict[str, str] = {}
        self._fleet = Fleet()
        self._stale: dict[str, None] = dict.fromkeys(records.workers)
        self._closed: set[str] = set()  # workers in the fleet that are not ready
        self._silences = Silences()
        self._looked_at = float("-inf")
        records.worker_listeners.append(self._worker_changed)
        self.best_fit = best_fit
        self.line = Line(records, self)
        """The queue of jobs that wait for room."""
        self.usage = Usage()
        """What workers last said they use."""

    # What the observers say

    def nodes_seen(self, nodes: Iterable[NodeSeen]) -> set[str]:
        """Every node of the platform; returns the ids of those that went up or down."""
        fresh = {node.node_id: node for node in nodes}
        old = self._nodes if self._nodes is not None else {}
        first, self._nodes = self._nodes is None, fresh
        changed = {
            node_id
            for node_id in fresh.keys() | old.keys()
            if _up(fresh.get(node_id)) != _up(old.get(node_id))
        }
        if changed or first:
            self._look_at_all()
        return changed

    def agent_heard(self, worker: str, now: float) -> bool:
        """Its agent spoke; returns whether it had been out of contact until now."""
        came = self._contacts.heard(worker, now)
        if came or worker in self._closed:
            self._stale[worker] = None
        return came

    def agent_left(self, worker: str) -> None:
        """Its agent's stream broke."""
        self._contacts.left(worker)
        self._stale[worker] = None

    def agent_reported(self, worker: str, *, clean: bool) -> bool:
        """Its agent told all it has; clean: nothing of it is unknown here. Returns whether it is
        so since now; once it was, it stays so while its agent stays.
        """
        self._stale[worker] = None
        return self._contacts.reported(worker, clean=clean)

    def in_contact(self, worker: str, now: float) -> bool:
        """Whether its agent can be told anything now."""
        return self._contacts.holds(worker, now)

    def lease_changed(self, name: str, uid: str) -> None:
        """Call after a lease's record was written or deleted; uid: of its job."""
        lease = self._records.leases.get(name)
        self._lease_clock.changed(name, lease)
        if self.quotas.changed(name, lease):
            self.line.quota_moved()
        if lease is None or self._bookings.knows(name, uid):
            self.line.moved()
        else:
            self.line.started(lease)
        worker = self._bookings.changed(name, uid, lease)
        if worker is not None:
            self._stale[worker] = None

    def reserve(self, lease: Lease) -> None:
        """Count it from now on, before its record is durable: nobody else is given the room."""
        if not self._bookings.knows(lease.metadata.name, lease.spec.job):
            self._bookings.take_up(lease)
            self.quotas.changed(lease.metadata.name, lease)
            self._stale[lease.spec.worker] = None
            self.line.started(lease)

    def unreserve(self, lease: Lease) -> None:
        """Its record could not be written."""
        name = lease.metadata.name
        if name not in self._records.leases:
            self.lease_changed(name, lease.spec.job)

    def _worker_changed(self, name: str) -> None:
        self._bookings.resized(name)
        self._awaits.pop(name, None)
        self._stale[name] = None
        if name not in self._records.workers:
            self._contacts.forget(name)
        self.line.moved()

    # What the plan is told

    def seen(self, job: Job, now: float) -> Seen:
        """Everything about one job and the fleet, as of now."""
        code = job.spec.code
        unit = unit_name(job.metadata.uid, max(1, job.status.attempt))
        services = self.services.of(job.metadata.uid)
        leases = self.leases_of(job.metadata.uid)
        phase = job.status.phase
        silent = phase.terminal or (phase.rank == 0 and not services and not leases)
        return Seen(
            services=services,
            leases=leases,
            workers=self.workers(now),
            claims=of_owner(self._records, job).claims(self.line.ahead_of(job, now)),
            best_fit=self.best_fit,
            logs=LogsSeen() if silent else self._logs.seen(unit),
            platform=self.platform,
            default_image=self.default_image,
            image=self.image_of(job),
            observed=self.services.observed,
            blob_present=code is None
            or code.digest is None
            or self._blobs.size(code.digest) is not None,
            times=self._lease_clock.times(self._bookings.names(job.metadata.uid)),
            since=self.services.since(job.metadata.uid),
            quota=self.line.quota_of(job, now),
        )

    def image_of(self, job: Job) -> ImageSeen:
        """The image that the job's service uses."""
        spec = job.spec
        name = spec.image or self._runtimes.get(spec.runtime, "")
        if name:
            return replace(self._images(name), name=name)
        return ImageSeen(obtainable=False) if spec.runtime else ImageSeen(self.default_image)

    def seen_orphan(self, uid: str, now: float) -> Seen:
        """What is left of a job that has no record."""
        return Seen(
            services=self.services.of(uid),
            leases=self.leases_of(uid),
            workers=self.workers(now),
            observed=self.services.observed,
            times=self._lease_clock.times(self._bookings.names(uid)),
        )

    def leases_of(self, uid: str) -> tuple[Lease, ...]:
        """Leases of one job, by name."""
        names = sorted(self._bookings.names(uid))
        return tuple(self._records.leases[n] for n in names if n in self._records.leases)

    def workers(self, now: float) -> Fleet:
        """Every worker with what is free on it, by name; as of now, and not to be kept."""
        if now < self._looked_at:
            self._look_at_all()  # a clock that was set back
        self._looked_at = now
        for name in self._silences.over(now, self._contacts.times, self._started):
            self._stale[name] = None
        for name in self._stale:
            worker = self._records.workers.get(name)
            if worker is None:
                self._fleet.drop(name)
                self._closed.discard(name)
                continue
            seen = self.worker_seen(worker, now)
            self._fleet.put(seen)
            if seen.known:
                self._silences.watch(name, now)
            (self._closed.discard if seen.ready else self._closed.add)(name)
        self._stale.clear()
        return self._fleet

    def worker_seen(self, worker: Worker, now: float) -> WorkerSeen:
        """One worker with what is free on it."""
        name = worker.metadata.name
        silent = self._contacts.silent_for(name, now)
        contact = self._contacts.holds(name, now)
        unready = self.unready(worker, now)
        return WorkerSeen(
            worker=worker,
            free=self._bookings.free(worker),
            ready=unready is None,
            known=contact or silent < KNOWN_SECONDS,
            heard_at=self._contacts.last(name),
            held=self._bookings.held(name),
            awaits=self._awaits_of(worker),
            contact=contact,
            contact_since=self._contacts.since(name),
            node_up=self.node_up(worker.status.node_id),
            unready=unready,
        )

    def holds(self, uid: str) -> bool:
        """Whether the job has a lease, or is just being given one."""
        return bool(self._bookings.names(uid))

    def unready(self, worker: Worker, now: float) -> Unready | None:
        """Why the worker takes no jobs now; None: it does."""
        name = worker.metadata.name
        if worker.spec.fenced:
            return Unready.FENCED
        if not self._contacts.holds(name, now):
            return Unready.OUT_OF_CONTACT
        if not self.node_up(worker.status.node_id):
            return Unready.NODE_DOWN
        return None if self._contacts.is_clean(name) else Unready.NOT_CLEAN

    def heard_at(self, worker: str) -> float:
        """When its agent last spoke, POSIX seconds; 0.0 for not since this controller came up."""
        return self._contacts.heard_at(worker)

    def node_up(self, node_id: str) -> bool:
        """True unless the platform says that the node is down or gone."""
        return self._nodes is None or _up(self._nodes.get(node_id))

    def uids(self) -> set[str]:
        """Uids of all jobs that have a service or a lease."""
        return self.services.uids() | self._bookings.uids()

    def _awaits_of(self, worker: Worker) -> str:
        name = worker.metadata.name
        if name not in self._awaits:
            self._awaits[name] = awaited(worker, self.default_image)
        return self._awaits[name]

    def _look_at_all(self) -> None:
        self._stale = dict.fromkeys(self._records.workers)


def _up(node: NodeSeen | None) -> bool:
    return node is not None and node.up
