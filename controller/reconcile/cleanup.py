"""Taking down what is left of attempts, and of jobs whose record is gone. Pure.

A service goes before its lease, a lease's wish before its record; each step waits until the one
before it is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...crd_like_specs.lease import Lease, LeaseState
from .actions import Action, ForgetLease, Plan, ReleaseLease, RemoveService
from .fleet import named
from .observed import Seen, ServiceSeen, WorkerSeen
from .timing import FORGET_MARGIN, PLATFORM_RETRY, earliest


def worker_of(lease: Lease, workers: Sequence[WorkerSeen]) -> WorkerSeen | None:
    """The lease's worker, if it exists."""
    return named(workers, lease.spec.worker)


def in_contact(lease: Lease, workers: Sequence[WorkerSeen]) -> bool:
    """True while the agent that holds the lease can be told anything."""
    worker = worker_of(lease, workers)
    return worker is not None and worker.ready


def take_down(
    services: Sequence[ServiceSeen],
    leases: Sequence[Lease],
    workers: Sequence[WorkerSeen],
    now: float,
) -> tuple[tuple[Action, ...], float | None]:
    """The next steps, and when to look again; ((), None) where nothing is left or news decides."""
    actions: list[Action] = [RemoveService(service.name) for service in services]
    there = {service.name for service in services}
    wake: float | None = None
    for lease in leases:
        name = lease.metadata.name
        if name in there:
            continue
        if lease.metadata.deletion_timestamp is None:
            actions.append(ReleaseLease(name))
        elif lease.status.state is LeaseState.ENDED:
            actions.append(ForgetLease(name))
        elif not in_contact(lease, workers):
            # Its agent ends it alone; a lease that was never held never ran anything.
            end = lease.status.expires_at
            over = end + FORGET_MARGIN if end else now
            if now >= over:
                actions.append(ForgetLease(name))
            else:
                wake = earliest(wake, over)
    return tuple(actions), wake


def plan_orphan(seen: Seen, now: float) -> Plan:
    """What bears our label but belongs to no job is taken down, in the same order."""
    if not seen.observed:
        return Plan("platform-unseen", (), None, now + PLATFORM_RETRY)
    actions, wake = take_down(seen.services, seen.leases, seen.workers, now)
    return Plan("orphan", actions, None, wake)
