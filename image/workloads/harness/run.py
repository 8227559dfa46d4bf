"""One run of a workload, as its `work()` sees it. Uses no clock and no files but its own folder.

Everything that is drawn comes from one generator, so that equal seeds and scales make equal runs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class CheckFailedError(Exception):
    """A computation gave something else than it had to."""


class Stop(BaseException):
    """Raised by the signal handler where the workload is; nothing but the program catches it."""


class Run:
    """rng: the only source of chance; scale: of a round's work, 1.0 takes about a second of one
    core; planned: rounds; scratch: an empty folder, removed afterwards.

    stopped_by: "time limit" or "terminated" once the run has to end, "" before.
    """

    def __init__(self, seed: int, scale: float, rounds: tuple[int, int], scratch: Path) -> None:
        self.seed = seed
        self.scale = scale
        self.scratch = scratch
        self.rng = random.Random(seed)  # noqa: S311 (load, not secrets)
        self.planned = self.rng.randint(*rounds)
        self.done = 0
        self.stopped_by = ""
        self.checks = 0
        self.device = "cpu"
        self.note = ""
        self.parameters: dict[str, dict[str, int]] = {}
        self.counters: dict[str, int] = {}
        self.values: dict[str, float] = {}
        self._checksum = hashlib.sha256()

    def rounds(self) -> Iterator[int]:
        """The numbers of the rounds from 0, until all are done or the run has to end."""
        told = -1
        for index in range(self.planned):
            self.stop_if_asked()
            yield index
            self.done += 1
            tenths = self.done * 10 // self.planned
            if tenths > told:
                told = tenths
                print(f"round {self.done} of {self.planned}", flush=True)

    def stop_if_asked(self) -> None:
        """Ends the run where a library swallowed the handler's exception."""
        if self.stopped_by:
            raise Stop

    def size(self, name: str, low: int, high: int, *, power: float = 1.0, least: int = 1) -> int:
        """A whole number drawn between `low` and `high`, times scale to the `power`, at least
        `least`. power: 1/3 for the side of a matrix whose product takes the cube of it. name: with
        its unit, as it stands in the statistics.
        """
        times = float(self.scale**power)
        drawn = max(least, round(self.rng.uniform(low, high) * times))
        seen = self.parameters.setdefault(name, {"draws": 0, "least": drawn, "most": drawn})
        seen["draws"] += 1
        seen["least"] = min(seen["least"], drawn)
        seen["most"] = max(seen["most"], drawn)
        return drawn

    def choice(self, name: str, options: Sequence[T]) -> T:
        """One of the options; the statistics count how often each was taken."""
        taken = self.rng.choice(options)
        seen = self.parameters.setdefault(name, {})
        seen[str(taken)] = seen.get(str(taken), 0) + 1
        return taken

    def count(self, name: str, more: int = 1) -> None:
        """Adds to a counter of the statistics."""
        self.counters[name] = self.counters.get(name, 0) + more

    def value(self, name: str, value: float) -> None:
        """Notes a measure, the last one of its name counts."""
        self.values[name] = float(value)

    def check(self, ok: object, otherwise: str) -> None:
        """Ends the run as failed where `ok` is false, with `otherwise` as the reason."""
        self.checks += 1
        if not ok:
            raise CheckFailedError(f"round {self.done}: {otherwise}")

    def result(self, *exact: bytes | str | int) -> None:
        """Takes results into the checksum: only what is equal on every machine."""
        for one in exact:
            data = one if isinstance(one, bytes) else str(one).encode()
            self._checksum.update(len(data).to_bytes(8, "big") + data)

    @property
    def checksum(self) -> str:
        """Hex SHA-256 of all results so far."""
        return self._checksum.hexdigest()
