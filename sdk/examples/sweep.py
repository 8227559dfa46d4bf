"""A sweep: one function over many inputs, a few at a time, each on its share of a device.

    python sweep.py

Begun again with the same key, it takes up what is done already instead of doing it twice.
"""

import os
import sys

from cumulus.sdk import CumulusClient, remote

client = CumulusClient(os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051"))


@remote(client, gpu_memory=0.25, duration="2m", cpus="100m", ram="128Mi")
def loss(rate: float, steps: int) -> float:
    """Gradient descent on x² from 1."""
    if rate > 1:
        raise ValueError(f"{rate} diverges")
    x = 1.0
    for _ in range(steps):
        x -= rate * 2 * x
    return x * x


def main(key: str) -> None:
    grid = [(rate, 10) for rate in (0.01, 0.1, 0.3, 0.5, 2.0)]  # a tuple: a call's arguments
    with client:
        sweep = loss.with_options(idempotency_key=key)
        # In the inputs' order; as they come with ordered=False. A failure is a result here.
        found = sweep.map(grid, concurrency=4, return_exceptions=True)
        for (rate, _steps), result in zip(grid, found, strict=True):
            said = type(result).__name__ if isinstance(result, Exception) else f"{result:.4f}"
            print(f"rate {rate}: {said}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sweep-of-the-tutorial")
