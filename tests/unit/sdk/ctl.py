"""cumulusctl run in this process against a scripted server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cumulus.sdk.cli import main

from .fake_server import FakeServer

JOB = {
    "apiVersion": "cumulus.dev/v1",
    "kind": "Job",
    "metadata": {"name": "hello", "labels": {"team": "vision"}},
    "spec": {"code": {"files": {"main.py": "def main():\n    return 42\n"}}, "duration": "90s"},
}


class Ctl:
    """Runs commands in this process; `out` and `err` of the last one are kept."""

    def __init__(self, server: FakeServer, capfd: pytest.CaptureFixture[str], home: Path) -> None:
        self._server = server
        self._capfd = capfd
        self.home = home
        self.out = ""
        self.err = ""

    def __call__(self, *args: str) -> int:
        code = main.run(["--server", self._server.address, *args])
        self.out, self.err = self._capfd.readouterr()
        return code

    def bare(self, *args: str) -> int:
        code = main.run(list(args))
        self.out, self.err = self._capfd.readouterr()
        return code

    def file(self, name: str = "hello", **spec: Any) -> str:
        body = {**JOB, "metadata": {"name": name}, "spec": {**JOB["spec"], **spec}}  # type: ignore[dict-item]
        path = self.home / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        return str(path)
