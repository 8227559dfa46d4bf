# noqa: INP001 (a script beside scripts, no package)
"""Fail when too few branches of a folder were taken: `coverage_gate.py REPORT.json 95 FOLDER…`.

Reads coverage's JSON report; called by `test.sh` after a whole test run. Standard library only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def taken(report: dict[str, dict[str, dict[str, dict[str, int]]]], folder: str) -> float:
    """Percent of the branches below the folder that were taken; 0 where nothing was measured."""
    parts = [
        file["summary"] for name, file in report["files"].items() if name.startswith(folder + "/")
    ]
    branches = sum(part["num_branches"] for part in parts)
    return 100 * sum(part["covered_branches"] for part in parts) / branches if branches else 0.0


def main(argv: list[str]) -> int:
    """Print a line for each folder; 1 where one is below the limit."""
    report, limit, folders = json.loads(Path(argv[0]).read_text()), float(argv[1]), argv[2:]
    results = {folder: taken(report, folder) for folder in folders}
    for folder, percent in results.items():
        verdict = "" if percent >= limit else f", at least {limit:g} % are wanted"
        sys.stderr.write(f"{folder}: {percent:.1f} % of the branches taken{verdict}\n")
    return 0 if min(results.values()) >= limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
