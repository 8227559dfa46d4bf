"""What leases set aside of a worker, as placement and the queue reckon it. Pure; used by `World`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...crd_like_specs.lease import Lease, LeaseSpec
from ..reconcile.observed import Booking
from ..reconcile.timing import START_ALLOWANCE


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
