"""Says what it was given, and leaves the same in /results/params.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SHOWN = 50
"""Files that are listed of the dataset."""


def main(**given: Any) -> dict[str, Any]:
    """Every parameter, and the files of the dataset."""
    dataset = given["dataset"]
    for name, value in given.items():
        print(f"{name}={json.dumps(value, ensure_ascii=False)}")
    found = sorted(path for path in Path(dataset).rglob("*") if path.is_file()) if dataset else []
    for path in found[:SHOWN]:
        print(f"{path} ({path.stat().st_size} bytes)")
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} files more")
    told = {**given, "files": [str(path) for path in found[:SHOWN]]}
    results = Path(os.environ.get("CUMULUS_OUTPUTS", "/results"))
    (results / "params.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return told
