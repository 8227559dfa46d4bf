"""Runs a script of the dataset in a process of its own. It writes to /results ($CUMULUS_OUTPUTS)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def main(dataset: str, script: str, arguments: list[str]) -> dict[str, Any]:
    """How it ended. An archive of one folder counts as that folder."""
    folder = Path(dataset)
    entries = list(folder.iterdir())
    if not (folder / script).is_file() and len(entries) == 1 and entries[0].is_dir():
        folder = entries[0]
    path = folder / script
    if not path.is_file():
        names = ", ".join(sorted(str(one.relative_to(folder)) for one in folder.rglob("*.py"))[:20])
        raise FileNotFoundError(
            f"the dataset has no {script}: it has {names or 'no Python at all'}"
        )
    if not path.resolve().is_relative_to(Path(dataset).resolve()):
        raise ValueError(f"{script} leads out of the dataset")
    print(f"running {script} {' '.join(map(repr, arguments))}".rstrip(), flush=True)
    done = subprocess.run([sys.executable, str(path), *arguments], cwd=folder, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return {"script": script, "exit_code": 0}
