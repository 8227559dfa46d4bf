"""That others have jobs is told, and never how they are called."""

from __future__ import annotations

import pytest
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from make import spec
from runtime_kit import Kit

HERS, HIS = (Viewer(name, own_only=True) for name in ("hers", "his"))


async def submit(kit: Kit, name: str, viewer: Viewer, **fields: object) -> Job:
    wanted = Job(metadata=ObjectMeta(name=name), spec=spec(**fields))
    return await kit.desired.submit(wanted, idempotency_key="", viewer=viewer)


@pytest.mark.parametrize(("viewer", "shown"), [(HIS, "another job"), (HERS, "omega")])
async def test_who_waits_behind_another_is_not_told_its_name(
    kit: Kit, viewer: Viewer, shown: str
) -> None:
    """Half of the only device is taken for 60 s, and all of it is waited for."""
    await kit.report("n1")
    running = await submit(kit, "alpha", HERS)
    await kit.settle()
    unit = unit_name(running.metadata.uid, 1)
    await kit.report("n1", {unit: kit.held()})
    await kit.settle()
    assert kit.records.leases[unit].metadata.owner == "hers"
    await submit(kit, "omega", HERS, gpu={"memory": 1}, whenUnschedulable="Wait")
    await kit.settle()
    kit.clock.advance(5)
    await kit.report("n1", {unit: kit.records.leases[unit].status})
    await submit(kit, "small", viewer, gpu={"memory": 0.1})
    await kit.settle()
    stored = kit.records.find_job("small").status
    assert stored.phase is Phase.PENDING
    assert f"for {shown}, which is ahead in the queue" in stored.message
    why = await kit.views.why("small", viewer=viewer)
    told = " ".join([why.summary, *(f"{one.reason} {one.fix}" for one in why.workers)])
    assert f"when the lease of {shown} ends" in told
    assert f"kept for {shown} from" in told
    if viewer is HIS:
        everything = f"{told} {kit.records.find_job('small').to_dict()['status']}"
        assert not any(name in everything for name in ("alpha", "omega"))
    to_admins = await kit.views.why("small", viewer=EVERYTHING)
    assert "for omega, which is ahead in the queue" in to_admins.workers[0].reason
