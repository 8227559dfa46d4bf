"""Decorated functions: called as ever, run on a worker.

python decorators.py
"""

import os

from cumulus.sdk import CumulusClient, async_remote, gpu, remote

client = CumulusClient(os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051"))


@remote(client, gpu_memory=0.1, duration="5m")
def norm(vector: list[float]) -> float:
    import math

    return math.sqrt(sum(x * x for x in vector))


@gpu(client, memory=0.5, duration="10m")
def normalised(vector: list[float]) -> list[float]:
    length = norm(vector)  # inside a job a decorated function is the plain one: no second job
    return [x / length for x in vector]


@async_remote(client, gpu_memory=None, duration="5m")
def slow(seconds: float) -> str:
    import time

    time.sleep(seconds)
    return "done"


def main() -> None:
    with client:
        print("as a job:", norm([3, 4]))
        print("another:", normalised([3.0, 4.0]))
        print("here:", norm.local([6, 8]))

        job = slow(600)  # a handle, at once
        client.wait(job, "phase=Running", timeout=120)
        print("running:", job.status(), "cancelled:", job.cancel())
        client.wait(job, timeout=120)
        print("in the end:", job.status())

        quick = norm.with_options(gpu_memory=None, duration="1m")
        print("with other options:", quick.remote([8, 15]))


if __name__ == "__main__":
    main()
