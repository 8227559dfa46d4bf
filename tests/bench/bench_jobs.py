"""Submit → running → result: Cumulus on Swarm, the same container as a bare Swarm service, and
Cumulus on the process platform, in turns within one run.

The bare service is what the API alone costs: the very same service (made by `swarm_map` from the
same values: image, mounts, limits, network), created, polled every 5 ms until its task is
complete, its output read, then removed.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
from cumulus.controller.platforms.swarm_map import service_request
from cumulus.controller.reconcile.actions import Mount, ServiceSpec
from cumulus.crd_like_specs.identity import LABEL_OWNED
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.packing import digest, pack
from cumulus.sdk import CumulusClient

MAIN = b"def main():\n    return {'answer': 42}\n"
ROUNDS = 25
WARM_UP = 3


def job(name: str) -> Job:
    """The job that is measured."""
    return Job.model_validate(
        {
            "metadata": {"name": name},
            "spec": {
                "code": {"digest": digest(pack({"main.py": MAIN}))},
                "gpu": {"memory": 0.1},
                "resources": {"cpus": "500m", "memory": "256Mi"},
                "duration": 60,
            },
        }
    )


def bare(api: docker.APIClient, folder: Path, image: str, number: int) -> dict[str, float]:
    """Seconds to running and to the result, of one bare service."""
    node = api.info()["Swarm"]["NodeID"]
    uid = f"{number:032x}"
    name = f"bare-{number}"
    unit = folder / name
    (unit / "job").mkdir(parents=True)
    (unit / "env").mkdir()
    (unit / "job" / "code.zip").write_bytes(pack({"main.py": MAIN}))
    (unit / "job" / "args.json").write_text("[]")
    spec = ServiceSpec(
        name=name,
        uid=uid,
        attempt=1,
        job=name,
        node_id=node,
        worker="",
        image=image,
        unit_dir=str(unit),
        env={"JOB_ID": uid, "GPU_DEVICE": "0"},
        mounts=(Mount(f"{unit}/job", "/job"), Mount(f"{unit}/env", "/env")),
        cpus=500,
        memory=256 << 20,
    )
    request = service_request(spec, image)
    for labels in (request["Labels"], request["TaskTemplate"]["ContainerSpec"]["Labels"]):
        labels.pop(LABEL_OWNED)  # nobody's: no controller shall take it for its own
    begun = time.perf_counter()
    service = api._result(api._post_json(api._url("/services/create"), data=request), json=True)
    running = 0.0
    try:
        while True:
            tasks = api.tasks(filters={"service": service["ID"]})
            state = tasks[0]["Status"]["State"] if tasks else "new"
            if state in ("running", "complete") and not running:
                running = time.perf_counter() - begun
            if state == "complete":
                break
            assert state not in ("failed", "rejected"), tasks
            time.sleep(0.005)
        output = b"".join(api.service_logs(service["ID"], stdout=True, follow=False))
        total = time.perf_counter() - begun
        assert json.loads(output.splitlines()[-1][output.splitlines()[-1].index(b"{") :])["result"]
    finally:
        api.remove_service(service["ID"])
    return {"running": running, "result": total}


def through(client: CumulusClient, name: str) -> dict[str, float]:
    """Seconds to the Running state and to the result, through Cumulus."""
    begun = time.perf_counter()
    running = 0.0
    outcome = None
    for event in client.submit_events(job(name), code=pack({"main.py": MAIN})):
        now = time.perf_counter() - begun
        if not running and getattr(event, "job", None) and event.job.status.phase.rank >= 3:
            running = now
        outcome = event
    total = time.perf_counter() - begun
    assert outcome is not None
    assert outcome.job.status.phase.value == "Succeeded", outcome.job.status
    return {"running": running, "result": total}


def interleave(kinds: dict[str, Callable[[int], dict[str, float]]]) -> list[dict[str, Any]]:
    """Each kind in turn, round by round; medians and ratios to the first kind."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for number in range(WARM_UP + ROUNDS):
        for kind, measure in kinds.items():
            one = measure(number)
            if number >= WARM_UP:
                found[kind].append(one)
    medians = {
        kind: {key: statistics.median(o[key] for o in ones) for key in ("running", "result")}
        for kind, ones in found.items()
    }
    base = next(iter(medians.values()))
    return [
        {
            "what": kind,
            "running_ms": m["running"] * 1e3,
            "result_ms": m["result"] * 1e3,
            "ratio": m["result"] / base["result"],
        }
        for kind, m in medians.items()
    ]
