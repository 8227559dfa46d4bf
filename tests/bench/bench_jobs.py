"""Submit → running → result: a bare Swarm service, Cumulus on Swarm, and Cumulus on the process
platform, in turns within one run.

The bare service is what the API alone costs: the very same container (made by `swarm_map` from
the same values: image, mounts, limits, network), created, polled every 5 ms until its task is
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
from cumulus.api.frames import State
from cumulus.controller.platforms.swarm_map import create_body
from cumulus.controller.reconcile.actions import Mount, ServiceSpec
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.packing import pack
from cumulus.sdk import CumulusClient, Done
from system import IMAGE, System

MAIN = "def main():\n    return {'answer': 42}\n"
ROUNDS = 25
WARM_UP = 5
POLL_SECONDS = 0.005

Times = dict[str, float]


def run(folder: Path) -> list[dict[str, Any]]:
    """A row per way: median milliseconds to running and to the result, ratio to the bare one."""
    swarm, process = System(folder / "swarm", "swarm"), System(folder / "process", "process")
    swarm.start()
    process.start()
    api = docker.APIClient(version="1.41")
    try:
        with (
            CumulusClient(f"127.0.0.1:{swarm.grpc}") as on_swarm,
            CumulusClient(f"127.0.0.1:{process.grpc}") as on_process,
        ):
            return _interleave(
                {
                    "bare Swarm service": lambda n: _bare(api, folder, n),
                    "Cumulus on Swarm": lambda n: _through(on_swarm, f"bench-{n}"),
                    "Cumulus on process": lambda n: _through(on_process, f"bench-{n}"),
                }
            )
    finally:
        _sweep(api)
        api.close()
        swarm.stop()
        process.stop()


def _interleave(kinds: dict[str, Callable[[int], Times]]) -> list[dict[str, Any]]:
    found: dict[str, list[Times]] = {kind: [] for kind in kinds}
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
            "running_ms": round(m["running"] * 1e3),
            "result_ms": round(m["result"] * 1e3),
            "ratio": round(m["result"] / base["result"], 2),
        }
        for kind, m in medians.items()
    ]


def _through(client: CumulusClient, name: str) -> Times:
    """Seconds to the Running state and to the result, on one connection."""
    job = Job.model_validate(
        {
            "metadata": {"name": name},
            "spec": {
                "code": {"files": {"main.py": MAIN}},
                "gpu": {"memory": 0.1},
                "resources": {"cpus": "500m", "memory": "256Mi"},
                "duration": 60,
            },
        }
    )
    begun = time.perf_counter()
    running = 0.0
    ended: Job | None = None
    for event in client.submit_and_stream(job):
        if isinstance(event, State) and event.job.status.phase is Phase.RUNNING and not running:
            running = time.perf_counter() - begun
        if isinstance(event, Done):
            ended = event.job
    total = time.perf_counter() - begun
    assert ended is not None
    assert ended.status.phase is Phase.SUCCEEDED, ended.status
    return {"running": running or total, "result": total}


def _bare(api: docker.APIClient, folder: Path, number: int) -> Times:
    unit = folder / f"bare-{number}"
    (unit / "job").mkdir(parents=True)
    (unit / "env").mkdir()
    (unit / "job" / "code.zip").write_bytes(pack({"main.py": MAIN.encode()}))
    (unit / "job" / "args.json").write_text("[]")
    body = _body(api, unit, number)
    begun = time.perf_counter()
    created = api._post_json(api._url("/services/create"), data=body)
    service = api._result(created, json=True)["ID"]
    running = 0.0
    try:
        state = "new"
        while state != "complete":
            assert state not in ("failed", "rejected"), state
            time.sleep(POLL_SECONDS)
            tasks = api.tasks(filters={"service": service})
            state = tasks[0]["Status"]["State"] if tasks else "new"
            if state in ("running", "complete") and not running:
                running = time.perf_counter() - begun
        output = b"".join(api.service_logs(service, stdout=True, stderr=True, follow=False))
        total = time.perf_counter() - begun
    finally:
        api.remove_service(service)
    assert json.loads(output[output.index(b"{") :])["result"] == {"answer": 42}
    return {"running": running, "result": total}


def _sweep(api: docker.APIClient) -> None:
    """Remove the volumes of the bare services, once their containers are gone."""
    for number in range(WARM_UP + ROUNDS):
        for _ in range(100):
            try:
                api.remove_volume(f"bare-{number}")
            except docker.errors.NotFound:
                break
            except docker.errors.APIError:  # in use: its container is being removed
                time.sleep(0.1)
            else:
                break


def _body(api: docker.APIClient, unit: Path, number: int) -> dict[str, Any]:
    info = api.info()
    uid = f"{number:032x}"
    service = ServiceSpec(
        name=f"bare-{number}",
        uid=uid,
        attempt=1,
        job=unit.name,
        node_id=info["Swarm"]["NodeID"],
        worker=info["Name"],
        image=IMAGE,
        unit_dir=str(unit),
        env={"JOB_ID": uid, "GPU_DEVICE": "0"},
        mounts=(Mount(f"{unit}/job", "/job"), Mount(f"{unit}/env", "/env")),
        cpus=500,
        memory=256 << 20,
    )
    body = create_body(service, api.inspect_image(IMAGE)["Id"])
    body["Labels"] = {}  # nobody's: no controller shall take it for its own
    body["TaskTemplate"]["ContainerSpec"]["Labels"] = {}
    return body
