"""What leases set aside of each worker, as placement and the queue reckon it. In memory only; owned
by `world.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ...crd_like_specs.lease import Lease, LeaseSpec
from ...crd_like_specs.worker import Worker
from ..reconcile.observed import Booking, Free
from ..reconcile.timing import START_ALLOWANCE
from .records import Records


@dataclass(slots=True)
class Used:
    """What all leases of one worker set aside: device index → thousandths, cores, bytes."""

    milli: dict[int, int] = field(default_factory=dict)
    cpus: int = 0
    memory: int = 0
    pids: int = 0

    def add(self, spec: LeaseSpec, sign: int) -> None:
        """Count a lease in (1) or out (-1)."""
        for device in spec.devices:
            self.milli[device] = self.milli.get(device, 0) + sign * spec.memory_milli
        self.cpus += sign * spec.cpus
        self.memory += sign * spec.memory
        self.pids += sign * spec.pids


class Bookings:
    """All leases on record, and those that are about to be: each counted once."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._by_uid: dict[str, dict[str, LeaseSpec]] = {}
        self._used: dict[str, Used] = {}
        self._freed: set[str] = set()  # leases whose room is given back, though they are on record
        self._free_of: dict[str, Free] = {}
        self._held_on: dict[str, tuple[Booking, ...]] = {}
        for lease in records.leases.values():
            self.take_up(lease)

    def knows(self, name: str, uid: str) -> bool:
        """Whether this lease of that job is counted."""
        return name in self._by_uid.get(uid, ())

    def names(self, uid: str) -> Collection[str]:
        """Of the job's leases."""
        return self._by_uid.get(uid, ())

    def uids(self) -> set[str]:
        """Uids of all jobs that have a lease."""
        return set(self._by_uid)

    def changed(self, name: str, uid: str, lease: Lease | None) -> str | None:
        """Its record was written, or deleted (None); uid: of its job. Returns the worker on which
        something may have changed.
        """
        known = self.knows(name, uid)
        if lease is not None:
            self._held_on.pop(lease.spec.worker, None)
            if not known:
                self.take_up(lease)
            elif lease.vacated:
                self._give_back(name, lease.spec)
            return lease.spec.worker
        if not known:
            return None
        spec = self._by_uid[uid].pop(name)
        if not self._by_uid[uid]:
            del self._by_uid[uid]
        self._give_back(name, spec)
        self._freed.discard(name)
        return spec.worker

    def take_up(self, lease: Lease) -> None:
        """Count a lease once: what it sets aside never changes, until it is given back."""
        spec = lease.spec
        self._by_uid.setdefault(spec.job, {})[lease.metadata.name] = spec
        self._used.setdefault(spec.worker, Used()).add(spec, 1)
        self._free_of.pop(spec.worker, None)
        if lease.vacated:
            self._give_back(lease.metadata.name, spec)

    def resized(self, worker: str) -> None:
        """The worker's record was written or deleted: it may have more or less to give."""
        self._free_of.pop(worker, None)

    def free(self, worker: Worker) -> Free:
        """What no lease sets aside of it."""
        name, status = worker.metadata.name, worker.status
        if name not in self._free_of:
            used = self._used.get(name, Used())
            self._free_of[name] = Free(
                milli={d.index: 1000 - used.milli.get(d.index, 0) for d in status.devices},
                cpus=status.cpus - used.cpus,
                memory=status.memory - used.memory,
                pids=status.pids - used.pids if status.pids else None,
            )
        return self._free_of[name]

    def held(self, worker: str) -> tuple[Booking, ...]:
        """Its leases whose room is not given back."""
        if worker not in self._held_on:
            leases = self._records.leases_on(worker)
            held = (lease for lease in leases if lease.metadata.name not in self._freed)
            self._held_on[worker] = tuple(booking(lease) for lease in held)
        return self._held_on[worker]

    def _give_back(self, name: str, spec: LeaseSpec) -> None:
        """Its room is free, once, although something of it may still be on its way to safety."""
        if name not in self._freed:
            self._freed.add(name)
            self._used[spec.worker].add(spec, -1)
        self._free_of.pop(spec.worker, None)
        self._held_on.pop(spec.worker, None)


def booking(lease: Lease) -> Booking:
    """What the queue knows of a lease. It is held to the end that was reckoned with when it was
    placed: who prepares for long keeps others waiting, but lets nobody slip in meanwhile.
    """
    spec = lease.spec
    reckoned = spec.not_before + START_ALLOWANCE + spec.duration
    return Booking(
        job=spec.job_name,
        worker=spec.worker,
        start=0.0,
        end=min(lease.status.expires_at or reckoned, reckoned)
        if spec.not_before
        else lease.status.expires_at,
        devices=spec.devices,
        milli=spec.memory_milli,
        cpus=spec.cpus,
        memory=spec.memory,
        pids=spec.pids,
    )
