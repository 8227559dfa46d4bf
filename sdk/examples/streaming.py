"""asyncio: several jobs at once, their states and output as they come.

    python streaming.py

A stream outlives broken connections and restarted controllers: every line comes once, in order.
Leaving it (Ctrl-C, `break`) leaves the job alone.
"""

import asyncio
import os

from cumulus.api.frames import Log, State
from cumulus.sdk import AsyncCumulusClient, Done, Options, remote

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")
SMALL = Options(gpu_memory=None, duration="5m", cpus="100m", ram="128Mi")


def count(to: int) -> int:
    for number in range(1, to + 1):
        print("line", number, flush=True)
    return to


async def main() -> None:
    async with AsyncCumulusClient(SERVER) as client:
        job = await client.spawn(count, [3], options=SMALL)
        phases: list[str] = []
        async for event in job.stream():
            if isinstance(event, State):
                phases.append(event.job.status.phase.value)
            elif isinstance(event, Log):
                print(event.record.data.decode(), end="")
            elif isinstance(event, Done):
                print("last phase:", phases[-1])
        print("result:", await job.result())

        double = remote(client, gpu_memory=None, cpus="100m", ram="128Mi")(lambda x: 2 * x)
        print("together:", await asyncio.gather(double(1), double(2), double(3)))
        print("mapped:", [value async for value in double.map(range(4))])


if __name__ == "__main__":
    asyncio.run(main())
