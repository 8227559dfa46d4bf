"""Random schedules with projects: never more than may be, nobody starves, the books stay true."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.reconcile.quota import MILLI_GPU_HOUR, Limits
from cumulus.controller.runtime.quotas import Quotas
from simworld import Simulation

LIMITS = {
    "one": Limits(running=1),
    "two": Limits(running=2, gpu=20 * MILLI_GPU_HOUR),
    "frozen": Limits(running=0),
}
VIEWERS = (EVERYTHING, *(Viewer(name, own_only=True, who=name) for name in ("free", "one", "two")))


class Projects(Simulation):
    """Users of projects, some of which have limits."""

    lifted = False
    over_quota = 0

    def limits(self, project: str) -> Limits | None:
        return None if self.lifted else LIMITS.get(project)

    def viewer(self) -> Viewer:
        return self.rng.choice(VIEWERS)

    def check(self) -> None:
        super().check()
        if self.lifted:
            return
        now = self.clock.now()
        waiting = (self.records.find_job(name).status for name in self.records.waiting())
        self.over_quota += any(status.reason == "OverQuota" for status in waiting)
        for project, limits in LIMITS.items():
            there = [x for x in self.records.leases.values() if x.metadata.owner == project]
            running = sum(not lease.vacated for lease in there)
            assert limits.running is None or running <= limits.running, f"{project}: {running}"
            _, used = self.world.quotas.use(project, now)
            # Whoever takes over now finds the same on record.
            again = Quotas(self.store, self.records.leases.values(), now)
            assert again.use(project, now) == self.world.quotas.use(project, now), project
            assert limits.gpu is None or used <= limits.gpu, f"{project} used {used}"

    async def settle(self) -> None:
        """Whoever waits for the next day is given more today."""
        self.lifted = True
        self.world.line.quota_moved()
        for name in self.records.open_jobs():
            self.queue.add(name)
        await super().settle()


async def play(folder: Path, seed: int, steps: int) -> Projects:
    folder.mkdir()
    sim = Projects(folder, seed)
    try:
        for _ in range(steps):
            await sim.step()
            sim.check()
        await sim.settle()
    except Exception as error:
        trail = " ".join(sim.trace[-40:])
        raise AssertionError(f"seed {seed}: {error}\nlast steps: {trail}") from error
    return sim


@pytest.mark.parametrize("batch", range(4))
async def test_never_more_than_may_be(tmp_path: Path, batch: int) -> None:
    waited = ended = 0
    for seed in range(batch * 100, batch * 100 + 100):
        sim = await play(tmp_path / str(seed), seed, 120)
        ended += len(sim.platform.starts)
        waited += sim.over_quota
    assert ended > 50, "the schedules hardly ran anything"
    assert waited > 20, "hardly anybody was over quota"
