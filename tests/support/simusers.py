"""What users and operators of a simulated world ask for, at random."""

from __future__ import annotations

from typing import Any

from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import WorkerSpec
from make import spec
from simcontroller import SimController

WORKERS = ("n1", "n2")


class Users(SimController):
    """Calls may be refused: CumulusError."""

    names: int
    """How many jobs were submitted so far."""

    def viewer(self) -> Viewer:
        """Who submits."""
        return EVERYTHING

    async def user(self) -> None:
        existing = self.records.open_jobs()
        name = self.rng.choice(existing) if existing else ""
        what = self.rng.choice(
            ["submit", "submit", "cancel", "delete", "suspend", "change", "extend", "extend"]
        )
        if what == "submit" or not name:
            self.names += 1
            job = Job(
                metadata=ObjectMeta(name=f"job-{self.names}"),
                spec=spec(
                    gpu={"memory": self.rng.choice([0.1, 0.5, 1.0])},
                    duration=self.rng.choice([5, 60]),
                    priority=self.rng.choice([0, 0, 1]),
                    whenUnschedulable=self.rng.choice(["Fail", "Wait"]),
                    retry={"limit": self.rng.choice([0, 2]), "backoff": 1},
                ),
            )
            await self.desired.submit(
                job, idempotency_key=f"key-{self.names}", viewer=self.viewer()
            )
        elif what == "cancel":
            await self.desired.cancel(name)
        elif what == "delete":
            await self.desired.delete(name)
        elif what == "extend":
            await self.extending.extend(name, self.rng.choice([5, 60]), EVERYTHING)
        else:
            job = self.records.find_job(name)
            change: dict[str, Any] = {"suspend": not job.spec.suspend}
            if what == "change":
                change = {"env": {"N": str(self.rng.random())}}
            changed = job.model_copy(update={"spec": job.spec.model_copy(update=change)})
            await self.desired.apply(changed, dry_run=False)

    async def operate(self) -> None:
        """An operator closes a worker, empties it, says until when it is rented, or opens it."""
        name = self.rng.choice(WORKERS)
        what = self.rng.choice(["cordon", "drain", "drain", "rent", "open"])
        if what != "rent":
            closed = what != "open"
            await self.desired.cordon(name, cordoned=closed, drain=what == "drain")
            return
        worker = self.records.workers.get(name)
        if worker is not None:
            until = self.rng.choice([None, self.clock.now() + 90])
            wanted = worker.spec.model_copy(update={"available_until": until})
            await self.desired.apply(worker.model_copy(update={"spec": wanted}), dry_run=False)

    async def open_workers(self) -> None:
        """All, or all but one that stays as it was closed."""
        closed = self.rng.choice([*WORKERS, ""])
        for name in self.records.workers:
            if name != closed:
                wanted = self.records.workers[name].model_copy(update={"spec": WorkerSpec()})
                await self.desired.apply(wanted, dry_run=False)
