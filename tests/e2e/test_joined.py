"""A controller with its own authority, agents with certificates, clients with tokens: all real."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctl import wait_for
from tls_system import TlsSystem

MAIN = "def main(n):\n    print('hello', n)\n    return n + 1\n"


def manifest(name: str, main: str = MAIN, duration: int = 60) -> str:
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {
                "code": {"files": {"main.py": main}},
                "args": {"n": 41},
                "resources": {"cpus": "50m", "memory": "64Mi"},
                "duration": duration,
            },
        }
    )


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[TlsSystem]:
    """A controller without an agent of its own."""
    made = TlsSystem(tmp_path, agent={"embedded": False})
    try:
        made.start()
        yield made
    finally:
        made.stop()


def stop(agent: subprocess.Popen[bytes]) -> None:
    agent.terminate()
    agent.wait(30)


def ready(system: TlsSystem, name: str) -> None:
    wait_for(lambda: system.workers().get(name) in ("True", "true"), 90)


def test_a_machine_joins_by_token_and_runs_a_job_over_tls(alone: TlsSystem) -> None:
    token = alone.token("--ttl", "10m")
    joined = alone.join(token, "w1")
    assert joined.returncode == 0, joined.stderr
    assert alone.join(token, "w1").returncode == 0  # again, with the same key
    thief = alone.join(token, "w2")
    assert (thief.returncode, thief.stdout) == (6, "")
    assert "used up" in thief.stderr
    agent = alone.agent("w1")
    try:
        ready(alone, "w1")
        done = alone.apply(manifest("one"), "--wait")
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
        assert "hello 41" in alone.logs("one")
    finally:
        stop(agent)
    secret = token.split(".")[2].encode()
    said = [alone.log, alone.folder / "w1.log", *(alone.data / "store").iterdir()]
    assert all(secret not in file.read_bytes() for file in said)
    admin = (alone.data / "admin.token").read_bytes().strip()
    assert all(admin not in file.read_bytes() for file in said)


def test_a_restarted_controller_knows_its_workers_tokens_and_itself(alone: TlsSystem) -> None:
    token, used = alone.token(), alone.token()
    assert alone.join(used, "w1").returncode == 0
    authority = alone.ca.read_bytes()
    agent = alone.agent("w1")
    try:
        ready(alone, "w1")
        alone.kill9()
        alone.start()
        assert alone.ca.read_bytes() == authority
        ready(alone, "w1")
        done = alone.apply(manifest("two"), "--wait")
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
        assert alone.join(used, "thief").returncode == 6
        assert alone.join(token, "w2").returncode == 0
    finally:
        stop(agent)


def test_the_agent_beside_the_controller_has_a_certificate_too(tmp_path: Path) -> None:
    system = TlsSystem(tmp_path)
    try:
        system.start()
        lock = system.data / "agent" / "lock"
        first = lock.read_text()
        identity = system.data / "agent" / "identity" / "worker.crt"
        given = identity.read_bytes()
        done = system.apply(manifest("one"), "--wait")
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
        command = Path(f"/proc/{first.strip()}/cmdline").read_bytes()
        assert b"--identity" in command
        environment = Path(f"/proc/{first.strip()}/environ").read_bytes()
        assert b"CUMULUS_AGENT_TOKEN" not in environment
        system.kill9()  # its agent lives on, and is let in by the next one
        system.start()
        assert (lock.read_text(), identity.read_bytes()) == (first, given)
        done = system.apply(manifest("two"), "--wait")
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    finally:
        system.stop()


def test_where_the_admin_token_is_stands_in_the_log_and_what_it_is_does_not(
    alone: TlsSystem,
) -> None:
    log = alone.log.read_text()
    assert str(alone.data / "admin.token") in log
    assert (alone.data / "admin.token").read_text().strip() not in log
