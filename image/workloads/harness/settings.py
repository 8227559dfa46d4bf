"""What a workload is told by its arguments, or by variables of the same names. Pure but for reading
the environment it is given.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LIMITS: Final = {  # kind: rounds at least and at most, seconds at most
    "io": ((120, 600), 600),
    "cpu": ((180, 900), 900),
    "gpu": ((300, 1200), 1200),
}
"""At scale 1 a round takes about a second of one core: 2 to 10, 3 to 15, 5 to 20 minutes."""

SEEDS: Final = 1 << 32


@dataclass(frozen=True)
class Settings:
    """seed: of everything that is drawn; scale: of each round's work; rounds: least and most;
    seconds: after which the run ends, complete or not; results: folder of the statistics.
    """

    seed: int
    scale: float
    rounds: tuple[int, int]
    seconds: float
    results: str


def parse(name: str, about: str, arguments: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Settings of the workload `<kind>_process_<number>`. Prints usage and raises SystemExit(2)
    where something is wrong, SystemExit(0) for --help.
    """
    (least, most), seconds = LIMITS[name.partition("_")[0]]

    parser = argparse.ArgumentParser(prog=f"{name}.py", description=about, allow_abbrev=False)

    def option(flag: str, kind: object, default: str, text: str) -> None:
        variable = f"WORKLOAD_{flag.upper()}"
        parser.add_argument(
            f"--{flag}",
            type=kind,  # type: ignore[arg-type]  # argparse has no name for such functions
            default=env.get(variable) or default,
            help=f"{text} ({variable}; %(default)s)",
        )

    option("seed", _seed, str(random.SystemRandom().randrange(SEEDS)), "whole number, 0 to 2^32-1")
    option("scale", _scale, "1", "of each round's work, 0.001 to 100")
    option("rounds", _rounds, f"{least}-{most}", "a number, or LOW-HIGH to draw from")
    option("seconds", _seconds, str(seconds), "after which the run ends, complete or not")
    kept = env.get("CUMULUS_OUTPUTS") or "/results"
    option("results", str, kept, "folder of the statistics")
    return Settings(**vars(parser.parse_args(arguments)))


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2^32-1")
    return int(text)


def _rounds(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", text)
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected N or LOW-HIGH, 1 <= LOW <= HIGH")
    return least, most


def _scale(text: str) -> float:
    return _between(text, 0.001, 100)


def _seconds(text: str) -> float:
    return _between(text, 0.1, 86400)


def _between(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {least:g} to {most:g}")
    return number
