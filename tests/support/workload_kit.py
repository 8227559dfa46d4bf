"""The workloads of image/workloads as programs, run by this Python."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "image" / "workloads"
NAMES = sorted(path.stem for path in FOLDER.glob("*/*_process_*.py"))
"""All twenty, such as `io_process_1`."""

HERE = [n for n in NAMES if not n.startswith("gpu") or importlib.util.find_spec("torch")]
"""Those that this Python can run: without PyTorch the GPU ones run in their image only."""

TINY = ("--scale", "0.01", "--rounds", "2")


def script(name: str) -> Path:
    return FOLDER / name.partition("_")[0] / f"{name}.py"


@dataclass
class Done:
    """A run that ended. stats: of its file; last: the last line of stdout, parsed."""

    code: int
    stdout: str
    stderr: str
    stats: dict[str, Any]

    @property
    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return found


class Workload:
    """root: its results and scratch files go below; file: another script than the workload's;
    python: that runs it, this one by default.
    """

    def __init__(
        self, root: Path, name: str, file: Path | None = None, python: str = sys.executable
    ) -> None:
        self.python = python
        self.file = file or script(name)
        self.results = root / "results"
        self.scratch = root / "scratch"
        self.scratch.mkdir(exist_ok=True)
        self.stats_file = self.results / f"{name.partition('_')[0]}_stats.json"

    def start(self, *arguments: str, tweak: str = "", **env: str) -> subprocess.Popen[str]:
        """tweak: Python code that runs before the script, in its process."""
        main = f"import runpy\n{tweak}\nrunpy.run_path({str(self.file)!r}, run_name='__main__')"
        return subprocess.Popen(
            [self.python, *(("-c", main) if tweak else (str(self.file),)), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(
                    (str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")]))
                ),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                "TMPDIR": str(self.scratch),
                "WORKLOAD_RESULTS": str(self.results),
                **env,
            },
        )

    def end(self, process: subprocess.Popen[str]) -> Done:
        """Waits for it; what it printed after what was read already."""
        stdout, stderr = process.communicate(timeout=60)
        stats = json.loads(self.stats_file.read_text()) if self.stats_file.exists() else {}
        return Done(process.returncode, stdout, stderr, stats)

    def run(self, *arguments: str, tweak: str = "", **env: str) -> Done:
        self.stats_file.unlink(missing_ok=True)
        return self.end(self.start(*arguments, tweak=tweak, **env))
