"""Rules for a job whose last attempt is over: clean up, keep its history, collect it. Pure."""

from __future__ import annotations

from .actions import CollectJob, Plan
from .case import Case


def clean_up(case: Case) -> Plan | None:
    """Service first, then lease, each once the step before is seen."""
    if not case.anything_left:
        return None
    actions, wake = case.remains(current=True)
    return case.act("clean-up", actions, wake, cleaned=False)


def collect(case: Case) -> Plan:
    """A deleted job goes once it is clean, a finished one after its time to live."""
    meta = case.job.metadata
    over = case.status.finished_at + case.job.spec.ttl_after_finished
    if meta.deletion_timestamp is not None or case.now >= over:
        return case.act("collect", (CollectJob(meta.uid, meta.name),))
    return case.wait("kept", over, cleaned=True)
