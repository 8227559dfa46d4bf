"""The rule by which a job remembers what its attempts left for the next one. Pure."""

from __future__ import annotations

from ...crd_like_specs.checkpoint import HISTORY, Snapshot
from .actions import Plan
from .case import Case


def note_checkpoint(case: Case) -> Plan | None:
    """The newest checkpoints, as the agents say that the controller has them."""
    known = case.status.checkpoints
    for found in sorted(_said(case), key=lambda snapshot: snapshot.attempt):
        newest = known[-1] if known else None
        if newest is None or found.attempt >= newest.attempt:
            known = (*(k for k in known if k.digest != found.digest), found)[-HISTORY:]
    if known == case.status.checkpoints:
        return None
    return case.wait("note-checkpoint", case.now, checkpoints=known)


def _said(case: Case) -> list[Snapshot]:
    """Of this run only: what another spec left means nothing to this one."""
    first = case.status.first_attempt
    return [
        lease.status.checkpoint
        for lease in case.seen.leases
        if lease.status.checkpoint is not None and lease.spec.attempt >= first
    ]
