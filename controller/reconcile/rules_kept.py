"""The rules by which a job remembers what its attempts left: for the next one, and in /results. Pure."""

from __future__ import annotations

from ...crd_like_specs.checkpoint import CHECKPOINT_LOST, HISTORY, NOT_KEPT, Snapshot
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.meta import Condition
from ...crd_like_specs.outputs import HISTORY as OUTPUTS_HISTORY
from ...crd_like_specs.outputs import INCOMPLETE
from .actions import Plan
from .case import Case


def note_checkpoint(case: Case) -> Plan | None:
    """The newest checkpoints, as the agents say that the controller has them; and that one is lost,
    until there is a newer one.
    """
    known = case.status.checkpoints
    for found in sorted(_said(case), key=lambda snapshot: snapshot.attempt):
        newest = known[-1] if known else None
        if newest is None or found.attempt >= newest.attempt:
            known = (*(k for k in known if k.digest != found.digest), found)[-HISTORY:]
    conditions = case.status.conditions
    if known != case.status.checkpoints:
        conditions = tuple(c for c in conditions if c.type != CHECKPOINT_LOST)
    lost = _lost(case)
    if lost and all(c.type != CHECKPOINT_LOST for c in conditions):
        told = Condition(
            type=CHECKPOINT_LOST, status=True, reason="NotKept", message=lost, since=case.now
        )
        conditions = (*conditions, told)
    if (known, conditions) == (case.status.checkpoints, case.status.conditions):
        return None
    return case.wait("note-checkpoint", case.now, checkpoints=known, conditions=conditions)


def note_outputs(case: Case) -> Plan | None:
    """What attempts left in /results, as the controller has it, and what of it is not kept."""
    known = {kept.attempt: kept for kept in case.status.outputs}
    for lease in case.seen.leases:
        if lease.status.outputs is not None:
            known[lease.spec.attempt] = lease.status.outputs
    newest = tuple(kept for _, kept in sorted(known.items()))[-OUTPUTS_HISTORY:]
    if newest == case.status.outputs:
        return None
    others = tuple(c for c in case.status.conditions if c.type != INCOMPLETE)
    message = newest[-1].message
    told = Condition(
        type=INCOMPLETE, status=True, reason="NotKept", message=message, since=case.now
    )
    conditions = (*others, told) if message else others
    return case.wait("note-outputs", case.now, outputs=newest, conditions=conditions)


def _said(case: Case) -> list[Snapshot]:
    """Of this run only: what another spec left means nothing to this one."""
    return [x.status.checkpoint for x in _of_this_run(case) if x.status.checkpoint is not None]


def _lost(case: Case) -> str:
    """What an agent says of a checkpoint that it gave up, ""."""
    said = (x.status.message for x in _of_this_run(case) if x.status.state.freed)
    return next((words for words in said if words.startswith(NOT_KEPT)), "")


def _of_this_run(case: Case) -> list[Lease]:
    first = case.status.first_attempt
    return [lease for lease in case.seen.leases if lease.spec.attempt >= first]
