"""A first job: a function of this file runs on a worker, and its result comes back.

    CUMULUS_SERVER=127.0.0.1:50051 python first_job.py

What it prints while it runs comes here too (on a terminal), and so does its exception.
"""

import os

from cumulus.sdk import CumulusClient

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")


def primes(below: int) -> list[int]:
    """Runs in the job. Whatever it uses of this file goes with it."""
    print(f"looking for primes below {below}")
    return [n for n in range(2, below) if all(n % d for d in range(2, int(n**0.5) + 1))]


def mean(values: list[float]) -> float:
    """Fails for no values, as it would here."""
    return sum(values) / len(values)


def main() -> None:
    with CumulusClient(SERVER) as client:
        # A quarter of a GPU's memory, for five minutes at most.
        found = client.run(primes, gpu_memory=0.25, duration=300, args=[30])
        print("primes:", found)

        # Exceptions arrive as what they were, with the job's traceback as their cause.
        try:
            client.run(mean, gpu_memory=None, args=[[]])
        except ZeroDivisionError as error:
            print("failed:", type(error).__name__)

        # Or hand it in, go away, and come back with its id: here, or in another process.
        job = client.spawn(primes, [12])
        print("later:", client.get_job_status(job.id)["status"] in ("pending", "running"))
        print("result:", job.result(timeout=120), job.status())


if __name__ == "__main__":
    main()
