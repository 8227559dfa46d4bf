"""What all workloads share: seeded sizes, checks, statistics, the time bound and signals.

    def work(run: Run) -> None:
        for _ in run.rounds():
            data = run.rng.randbytes(run.size("bytes", 1 << 10, 1 << 20))
            run.check(there_and_back(data) == data, "data came back changed")

    if __name__ == "__main__":
        sys.exit(main(work, __file__, __doc__))

The standard library only (`pytorch` aside), for Python 3.10 and newer.
"""

from .program import main
from .run import CheckFailedError, Run

__all__ = ["CheckFailedError", "Run", "main"]
