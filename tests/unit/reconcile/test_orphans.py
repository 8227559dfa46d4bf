"""What bears our label but belongs to no job goes in order, and only on a platform that is seen."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.actions import ForgetLease, ReleaseLease, RemoveService
from cumulus.controller.reconcile.cleanup import plan_orphan
from cumulus.crd_like_specs.lease import LeaseState
from make import T, lease, seen, service, worker_seen

AWAY = (worker_seen(ready=False, silent=60.0),)


@pytest.mark.parametrize(
    ("world", "rule", "actions"),
    [
        (seen(service(), lease(), observed=False), "platform-unseen", ()),
        (seen(service(), lease()), "orphan", (RemoveService,)),
        (seen(lease()), "orphan", (ReleaseLease,)),
        (seen(lease(LeaseState.ENDED, released=True)), "orphan", (ForgetLease,)),
        (seen(lease(released=True)), "orphan", ()),
        (seen(lease(released=True), workers=AWAY), "orphan", ()),
        (seen(), "orphan", ()),
    ],
)
def test_one_step_at_a_time(world: Any, rule: str, actions: tuple[type, ...]) -> None:
    decision = plan_orphan(world, T)
    assert decision.rule == rule
    assert tuple(type(action) for action in decision.actions) == actions
    assert decision.status is None
