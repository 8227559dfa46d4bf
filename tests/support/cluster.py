"""A fleet as an operator has it: a Swarm of several machines, a controller, an agent on each worker.

Each machine has its own network, processes, mounts, Docker Engine and disk (`netns.Machine`), so
that one can lose power or its cable alone. `cumulusctl` runs here, outside of all of them.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ctl import Ctl, wait_for
from cumulus.sdk import CumulusClient
from netns import Lan
from node import AGENT_DATA, SOCKET, Node, Program
from system import IMAGE

GRPC, AGENTS, HTTP = 50051, 50052, 8080


class Worker(Node):
    """A node with an agent, once it has joined."""

    def __init__(self, lan: Lan, name: str, folder: Path) -> None:
        super().__init__(lan, name, folder)
        self._cuts: list[tuple[str, ...]] = []
        self.agent = self.program(
            "agent",
            *(sys.executable, "-m", "cumulus.chronos_bindings.agent.main"),
            *("--identity", f"{AGENT_DATA}/identity", "--data", AGENT_DATA, "--image", IMAGE),
            *("--platform", "docker", "--endpoint", f"unix://{SOCKET}"),
        )

    def join(self, manager: Node, token: str) -> None:
        """The Swarm and the controller. token: a join token of the latter, good for one machine."""
        manager.docker.swarm.reload()
        self.docker.swarm.join(
            remote_addrs=[f"{manager.address}:2377"],
            join_token=manager.docker.swarm.attrs["JoinTokens"]["Worker"],
            advertise_addr=self.address,
        )
        self.machine.run(
            *(sys.executable, "-m", "cumulus.chronos_bindings.agent.main", "join"),
            *("--controller", f"{manager.address}:{GRPC}", "--data", AGENT_DATA),
            env={"CUMULUS_JOIN_TOKEN": token},
        )

    def cut(self, *ports: int) -> None:
        """Nothing passes between this machine and these ports of any other, either way."""
        for chain, side in (("INPUT", "--sports"), ("OUTPUT", "--dports")):
            for protocol in ("tcp", "udp"):
                listed = ",".join(map(str, ports))
                rule = (chain, "1", "-p", protocol, "-m", "multiport", side, listed, "-j", "DROP")
                self.machine.run("iptables", "-w", "-I", *rule)
                self._cuts.append((chain, *rule[2:]))

    def mend(self) -> None:
        """Take every cut away."""
        while self._cuts:
            self.machine.run("iptables", "-w", "-D", *self._cuts.pop())

    def power_on(self) -> None:
        """Boot, with an agent that comes up by itself, as its unit does."""
        super().power_on()
        self.agent.start()


class Cluster(Ctl):
    """workers: their names. All are Ready after `start`, and again after `settle`."""

    def __init__(self, folder: Path, workers: tuple[str, ...] = ("n1", "n2")) -> None:
        self.folder = folder
        self.lan = Lan()
        self.manager = Node(self.lan, "n0", folder / "n0")
        self.server = f"https://{self.manager.address}:{GRPC}"
        self.ca = self.manager.data / "controller" / "pki" / "ca.crt"
        self.token = self.manager.data / "controller" / "admin.token"
        self.options = (
            "--server",
            self.server,
            "--ca",
            f"{self.ca}",
            "--token-file",
            f"{self.token}",
        )
        self.workers = {name: Worker(self.lan, name, folder / name) for name in workers}
        config = folder / "controller.yaml"
        config.write_text(json.dumps(self.config()))
        self.controller = self.manager.program(
            "controller",
            *(sys.executable, "-m", "cumulus.controller.main"),
            *("--config", str(config)),
        )
        self._client: CumulusClient | None = None

    def config(self) -> dict[str, Any]:
        """The controller's configuration."""
        return {
            "platform": {"type": "swarm", "endpoint": f"unix://{SOCKET}"},
            "image": IMAGE,
            "listen": {
                "grpc": f"{self.manager.address}:{GRPC}",
                "agents": f"{self.manager.address}:{AGENTS}",
                "http": f"{self.manager.address}:{HTTP}",
            },
            "tls": {"auto": True},
            "advertise": self.manager.address,
            "dataDir": "/var/lib/cumulus/controller",
            "agent": {"embedded": False},
        }

    # Life

    def start(self) -> None:
        self.start_manager()
        for worker in self.workers.values():
            worker.seed_images(self.manager)
            self.start_worker(worker)
        self.settle(90)

    def start_manager(self) -> None:
        """Engine, Swarm, job image, controller."""
        self.manager.start_engine()
        self.manager.load(IMAGE)
        manager = self.manager.docker.swarm
        manager.init(advertise_addr=self.manager.address)
        manager.reload()
        self.start_controller()

    def start_controller(self) -> None:
        """And wait until it answers."""
        self.controller.start()
        wait_for(lambda: self.http("/readyz"), 60)

    def heal(self) -> None:
        """Undo what a test did to the fleet: power, cables, cuts, programs, cordons."""
        for worker in self.workers.values():
            if not worker.machine.up:
                worker.power_on()
            worker.machine.plug()
            worker.mend()
            if not worker.agent.running:
                worker.agent.start()
        if not self.controller.running:
            self.start_controller()
        wait_for(self.ready, 60)
        for worker in self.workers:
            self.client.cordon(worker, cordoned=False)
        for job in self.client.list("Job"):
            self.client.delete(job.metadata.name)

    def start_worker(self, worker: Worker) -> None:
        """As `bootstrap/worker.sh` does, with a token of its own."""
        worker.start_engine()
        token = self.ctl("token", "create", "--worker", worker.name)
        assert token.returncode == 0, token.stderr
        worker.join(self.manager, token.stdout.strip())
        worker.agent.start()

    def remove(self) -> None:
        if self._client is not None:
            self._client.close()
        for node in (self.manager, *self.workers.values()):
            node.remove()
        self.lan.remove()

    def settle(self, seconds: float = 60) -> None:
        """The controller answers, every worker is Ready and nothing is left of any job."""
        try:
            wait_for(self.ready, seconds)
        except AssertionError as error:
            pytest.fail(f"{error}\n{self.said()}")

    def ready(self) -> bool:
        """The controller is ready, and each worker"""
        for program in (self.controller, *(w.agent for w in self.workers.values())):
            assert program.running, program.said()
        return self.http("/readyz") is not None and all(map(self.is_ready, self.workers))

    def said(self, last: int = 3000) -> str:
        """The ends of the programs' logs."""
        programs: list[Program] = [self.controller, *(w.agent for w in self.workers.values())]
        return "\n".join(f"--- {p.log}\n{p.said(last)}" for p in programs)

    # Asking

    @property
    def secret(self) -> str:
        """The admin's token."""
        return self.token.read_text().strip()

    @property
    def client(self) -> CumulusClient:
        """For what is asked often."""
        if self._client is None:
            self._client = CumulusClient(self.server, self.secret, ca=self.ca)
        return self._client

    def job(self, name: str) -> dict[str, Any]:
        """As `cumulusctl get` shows it, at less cost."""
        return self.client.get_job(name).model_dump(mode="json", by_alias=True)

    def is_ready(self, worker: str) -> bool:
        return self.condition(worker, "Ready")

    def condition(self, worker: str, kind: str) -> bool:
        for found in self.client.list("Worker"):
            if found.metadata.name == worker:
                condition = found.status.condition(kind)
                return condition is not None and condition.status
        return False

    def http(self, path: str) -> str | None:
        try:
            trust = ssl.create_default_context(cafile=self.ca)
            asked = urllib.request.Request(
                f"https://{self.manager.address}:{HTTP}{path}",
                headers={"authorization": f"Bearer {self.secret}"},
            )
            with urllib.request.urlopen(asked, timeout=5, context=trust) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def services(self) -> list[str]:
        from system import LABEL_OWNED

        found = self.manager.docker.services.list(filters={"label": f"{LABEL_OWNED}=1"})
        return [str(service.name) for service in found]

    def left(self) -> dict[str, Any]:
        """What is left of jobs anywhere."""
        found: dict[str, Any] = {
            "services": self.services(),
            "leases": [lease.metadata.name for lease in self.client.list("Lease")],
        }
        for node in (self.manager, *self.workers.values()):
            found[node.name] = node.left()
        return {kind: things for kind, things in found.items() if things}

    def clean(self, seconds: float = 20) -> None:
        """Nothing is left of any job anywhere."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.left(), seconds)
        if left := self.left():
            pytest.fail(f"left after {seconds} s: {left}\n{self.said()}")


def cluster(folder: Path) -> Iterator[Cluster]:
    """For fixtures."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.remove()
