"""Taking down what is left of attempts, and of jobs whose record is gone. Pure.

A service goes before its lease, a lease's wish before its record; each step waits until the one
before it is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...crd_like_specs.lease import Lease, LeaseState
from .actions import Action, ForgetLease, Plan, ReleaseLease, RemoveService
from .certainty import over_at
from .fleet import named
from .observed import LeaseTimes, Seen, ServiceSeen, WorkerSeen
from .timing import PLATFORM_RETRY, SAVING_PATIENCE, earliest


def worker_of(lease: Lease, workers: Sequence[WorkerSeen]) -> WorkerSeen | None:
    """The lease's worker, if it exists."""
    return named(workers, lease.spec.worker)


def times_of(lease: Lease, seen: Seen) -> LeaseTimes:
    """By the controller's clock; of a lease it has no such times of, what its record says."""
    known = seen.times.get(lease.metadata.name)
    if known is not None:
        return known
    return LeaseTimes(lease.status.expires_at, lease.metadata.deletion_timestamp or 0.0)


def take_down(
    seen: Seen,
    services: Sequence[ServiceSeen],
    leases: Sequence[Lease],
    now: float,
    *,
    keep: bool = True,
    patience: float = SAVING_PATIENCE,
) -> tuple[tuple[Action, ...], float | None]:
    """The next steps for these of what is seen, and when to look again; ((), None) where nothing
    is left or news decides. keep: what the attempts left is still of use to somebody; patience:
    seconds for which an agent that fell silent while it saves that is waited for.
    """
    actions: list[Action] = [RemoveService(service.name) for service in services]
    there = {service.name for service in services}
    wake: float | None = None
    for lease in leases:
        name = lease.metadata.name
        if name in there:
            continue
        if lease.metadata.deletion_timestamp is None:
            actions.append(ReleaseLease(name))
            continue
        worker = worker_of(lease, seen.workers)
        over = over_at(lease, times_of(lease, seen), worker)
        if keep and lease.status.state is LeaseState.SAVING:
            over = saved_at(worker, patience)
        if over is not None and now >= over:
            actions.append(ForgetLease(name))
        else:
            wake = earliest(wake, over)
    return tuple(actions), wake


def saved_at(worker: WorkerSeen | None, patience: float = SAVING_PATIENCE) -> float | None:
    """From when on what an attempt left is not waited for any more; None: until its agent says so,
    which gives up by itself.
    """
    if worker is None or worker.worker.spec.fenced:
        return 0.0
    return None if worker.contact else worker.heard_at + patience


def plan_orphan(seen: Seen, now: float) -> Plan:
    """What bears our label but belongs to no job is taken down, in the same order."""
    if not seen.observed:
        return Plan("platform-unseen", (), None, now + PLATFORM_RETRY)
    actions, wake = take_down(seen, seen.services, seen.leases, now, keep=False)
    return Plan("orphan", actions, None, wake)
