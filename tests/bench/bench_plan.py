"""What one pass of the plan costs with much history in the store: it must not grow with it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from cumulus.controller.reconcile.plan import plan
from cumulus.controller.runtime.documents import INDEXES, JOBS, document
from cumulus.controller.runtime.logs import Logs
from cumulus.controller.runtime.records import Records
from cumulus.controller.runtime.world import World
from cumulus.controller.store import Put, Store
from cumulus.crd_like_specs.job import Phase
from make import job, worker

PASSES = 400
CHUNK = 500


class _AllHere:
    def size(self, digest: str) -> int:
        return len(digest)


def _filled(history: int) -> Records:
    store = Store.open(None, indexes=INDEXES)
    over = job(Phase.SUCCEEDED, status={"cleaned": True, "finished_at": 1e6})
    for start in range(0, history, CHUNK):
        ops = []
        for n in range(start, min(start + CHUNK, history)):
            meta = over.metadata.model_copy(update={"name": f"old-{n}", "uid": f"{n:032x}"})
            ops.append(
                Put(JOBS, f"old-{n}", document(over.model_copy(update={"metadata": meta})), 0)
            )
        store.submit(ops).result()
    return Records(store)


def measure(history: int, folder: Path) -> float:
    """Median seconds of one pass for a waiting job: read it, gather what is seen, plan."""
    records = _filled(history)
    meta = job().metadata.model_copy(update={"name": "new", "uid": "f" * 32})
    records.store.put(JOBS, "new", document(job().model_copy(update={"metadata": meta})), 0)
    for name in ("n1", "n2", "n3"):
        records.workers[name] = worker(name)
    world = World(records, Logs(folder), _AllHere(), platform="swarm", default_image="", started=0)
    world.services.listed([], world.services.listing_begins(), 1000.0)
    for name in records.workers:
        world.agent_heard(name, 1000.0)
        world.agent_reported(name, clean=True)
    costs = []
    for _ in range(PASSES):
        records._jobs.clear()  # the cost of a job that is not at hand
        begun = time.perf_counter()
        found = records.job("new")
        assert found is not None
        decision = plan(found, world.seen(found, 1000.0), 1000.0)
        costs.append(time.perf_counter() - begun)
        assert decision.rule == "place", decision.status.message
    return statistics.median(costs)


def run(folder: Path) -> list[dict[str, Any]]:
    """One row per size of history; `ratio` to the smallest."""
    sizes = (1_000, 10_000, 100_000)
    costs = {size: measure(size, folder) for size in sizes}
    return [
        {
            "what": f"plan one job, {size:,} jobs of history",
            "median_ms": costs[size] * 1e3,
            "ratio": costs[size] / costs[sizes[0]],
        }
        for size in sizes
    ]
