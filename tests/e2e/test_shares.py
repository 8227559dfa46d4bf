"""A share is a cap where something enforces it: who takes more fails alone, and is told why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from system import IMAGE, System, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

PREPARE = """
import os, sys, time
os.environ.setdefault("POCL_CACHE_DIR", os.path.join(os.getcwd(), "pocl"))
import numpy as np, pyopencl as cl
context = cl.Context(cl.get_platforms()[0].get_devices()[:1])
queue = cl.CommandQueue(context)
"""

GREEDY = (
    PREPARE
    + """
def main():
    room = context.devices[0].global_mem_size
    print("room", room >> 20, flush=True)
    held, piece = [], 64 << 20
    for count in range(1, 100_000):  # until something stops it
        held.append(cl.Buffer(context, cl.mem_flags.READ_WRITE, piece))
        cl.enqueue_copy(queue, held[-1], np.ones(16, np.uint8))  # only what is touched takes memory
        queue.finish()
        if count * piece > 4 * room:
            return "nothing stopped it"
if __name__ == "__main__":
    main()
"""
)

NEIGHBOUR = (
    PREPARE
    + """
def main():
    numbers = np.arange(1 << 16, dtype=np.int32)
    source = cl.Buffer(context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=numbers)
    doubled = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, numbers.nbytes)
    program = cl.Program(context, "__kernel void twice(__global const int *a, __global int *b)"
        "{ int i = get_global_id(0); b[i] = 2 * a[i]; }").build()
    print("computing", flush=True)
    rounds, right = 0, 0
    found = np.empty_like(numbers)
    while True:
        program.twice(queue, numbers.shape, None, source, doubled)
        cl.enqueue_copy(queue, found, doubled)
        queue.finish()
        rounds, right = rounds + 1, right + bool((found == 2 * numbers).all())
        print("right", right, rounds, flush=True)
        time.sleep(0.05)
"""
)


def manifest(name: str, **spec: Any) -> str:
    base = {
        "gpu": {"memory": 0.5},
        "resources": {"cpus": "500m", "memory": "1Gi"},
        "duration": 300,
    }
    kind = {"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": name}}
    return json.dumps({**kind, "spec": {**base, **spec}})


def code(main: str) -> dict[str, Any]:
    return {"code": {"files": {"main.py": main}}}


def device(system: System) -> dict[str, Any]:
    (worker,) = json.loads(system.ctl("get", "workers", "-o", "json").stdout)["items"]
    (found,) = worker["status"]["devices"]
    assert (found["type"], found["enforcement"]) == ("cpu", "enforced")
    return dict(found)


def fails_alone(system: System, greedy: str) -> str:
    """One takes more than its half of the device while the other computes; the message of its end."""
    share = device(system)["memory"] // 2 >> 20
    neighbour = manifest("neighbour", **code(NEIGHBOUR))
    assert system.apply(neighbour).returncode == 0
    system.wait_phase("neighbour", "Running")
    wait_for(lambda: "computing" in system.logs("neighbour"))

    assert system.apply(greedy).returncode == 0
    status = system.wait_phase("greedy", "Failed", "Succeeded")["status"]
    assert status["phase"] == "Failed", status
    computed = len(rounds(system))
    wait_for(lambda: len(rounds(system)) > computed)  # it goes on, whatever became of greedy
    assert system.phase("neighbour") == "Running"
    assert f"its share of device 0 is {share} MiB (RLIMIT_DATA: " in status["message"], status

    found = rounds(system)
    assert found == [f"right {n} {n}" for n in range(1, len(found) + 1)]
    for name in ("greedy", "neighbour"):
        system.ctl("delete", name)
    system.clean()
    return str(status["message"])


def rounds(system: System) -> list[str]:
    return [line for line in system.logs("neighbour").splitlines() if line.startswith("right")]


def test_who_takes_more_than_its_share_fails_alone_on_swarm(swarm: System) -> None:
    assert "killed by SIG" in fails_alone(swarm, manifest("greedy", **code(GREEDY)))


def test_so_does_a_job_with_an_image_of_its_own(swarm: System) -> None:
    command = {"image": IMAGE, "command": ["python3", "-c", GREEDY], "network": "Egress"}
    assert "killed by SIG" in fails_alone(swarm, manifest("greedy", **command))


def test_so_it_does_on_the_process_platform(process: System) -> None:
    assert "killed by SIG" in fails_alone(process, manifest("greedy", **code(GREEDY)))


def test_what_is_used_is_shown(swarm: System) -> None:
    assert swarm.apply(manifest("used", **code(NEIGHBOUR))).returncode == 0
    swarm.wait_phase("used", "Running")

    def row() -> list[str]:
        """The job's row of `top`, once two looks gave a rate."""
        lines = [line.split() for line in swarm.ctl("top", "jobs").stdout.splitlines()[1:]]
        return next((cells for cells in lines if cells[0] == "used" and cells[3] != "-"), [])

    cells = wait_for(row)
    assert float(cells[3]) > 0
    assert cells[5].endswith("Mi")
    assert "used" in swarm.ctl("describe", "worker", cells[2]).stdout
    assert f'cumulus_worker_jobs_memory_bytes{{worker="{cells[2]}"}}' in (
        swarm.get("/metrics") or ""
    )
    swarm.ctl("delete", "used")
    swarm.clean()
