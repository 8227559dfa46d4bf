"""`just bench`: runs every benchmark, prints the tables, writes them to RESULTS.md.

python -m tests.bench [jobs] [store] [plan] [fleet] [sdk] [images] [dashboard]
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

Rows = list[dict[str, Any]]


def _jobs(folder: Path) -> Rows:
    import bench_jobs

    return bench_jobs.run(folder)


def _store(folder: Path) -> Rows:
    import bench_store

    del folder
    return bench_store.run()


def _plan(folder: Path) -> Rows:
    import bench_plan

    return bench_plan.run(folder)


def _images(folder: Path) -> Rows:
    import bench_images

    return bench_images.run(folder)


def _fleet(folder: Path) -> Rows:
    import bench_fleet

    return bench_fleet.run(folder)


def _dashboard(folder: Path) -> Rows:
    import bench_dashboard

    return bench_dashboard.run(folder)


def _sdk(folder: Path) -> Rows:
    import bench_sdk

    return bench_sdk.run(folder)


KINDS: dict[str, tuple[str, Callable[[Path], Rows]]] = {
    "jobs": ("Submit → running → result (medians, warm)", _jobs),
    "store": ("Store writes, acknowledged", _store),
    "plan": ("One pass of the plan", _plan),
    "fleet": ("A fleet in virtual time, beside Kueue", _fleet),
    "sdk": ("Importing the SDK, and submitting by it", _sdk),
    "images": ("The job image to a worker that has none", _images),
    "dashboard": ("The dashboard with 200 jobs on 100 devices", _dashboard),
}
RESULTS = HERE / "RESULTS.md"


def main() -> None:
    """Run what is named (all by default); each section replaces the one of its name."""
    chosen = sys.argv[1:] or list(KINDS)
    unknown = set(chosen) - set(KINDS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(KINDS)}")
    sections = _sections()
    for kind in chosen:
        title, run = KINDS[kind]
        with tempfile.TemporaryDirectory() as folder:
            text = f"{_machine()}\n\n{_table(run(Path(folder)))}\n"
        sections[title] = text
        sys.stdout.write(f"\n## {title}\n\n{text}")
    body = "\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    RESULTS.write_text(
        f"# Benchmarks\n\nWritten by `just bench`; trust ratios before numbers.\n\n{body}"
    )


def _sections() -> dict[str, str]:
    """What stands in RESULTS.md, by title."""
    if not RESULTS.exists():
        return {}
    parts = RESULTS.read_text().split("\n## ")[1:]
    return {title: rest.strip() + "\n" for title, _, rest in (p.partition("\n") for p in parts)}


def _machine() -> str:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({cpu}), "
        f"{memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}, "
        f"load {load:.1f} at the end"
    )


def _table(rows: Rows) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(column)) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


if __name__ == "__main__":
    main()
