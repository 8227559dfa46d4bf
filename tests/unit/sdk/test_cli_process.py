"""cumulusctl as a process: what needs signals, pipes, an interpreter of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cumulus.crd_like_specs.job import Code, Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker

from .fake_server import FakeServer

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(server: FakeServer, tmp_path: Path) -> Start:
    """Starts cumulusctl against the fake server; its output is piped."""

    def popen(*args: str, **options: Any) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "CUMULUS_SERVER": server.address,
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            **options.pop("env", {}),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "cumulus.sdk.cli.main", *args],
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            **options,
        )

    return popen


def job(name: str, **spec: Any) -> Job:
    code = Code(files={"main.py": "def main():\n    return 1\n"})
    return Job(metadata=ObjectMeta(name=name), spec=JobSpec(code=code, **spec))


def file(folder: Path) -> str:
    path = folder / "job.yaml"
    body = job("hello").to_dict()
    path.write_text(
        yaml.safe_dump(
            {key: body[key] for key in ("apiVersion", "kind", "spec")}
            | {"metadata": {"name": "hello"}}
        )
    )
    return str(path)


def test_ctrl_c_while_waiting_detaches_and_the_job_goes_on(
    server: FakeServer, start: Start, tmp_path: Path
) -> None:
    server.never_ends = True
    process = start("apply", file(tmp_path), "--wait")
    assert process.stderr is not None
    while "line 2" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "\ndetached; the job goes on: cumulusctl logs -f hello\n"
    assert not server.called("Cancel")


def test_get_watch_prints_each_change(server: FakeServer, start: Start) -> None:
    server.put(job("a"))
    process = start("get", "jobs", "-w", "-o", "json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
    server.put(job("a", priority=3))
    second = json.loads(process.stdout.readline())
    assert (second["type"], second["object"]["spec"]["priority"]) == ("MODIFIED", 3)
    server.drop("Job", "a")
    assert json.loads(process.stdout.readline())["type"] == "DELETED"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_get_watch_keeps_its_columns(server: FakeServer, start: Start) -> None:
    server.put(job("a"))
    process = start("get", "jobs", "-w")
    assert process.stdout is not None
    header, first = process.stdout.readline(), process.stdout.readline()
    server.drop("Job", "a")
    last = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    column = header.index("PHASE")
    assert first[column:].split()[0] == "Pending"
    assert last[column:].split()[0] == "Deleted"


def test_a_closed_pipe_is_quiet(server: FakeServer, start: Start) -> None:
    for number in range(3):
        server.put(job(f"job-{number}"))
    reader, writer = os.pipe()
    os.close(reader)
    process = start("get", "jobs", stdout=writer)
    os.close(writer)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 141
    assert err == ""


def test_version_needs_neither_server_nor_grpc(start: Start) -> None:
    process = start("version", env={"PYTHONPROFILEIMPORTTIME": "1"})
    out, imports = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.count(".") == 2
    assert "grpc" not in imports
    assert "rich" not in imports


def test_nothing_of_a_controller_or_worker_is_imported() -> None:
    code = (
        "import sys, cumulus.sdk.sync, cumulus.sdk.cli.app as a, importlib\n"
        "[importlib.import_module(f'cumulus.sdk.cli.{m}') for m in set(a.COMMANDS.values())]\n"
        "print([m for m in ('docker', 'chronos', 'pyopencl', 'tinydb', 'loguru', 'fastapi',"
        " 'cumulus.controller', 'cumulus.chronos_bindings') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_completion_knows_commands_and_live_names(server: FakeServer, start: Start) -> None:
    server.put(job("hello"))
    server.put(job("other"))

    def complete(words: str) -> list[str]:
        asked = {"_CUMULUSCTL_COMPLETE": "complete_bash", "COMP_WORDS": words}
        count = str(len(words.split(" ")) - 1)
        process = start(env={**asked, "COMP_CWORD": count})
        return process.communicate(timeout=30)[0].split()

    assert "describe" in complete("cumulusctl de")
    assert complete("cumulusctl logs h") == ["hello"]
    assert complete("cumulusctl describe job h") == ["hello"]
    assert complete("cumulusctl get w") == ["workers"]
    assert complete("cumulusctl get jobs -o j") == ["json", "jsonpath="]


def test_completion_is_silent_and_quick_where_nobody_answers(start: Start) -> None:
    asked = {"_CUMULUSCTL_COMPLETE": "complete_bash", "COMP_WORDS": "cumulusctl logs h"}
    deaf = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
    try:
        for server in (f"127.0.0.1:{deaf.getsockname()[1]}", "127.0.0.1:1"):
            begun = time.monotonic()
            process = start(env={**asked, "COMP_CWORD": "2", "CUMULUS_SERVER": server})
            assert process.communicate(timeout=30) == ("\n", "")
            assert time.monotonic() - begun < 10  # the interpreter's start on a busy machine
    finally:
        deaf.close()


def test_completion_of_fields_and_types_needs_no_server(start: Start) -> None:
    def complete(words: str) -> list[str]:
        asked = {"_CUMULUSCTL_COMPLETE": "complete_bash", "COMP_WORDS": words}
        process = start(env={**asked, "COMP_CWORD": "2", "CUMULUS_SERVER": "127.0.0.1:1"})
        return process.communicate(timeout=30)[0].split()

    assert complete("cumulusctl explain job.spec.gp") == ["job.spec.gpu"]


def test_top_looks_again_and_again(server: FakeServer, start: Start) -> None:
    server.put(Worker(metadata=ObjectMeta(name="gpu-1")))
    process = start("top", "workers", "--watch", "--every", "1s")
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(3)]
    assert (first[0].split()[0], first[1].split()[0], first[2]) == ("NAME", "gpu-1", "\n")
    assert process.stdout.readline() == first[0]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_events_are_watched_line_by_line(server: FakeServer, start: Start) -> None:
    server.happen("Running", "Job", "a", worker="gpu-1")
    process = start("events", "--watch")
    assert process.stdout is not None
    assert process.stdout.readline().split()[:2] == ["TIME", "TYPE"]
    assert process.stdout.readline().split()[1:3] == ["Running", "job/a"]
    server.happen("Failed", "Job", "a", message="oh", warning=True)
    assert process.stdout.readline().split()[1:3] == ["Failed", "job/a"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 130


def test_an_interrupt_while_it_loads_ends_it_as_the_shell_expects() -> None:
    """Whatever is being imported: there is no handler yet that could be lost in it."""
    code = (
        "import os, signal\n"
        "from cumulus.sdk.cli import main\n"
        "main.run = lambda _argv: os.kill(os.getpid(), signal.SIGINT)\n"
        "main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
