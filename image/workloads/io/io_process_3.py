"""Writes logs, rotates and compresses them, and analyses what it reads back.

What the analysis finds has to equal what was counted while the lines were made.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

LEVELS = ("DEBUG", "INFO", "INFO", "INFO", "WARNING", "ERROR")
PATHS = tuple(f"/v1/{what}/{part}" for what in ("jobs", "leases", "files") for part in range(20))
WORDS = ("timeout", "retry", "accepted", "slow", "cache", "worker", "disk", "token", "lost")
LINE = re.compile(
    r"^(?P<second>\d+) (?P<level>[A-Z]+) GET (?P<path>\S+) (?P<status>\d{3}) (?P<ms>\d+)ms (?P<text>.*)$"
)


class Seen:
    """What is known of some lines, however it came to be known."""

    def __init__(self) -> None:
        self.levels: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.words: Counter[str] = Counter()
        self.milliseconds: Counter[str] = Counter()

    def add(self, level: str, path: str, status: str, milliseconds: int, text: str) -> None:
        """One line more."""
        self.levels[level] += 1
        self.statuses[status] += 1
        self.words.update(text.split())
        self.milliseconds[path] += milliseconds

    def same(self, other: Seen) -> bool:
        """Whether both saw the same lines, as far as counts tell."""
        return vars(self) == vars(other)


def work(run: Run) -> None:
    """A round: a few rotated files are written, some of them compressed, then analysed."""
    for index in run.rounds():
        made, found = Seen(), Seen()
        files = [
            _write(run, run.scratch / f"{index}-{number}.log", made)
            for number in range(run.rng.randint(2, 5))
        ]
        for file in files:
            for line in _lines(file):
                match = LINE.match(line)
                run.check(match, f"no line of a log: {line[:80]!r}")
                assert match is not None
                _, level, path, status, milliseconds, text = match.groups()
                found.add(level, path, status, int(milliseconds), text)
            run.count("bytes_read", file.stat().st_size)
            file.unlink()
        run.check(found.same(made), "the analysis differs from what was written")
        for top in (found.levels, found.statuses, found.words, found.milliseconds):
            run.result(repr(sorted(top.items())))
        slowest = found.milliseconds.most_common(1)
        run.value("slowest_path_ms", slowest[0][1])


def _write(run: Run, file: Path, made: Seen) -> Path:
    compressed = run.choice("compressed", (True, False))
    if compressed:
        file = file.with_suffix(".log.gz")
    opened = gzip.open(file, "wt", compresslevel=3) if compressed else open(file, "w")  # noqa: SIM115
    with opened as out:
        for second in range(run.size("lines", 8_000, 24_000)):
            level, path = run.rng.choice(LEVELS), run.rng.choice(PATHS)
            status = "500" if level == "ERROR" else run.rng.choice(("200", "200", "404"))
            milliseconds = int(run.rng.expovariate(1 / 40))
            text = " ".join(run.rng.choices(WORDS, k=run.rng.randint(1, 6)))
            out.write(f"{second} {level} GET {path} {status} {milliseconds}ms {text}\n")
            made.add(level, path, status, milliseconds, text)
            run.count("lines")
    run.count("bytes_written", file.stat().st_size)
    return file


def _lines(file: Path) -> Iterator[str]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else open(file) as opened:
        for line in opened:
            yield line.rstrip("\n")


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
