"""The rule that lets a lease last as long as its job is to. Pure.

A duration is only ever extended; what shortens it is another spec, and so another run.
"""

from __future__ import annotations

from typing import Final

from ...crd_like_specs.lease import LeaseState
from .actions import Plan, PutLease
from .case import Case

_OPEN: Final = (LeaseState.PENDING, LeaseState.PREPARING, LeaseState.HELD)


def extend(case: Case) -> Plan | None:
    """Its job was extended since the lease was wanted, and nothing of it is being ended yet."""
    lease, duration = case.lease, case.job.lasting.duration
    if lease is None or lease.spec.duration >= duration or case.redefined:
        return None
    if case.stopping or lease.spec.revoked or lease.metadata.deletion_timestamp is not None:
        return None
    if lease.status.state not in _OPEN:
        return None
    spec = lease.spec.model_copy(update={"duration": duration})
    return case.act("extend", (PutLease(lease.model_copy(update={"spec": spec})),), case.now)
