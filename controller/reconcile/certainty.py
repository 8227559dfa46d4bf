"""When nothing of an attempt runs any more, for certain. Pure.

Nothing of a job starts anywhere while this can't be told of what was there before, and no share
is given to another: the plan's promise that nothing runs twice rests here, on

- the agent's word that it verified the end (state Saving or Ended);
- an operator's word (`fenced`);
- time: an agent that nobody hears ends its leases alone, at the end of each, or before that where
  the job says so (`stopAfterDisconnect`, counted from the last time the controller heard it:
  the agent counts from an earlier moment, the sending of what was heard last).

The platform's word that a node is down proves nothing: it may only be cut off.
"""

from __future__ import annotations

from dataclasses import replace

from ...crd_like_specs.lease import Lease, LeaseStatus
from .observed import LeaseTimes, ServiceSeen, ServiceState, WorkerSeen
from .timing import DRIFT, FORGET_MARGIN, REMOVAL_MARGIN, earliest


def over_at(lease: Lease, times: LeaseTimes, worker: WorkerSeen | None) -> float | None:
    """From when on nothing of the lease's attempt runs (POSIX seconds; the past: already), as far
    as time alone tells. None: only its agent's word does, and that can be had.
    """
    reached = worker is None or worker.node_up
    if lease.status.state.freed:
        # The platform may have started it late, and the agent be dead since: then it ends it.
        silent = worker is not None and not worker.contact and worker.node_up
        return times.released + REMOVAL_MARGIN if silent and times.released else 0.0
    if worker is not None and worker.worker.spec.fenced:
        # Nothing runs there, but its node may be back, and have started what was just removed.
        return times.released + REMOVAL_MARGIN if times.released and reached else 0.0
    if worker is not None and worker.contact:
        return None
    if not times.ends:
        return 0.0  # it was never held: nothing was started under it
    over = alone_at(lease, times, worker)
    if times.released and reached:
        # The agent may be dead as well as silent; then it is the platform that stops what runs.
        over = max(over, times.released + REMOVAL_MARGIN)
    return over


def alone_at(lease: Lease, times: LeaseTimes, worker: WorkerSeen | None) -> float:
    """By when an agent that stays silent has ended this lease alone, margins included."""
    span = lease.spec.duration
    ends = times.ends + FORGET_MARGIN + DRIFT * span
    cut = disconnected_at(lease, worker)
    if cut is None:
        return ends
    return min(ends, cut + FORGET_MARGIN + DRIFT * lease.spec.stop_after_disconnect)


def disconnected_at(lease: Lease, worker: WorkerSeen | None) -> float | None:
    """When the lease's `stopAfterDisconnect` is over, at the latest; None where it has none, or
    where its agent is in contact.
    """
    wait = lease.spec.stop_after_disconnect
    if not wait or worker is None or worker.contact:
        return None
    return worker.heard_at + wait


def as_its_worker_says(service: ServiceSeen, status: LeaseStatus) -> ServiceSeen:
    """A service that the platform lost, with the end that its worker's agent saw."""
    if status.exit_code is None:
        return service
    return replace(
        service,
        state=ServiceState.FAILED if status.exit_code else ServiceState.COMPLETE,
        exit_code=status.exit_code,
        finished_at=status.finished_at,
        message="",
    )


def due_at(lease: Lease, times: LeaseTimes, worker: WorkerSeen | None) -> float | None:
    """When its worker should have ended it: then the controller steps in. None: never held."""
    return earliest(times.ends or None, disconnected_at(lease, worker))
