"""A real controller with its agent, on the real Swarm or on the process platform, as a user has it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from ctl import Ctl, wait_for
from cumulus.crd_like_specs.identity import LABEL_OWNED

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "crd_like_specs" / "examples"
CHRONOS_LOCKS = Path("/tmp/chronos_locks")
IMAGE = os.environ.get("CUMULUS_TEST_IMAGE", "cumulus-job:latest")


def free_port() -> int:
    """A port of loopback that the kernel gives to nobody else while this process lives: a socket
    holds it, beside which a server may listen. One that was let go may be another test's by the
    time somebody listens there, or in the seconds in which a killed controller does not.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = int(held.getsockname()[1])
    held.detach()  # stays open
    return port


class System(Ctl):
    """One controller process and `cumulusctl` pointed at it."""

    def __init__(self, folder: Path, platform: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.platform = platform
        self.grpc, self.http = free_port(), free_port()
        self.options = ("--server", f"127.0.0.1:{self.grpc}")
        self.config = folder / "controller.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "platform": {"type": platform},
                    "image": IMAGE,
                    "listen": {"grpc": f"127.0.0.1:{self.grpc}", "http": f"127.0.0.1:{self.http}"},
                    "dataDir": str(folder / "data"),
                    "agent": {"embedded": True},
                }
            )
        )
        self.log = folder / "controller.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cumulus.controller.main", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            wait_for(self.ready, 60)
        except AssertionError:
            agent = self.folder / "data" / "agent" / "agent.log"
            tail = agent.read_text()[-3000:] if agent.exists() else ""
            pytest.fail(f"not ready:\n{self.log.read_text()[-3000:]}\n{tail}")

    def ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.get("/readyz") is not None

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def kill9(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.hang_up()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def services(self) -> list[str]:
        if self.platform == "process":
            units = self.folder / "data" / "units"
            return [p.name for p in units.iterdir()] if units.exists() else []
        return owned_services()

    def partitions(self) -> list[str]:
        """What Chronos itself holds: its lock files of our agent's child process."""
        agent = (self.folder / "data" / "agent" / "lock").read_text().strip()
        children: list[str] = []
        for task in Path(f"/proc/{agent}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                children += (task / "children").read_text().split()
        return [p.name for c in children for p in CHRONOS_LOCKS.glob(f"partition_{c}_*")]

    def clean(self) -> None:
        """No service, lease, partition or container of ours is left, within a few seconds."""
        wait_for(lambda: not self.services() and not self.leases() and not self.partitions(), 15)
        if self.platform == "swarm":
            wait_for(lambda: not owned_containers(), 15)


def owned_services() -> list[str]:
    client = docker.from_env()
    try:
        return [s.name for s in client.services.list(filters={"label": f"{LABEL_OWNED}=1"})]
    finally:
        client.close()


def owned_containers() -> list[str]:
    client = docker.from_env()
    try:
        found = client.containers.list(filters={"label": f"{LABEL_OWNED}=1"}, ignore_removed=True)
        return [str(c.name) for c in found]
    finally:
        client.close()
