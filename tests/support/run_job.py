"""Runs image/runner.py as the image does, in folders of the test, and reads what it printed."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RUNNER = Path(__file__).resolve().parents[2] / "image" / "runner.py"

KEYS = ["status", "result", "execution_time", "timestamp", "system_info"]
ERROR_KEYS = [
    "status",
    "error",
    "error_type",
    "traceback",
    "execution_time",
    "timestamp",
    "system_info",
]


@dataclass
class Outcome:
    """stdout is split into what the job printed and the envelope behind it."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def printed(self) -> bytes:
        return self.stdout[: self.stdout.rstrip(b"\n").rfind(b"\n") + 1]

    @property
    def envelope(self) -> dict[str, Any]:
        assert self.stdout.endswith(b"\n"), self.stdout[-200:]
        line = self.stdout[len(self.printed) :]
        assert line.startswith(b'{"status": "'), (line[:200], self.stderr)
        found = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        keys = [key for key in found if key not in ("error_class", "error_fields")]  # of exceptions
        assert keys == (KEYS if found["status"] == "success" else ERROR_KEYS)
        return found

    @property
    def result(self) -> Any:
        assert self.envelope["status"] == "success", self.envelope
        assert self.code == 0
        return self.envelope["result"]

    @property
    def error(self) -> tuple[str, str]:
        """(error_type, error)"""
        assert self.envelope["status"] == "error", self.envelope
        assert self.code != 0
        return self.envelope["error_type"], self.envelope["error"]


class Job:
    """A job's folders below one temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job, self.env, self.work = root / "job", root / "env", root / "work"
        self.job.mkdir()
        self.env.mkdir()
        self.settings: dict[str, str] = {}

    def code(self, main: str | None = None, **files: str) -> None:
        """Writes code.zip; `a__py` in a name stands for `a.py`."""
        texts = {name.replace("__", "."): text for name, text in files.items()}
        if main is not None:
            texts["main.py"] = textwrap.dedent(main)
        self.zip(texts)

    def zip(self, files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
        with zipfile.ZipFile(self.job / "code.zip", "w", method) as file:
            for name, data in files.items():
                file.writestr(name, data)

    def zip_entry(self, name: str, mode: int = stat.S_IFREG | 0o644, data: str = "x") -> None:
        """A zip with a good main.py and one odd entry, named as it is given."""
        with zipfile.ZipFile(self.job / "code.zip", "w") as file:
            file.writestr("main.py", "def main(): return 1")
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = name
            entry.external_attr = mode << 16
            entry.create_system = 3
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about a name that is there twice
                file.writestr(entry, data)

    def args(self, text: str) -> None:
        (self.job / "args.json").write_text(text)

    def start(self, tweak: str = "", **pipes: Any) -> "subprocess.Popen[bytes]":
        """tweak: Python run before the runner, with `settings` in scope."""
        command = [sys.executable, str(RUNNER)]
        if tweak:
            prepare = (
                f"import sys; sys.path.insert(0, {str(RUNNER.parent)!r})\n"
                f"from cumulus_runner import settings; {tweak}\n"
                "from cumulus_runner.supervise import main; del sys.path[0]; sys.exit(main())"
            )
            command = [sys.executable, "-c", prepare]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CUMULUS_", "PYTHON"))}
        env |= {
            "CUMULUS_JOB_DIR": str(self.job),
            "CUMULUS_ENV_DIR": str(self.env),
            "CUMULUS_WORK_DIR": str(self.work),
            "JOB_ID": "test-123",
            "CHRONOS_PARTITION_ID": "partition-456",
            "GPU_DEVICE": "0",
        } | self.settings
        return subprocess.Popen(
            command,
            env=env,
            cwd=self.root,
            start_new_session=True,  # a process group of its own, as every platform gives it
            stdin=subprocess.DEVNULL,
            stdout=pipes.get("stdout", subprocess.PIPE),
            stderr=pipes.get("stderr", subprocess.PIPE),
        )

    def run(self, main: str | None = None, tweak: str = "", **files: str) -> Outcome:
        if main is not None or files:
            self.code(main, **files)
        return finish(self.start(tweak))


def finish(process: "subprocess.Popen[bytes]", before: bytes = b"") -> Outcome:
    """The outcome of a started job; before: what was read of its stdout already."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # `with` would wait for it
            raise
    return Outcome(process.returncode, before + stdout, stderr.decode())
